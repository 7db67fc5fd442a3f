import type { Decision, Principal, RequestHead, Route, Session, SessionKey, Site } from "../../model/index.ts";
import type { Notice, Question } from "../../platform/process-link.ts";
import type { Usage } from "../usage.ts";

/** A request's head as plain data. */
export interface PlainHead {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly peer: string;
  readonly secure: boolean;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** What a worker's gatekeeper knows from the start. */
export interface Grounding {
  readonly site: Site;
  /** The gate's user of today. */
  readonly owner: Principal;
  /** Of sessions, by kid. */
  readonly keys: readonly (readonly [kid: string, key: SessionKey])[];
  /** Longest life of a session. */
  readonly sessionMs: number;
  /** What WWW-Authenticate says. */
  readonly challenge: string;
  /** Ids that are void. */
  readonly revoked: readonly string[];
}

/** The slow way. The route is the very one that the worker found: what is authorised is what is routed. */
export const ADMIT: Question<{ readonly route: Route; readonly head: PlainHead }, Decision> = { name: "auth.admit" };

/** Until when (epoch ms) an open session whose time is up may go on; null: not at all. */
export const PROLONG: Question<{ readonly session: Session; readonly route: Route }, number | null> = {
  name: "auth.prolong",
};

/** To a worker: an id is void from now on. */
export const REVOKED: Notice<string> = { name: "auth.revoked" };

/** From a worker, by service: what it was used for since that worker started, where that changed. */
export const USED: Notice<readonly (readonly [service: string, usage: Usage])[]> = { name: "auth.used" };

/** Every field that the plane read, names in lower case. */
export function plainHead(head: RequestHead): PlainHead {
  const { method, host, path, peer, secure } = head;
  const fields = [...(head.names?.() ?? [])].map((name) => [name, head.header(name) ?? ""] as const);
  return { method, host, path, peer, secure, fields };
}

/** The head again. */
export function readHead({ fields, ...base }: PlainHead): RequestHead {
  const byName = new Map(fields);
  return { ...base, header: (name) => byName.get(name), names: () => byName.keys() };
}
