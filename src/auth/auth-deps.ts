import type { LoginConfig } from "../config/schema.ts";
import type { AuditDetail, AuditSink, Principal, Route, Site } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import type { Authenticator } from "./authenticators/authenticator.ts";
import type { Authority } from "./authority.ts";
import type { LoginLimit } from "./login-limit.ts";
import type { Sealer } from "./sealer.ts";

/** What deciding who may pass needs. */
export interface AuthDeps {
  readonly store: Store;
  readonly config: LoginConfig;
  readonly site: Site;
  /** The one user of a gate of one's own. Nobody else of the owner's realm is known here. */
  readonly owner: Principal;
  /** The data plane's own look-up: `host` in lower case and without port, `path` as sent. */
  readonly routeFor: (host: string, path: string) => Route | undefined;
  /** Beside the gate's own tokens, in order. */
  readonly authenticators?: readonly Authenticator[];
  /** Administrators, beside whom a method says to be one. Absent: none. */
  readonly isAdmin?: (principal: Principal) => boolean;
  /** Of other people's secrets that come with logins. */
  readonly sealer: Sealer;
  /** The one that the authenticators count by. Absent: one of its own. */
  readonly loginLimit?: LoginLimit;
  /** By name. */
  readonly authorities?: ReadonlyMap<string, Authority>;
  /** The data plane verifies sessions by itself, and asks only about those that do not say enough. Absent: it asks about every request. */
  readonly verifiedByPlane?: boolean;
  /** Absent: nothing is kept of who did what. */
  readonly audit?: { readonly sink: AuditSink; readonly detail: AuditDetail };
  readonly clock: Clock;
  readonly logger: Logger;
}
