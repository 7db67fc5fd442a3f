import type { Authenticated } from "../auth/authenticators/authenticator.ts";
import type { Identity, Principal, RequestHead } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Runner, TaskControl } from "../providers/provider.ts";
import type { Pages } from "./pages.ts";
import type { TaskDirectory } from "./task-directory.ts";
import type {
  LinkRequest,
  LinkView,
  LoginView,
  TokenCreated,
  TokenRequest,
  TokenView,
  VersionView,
  VisitRequest,
  VisitView,
} from "./wire.ts";

/** What the API needs of login. Every method throws GatewayError; `denied` and `unavailable` are never mixed up. */
export interface ApiAuth {
  /** By headers alone: cookies are not shown to it. null: no credentials that anyone knows. */
  authenticate(head: RequestHead, signal: AbortSignal): Promise<Authenticated | null>;
  readonly tokens: {
    list(principal: Principal): Promise<readonly TokenView[]>;
    create(principal: Principal, request: TokenRequest): Promise<TokenCreated>;
    /** Throws `not_found` for one that is not there, or not the principal's. */
    revoke(principal: Principal, id: string): Promise<void>;
  };
  readonly login: {
    /** Throws `unauthenticated` for a code that is wrong, used or too old. */
    redeem(code: string): Promise<LoginView>;
    link(principal: Principal, request: LinkRequest): Promise<LinkView>;
    /** Throws `denied` where the principal may not use that host, saying why. */
    visit(principal: Principal, request: VisitRequest): Promise<VisitView>;
    /** Revokes the token that the request carries. */
    logout(head: RequestHead): Promise<void>;
  };
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
  /** Of the gate: beside administrators, who may start tasks. */
  readonly owner: Identity;
  version(): VersionView;
  readonly pages: Pages;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the gate ends: streams end with it. */
  readonly signal: AbortSignal;
}
