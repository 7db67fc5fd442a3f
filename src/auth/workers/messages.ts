import type {
  AuditDetail,
  AuditEntry,
  Decision,
  LastUse,
  PlainHead,
  Principal,
  Route,
  Session,
  SessionKey,
  Site,
} from "../../model/index.ts";
import type { Notice, Question } from "../../platform/process-link.ts";
import type { Challenges } from "../credentials.ts";
import type { CredentialForm } from "../authenticators/credential-forms.ts";
import type { RevokedUser } from "../revocations.ts";
import type { Watch } from "../activity.ts";
import type { Usage } from "../usage.ts";

/** What a worker's gatekeeper knows from the start. */
export interface Grounding {
  readonly site: Site;
  /** The gate's user of today. */
  readonly owner: Principal;
  /** Of sessions, by kid. */
  readonly keys: readonly (readonly [kid: string, key: SessionKey])[];
  /** Longest life of a session. */
  readonly sessionMs: number;
  /** How soon sessions are renewed at the latest, by login method. */
  readonly renewMs: readonly (readonly [method: string, ms: number])[];
  /** Of credentials of every authenticator that the gate has. */
  readonly forms: readonly CredentialForm[];
  /** What WWW-Authenticate says. */
  readonly challenges: Challenges;
  /** Ids that are void. */
  readonly revoked: readonly string[];
  readonly revokedUsers: readonly RevokedUser[];
  /** What the audit is told of. */
  readonly audit: AuditDetail;
}

/** The slow way. The route is the very one that the worker found: what is authorised is what is routed. */
export const ADMIT: Question<{ readonly route: Route; readonly head: PlainHead }, Decision> = { name: "auth.admit" };

/** Until when (epoch ms) an open session whose time is up may go on; null: not at all. */
export const PROLONG: Question<{ readonly session: Session; readonly route: Route }, number | null> = {
  name: "auth.prolong",
};

/** To a worker: all keys of sessions, by kid, where they changed. */
export const KEYS: Notice<Grounding["keys"]> = { name: "auth.keys" };

/** To a worker: an id is void from now on. */
export const REVOKED: Notice<string> = { name: "auth.revoked" };

/** Whether a worker has heard all that it was told until now. */
export const HEARD: Question<null, null> = { name: "auth.heard" };

/** To a worker: whose use is to be told of. */
export const WATCH: Notice<Watch> = { name: "auth.watch" };

/** From a worker, by service, of those that are watched: where it changed. */
export const LAST_USE: Notice<readonly (readonly [service: string, use: LastUse])[]> = { name: "auth.lastUse" };

/** From a worker: what its audit log holds, a few at a time. `lost`: too many came at once to be told. */
export const AUDITED: Notice<{ readonly entries: readonly AuditEntry[]; readonly lost: number }> = {
  name: "auth.audited",
};

/** To a worker: all that somebody was given is void. */
export const REVOKED_USER: Notice<RevokedUser> = { name: "auth.revokedUser" };

/** From a worker, by service: what it was used for since that worker started, where that changed. */
export const USED: Notice<readonly (readonly [service: string, usage: Usage])[]> = { name: "auth.used" };
