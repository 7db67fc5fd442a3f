import type { Audit } from "../audit/audit.ts";
import type { Ceiling } from "../core/access-ceiling.ts";
import type { Auth } from "../auth/auth.ts";
import type { Instance } from "../dataplanes/dataplane.ts";
import type { Identity, ReachReport, Site } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Runner, TaskControl } from "../providers/provider.ts";
import type { Pages } from "./pages.ts";
import type { TaskDirectory } from "./task-directory.ts";
import type { VersionView } from "./wire.ts";

/** What the API needs of login. */
export type ApiAuth = Pick<
  Auth,
  | "audit"
  | "authenticate"
  | "challenge"
  | "whileValid"
  | "tokenDesk"
  | "login"
  | "grants"
  | "links"
  | "methods"
  | "devices"
  | "sessions"
  | "keys"
>;

/** What it takes to share a task. */
export interface SharingRules {
  readonly ceiling: Ceiling;
  /** Of whom the gate's own user names without a realm: they are alone in theirs. */
  readonly realm: string;
}

export interface ApiDeps {
  readonly directory: TaskDirectory;
  /** null: nothing can be started here. */
  readonly runner: Runner | null;
  /** Name of the provider that the runner's tasks are of. */
  readonly runnerProvider: string;
  /** null: the gate does not run that task. */
  control(taskKey: string): TaskControl | null;
  readonly auth: ApiAuth;
  /** What is on record. */
  readonly audit: Pick<Audit, "read" | "verify">;
  /** Of the gate: beside administrators, who may start tasks. */
  readonly owner: Identity;
  readonly site: Site;
  readonly sharing: SharingRules;
  version(): VersionView;
  /** By node id; null: Envoys do not move the bytes here. */
  envoys(): ReadonlyMap<string, Instance> | null;
  /** Of the providers that have one to tell of. */
  reaches(): readonly ReachReport[];
  readonly pages: Pages;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the gate ends: streams end with it. */
  readonly signal: AbortSignal;
}
