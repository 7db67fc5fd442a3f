import type { Auth } from "../auth/auth.ts";
import type { DataPlane, Explain } from "../dataplanes/dataplane.ts";
import type { DialRules } from "../dataplanes/forbidden-target.ts";
import type { Identity, Site } from "../model/index.ts";

/** What a plane is started with once the rest of the gate is there. */
export interface ServeDeps {
  readonly site: Site;
  readonly dialRules: DialRules;
  /** See `EmbeddedPlaneDeps.secret`. */
  readonly secret: string;
  readonly auth: Pick<Auth, "gatekeeper" | "verification" | "workers">;
  readonly explain: Explain;
  readonly isAdmin: (identity: Identity, groups: readonly Identity[]) => boolean;
}

/** A plane, how it is renewed, and what it waits for. */
export interface ServingPlane {
  readonly plane: DataPlane;
  /** Fresh worker processes in place of the present ones, which get until `deadline` (epoch ms); null: there are none. */
  readonly replace: ((deadline: number) => Promise<void>) | null;
  /** To be called when all sources have been heard once, and the plane was told: from then on what is in no table is gone. */
  settled(): void;
  /** Resolves when visitors can come in. Throws `conflict` where another program has taken the port meanwhile. */
  ready(): Promise<void>;
}

/** The gate's port, taken before there is anything behind it, so that everybody can be told which it is. */
export interface TakenPort extends AsyncDisposable {
  readonly port: number;
  /** IP address. */
  readonly address: string;
  /** Where the command line reaches the API, as nothing on this machine listens for visitors; absent: by the port. */
  readonly apiSocket?: string;
  /** Others that the plane listens on: no task is there. */
  readonly otherPorts: readonly number[];
  /** File with what is to be trusted by who asks for `host`; absent: the gate does not speak TLS. */
  trustFile(host: string): string | undefined;
  /** Starts the plane that serves it: in this process, or in workers. Call it once; the plane is the caller's to dispose of. */
  serve(deps: ServeDeps): Promise<ServingPlane>;
}
