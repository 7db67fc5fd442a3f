import {
  type AuditSink,
  type Decision,
  isGateService,
  type Gatekeeper,
  GatewayError,
  type HeaderFields,
  originOf,
  type RequestHead,
  type Route,
  type Session,
  type Site,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { isManager } from "./access.ts";
import type { AppLogin } from "./app-login.ts";
import { identityFields, type ShownAssertions, wantsAssertion } from "./assertions.ts";
import { ownCookies } from "./cookies.ts";
import { credentialHead } from "./credential-head.ts";
import { challengeFor, type Credentials, type Shown } from "./credentials.ts";
import { allowedOriginFields, frameOf, preflightAnswer } from "./cross-origin.ts";
import { strippedHeaders } from "./headers.ts";
import type { LiveSessions } from "./live.ts";
import { isConsequential, isForeign, saysOrigin } from "./origins.ts";
import { askedRoute, type Permissions } from "./permissions.ts";
import { gatePath, hostOf } from "./place.ts";
import { type Revocations, rootOf } from "./revocations.ts";
import type { SessionReader } from "./session-reader.ts";
import type { Sessions } from "./sessions.ts";
import type { Stamps } from "./stamps.ts";
import { isTokenId, type Tokens } from "./tokens.ts";
import type { UseRecorder } from "./use-recorder.ts";

/** What deciding without asking anybody needs. */
export interface LocalDeps {
  readonly site: Site;
  readonly clock: Clock;
  readonly credentials: Pick<Credentials, "challenges" | "isAmbient" | "peek" | "recognised" | "reserved">;
  readonly permissions: Pick<Permissions, "peek">;
  readonly assertions: ShownAssertions;
  readonly revocations: Pick<Revocations, "has">;
  readonly sessions: SessionReader;
  readonly stamps: Pick<Stamps, "renewalOf">;
}

export interface GatekeeperDeps extends LocalDeps {
  readonly logger: Logger;
  readonly credentials: Credentials;
  readonly permissions: Permissions;
  readonly sessions: Sessions;
  readonly tokens: Tokens;
  readonly appLogin: AppLogin;
  readonly live: LiveSessions;
  readonly recorder: Pick<UseRecorder, "refused">;
  readonly audit: Pick<AuditSink, "blocked">;
}

const ASK = Object.freeze({ kind: "ask" });
const NOTHING: HeaderFields = Object.freeze([]);

/** The gate's own service gets what was sent: it is who the credentials are for. */
const UNGUARDED: Decision = Object.freeze({
  kind: "allow",
  session: null,
  strip: Object.freeze([]),
  stripCookies: Object.freeze([]),
  set: NOTHING,
  respond: NOTHING,
});

/** Who cannot be put on record is not let in, where that is required. Whoever is in already stays. */
const UNRECORDED: Decision = Object.freeze({
  kind: "deny",
  status: 503,
  code: "unavailable",
  reason: "nobody new is let in while the audit log cannot be written",
});

/**
 * Decides about every request, in this order: what the gate itself answers; what was shown in headers (a bad token is refused, and no
 * cookie speaks for it); the session cookie of this service; public access; the way to the login page, for who is looking at a page.
 */
export function createGatekeeper(deps: GatekeeperDeps): Gatekeeper {
  return {
    check: createLocalCheck(deps),
    async admit(route, head, signal) {
      signal.throwIfAborted();
      if (deps.audit.blocked && !isGateService(route.service)) return UNRECORDED;
      try {
        return await decide(deps, route, head, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        return refusal(deps, { route, head }, error);
      }
    },
    opened: (use, route, cut) => deps.live.opened(use, route, cut),
    refused: (use, route) => deps.recorder.refused(use, route),
  };
}

/** What was decided about fields that come again and again, by themselves or by a session cookie among them. */
interface Known {
  readonly route: Route;
  readonly method: string;
  readonly allowed: Decision;
  /** null: nobody was asked for. */
  readonly session: Session | null;
}

/**
 * The synchronous half: decides by what this process knows, which is the same in a worker, or says that somebody is to be asked. Of fields
 * that come again only that is looked at which may have changed since: the session's end, revocations, permissions, the path.
 */
export function createLocalCheck(deps: LocalDeps): Gatekeeper["check"] {
  const known = new WeakMap<object, Known>();
  const decided: Gatekeeper["check"] = (route, head) => preflightAnswer(route, head) ?? checkLocally(deps, route, head);
  return (route, head) => {
    const { repeated } = head;
    if (repeated === undefined) return decided(route, head);
    const before = known.get(repeated);
    if (before?.route === route && before.method === head.method && stillHolds(deps, before, head)) {
      return before.allowed;
    }
    const decision = decided(route, head);
    const session = decision.kind === "allow" ? decision.session : null;
    if (decision.kind === "allow" && isSteady(deps, { route, head, session })) {
      known.set(repeated, { route, method: head.method, allowed: Object.freeze(decision), session });
    }
    return decision;
  };
}

/** Nothing was shown in headers, and what cookies there are was good: a bad one may only be so for now. */
function isSteady(
  { credentials, sessions }: LocalDeps,
  { route, head, session }: { readonly route: Route; readonly head: RequestHead; readonly session: Session | null },
): boolean {
  if (credentials.recognised(credentialHead(route, head)).length > 0) return false;
  return session === null ? ownCookies(head).length === 0 : sessions.stands(session);
}

function stillHolds(
  { clock, permissions, sessions, stamps }: LocalDeps,
  { route, session }: Known,
  head: RequestHead,
): boolean {
  if (gatePath(route, head.path) !== null) return false;
  if (session === null) return true;
  return (
    sessions.stands(session) &&
    clock.now() < stamps.renewalOf(session, route) &&
    permissions.peek(askedRoute(route, head), session.principal) === true
  );
}

function checkLocally(deps: LocalDeps, route: Route, head: RequestHead): ReturnType<Gatekeeper["check"]> {
  const { clock, credentials, permissions, sessions, stamps } = deps;
  if (route.guard === "self") return unguarded(deps, route, head);
  if (gatePath(route, head.path) !== null) return ASK;
  const shown = credentials.peek(credentialHead(route, head));
  if (shown === "ask") return ASK;
  if (shown !== null) {
    if (permissions.peek(askedRoute(route, head), shown.principal) !== true) return ASK;
    const known = sessionOf(deps, route, shown);
    return wantsAssertion(route) && known.assertion === undefined
      ? ASK
      : allowShown(deps, { route, head, session: known }, shown);
  }
  const session = sessions.find(route, head, ownCookies(head));
  if (session === null) return isPublic(route) ? allow(deps, { route, head, session: null }) : ASK;
  if (clock.now() >= stamps.renewalOf(session, route)) return ASK;
  if (permissions.peek(askedRoute(route, head), session.principal) !== true) return ASK;
  return allowSession(deps, { route, head, session });
}

async function decide(deps: GatekeeperDeps, route: Route, head: RequestHead, signal: AbortSignal): Promise<Decision> {
  if (route.guard === "self") return unguarded(deps, route, head);
  if (gatePath(route, head.path) !== null) return deps.appLogin.answer(route, head, signal);
  const shown = await deps.credentials.authenticate(credentialHead(route, head), signal);
  if (shown !== null) {
    const asked = { route, head, session: sessionOf(deps, route, shown) };
    if (await deps.permissions.ask(askedRoute(route, head), shown.principal, signal))
      return allowShown(deps, asked, shown);
    return notYours(asked.session);
  }
  const session = deps.sessions.find(route, head, ownCookies(head));
  const admitted = session && (await admitSession(deps, { route, head, session }, signal));
  if (admitted !== null) return admitted;
  if (isPublic(route)) return allow(deps, { route, head, session: null });
  const way = isNavigation(head) ? deps.appLogin.send(route, head) : null;
  if (way !== null) return way;
  throw new GatewayError("unauthenticated", "log in, or send a token: Authorization: Bearer tg_…");
}

interface Asked {
  readonly route: Route;
  readonly head: RequestHead;
  readonly session: Session;
}

/**
 * The slow way of a cookie: its session is to be renewed, or does not suffice as it is, or an authority is to be asked. null: the login
 * that it came from has ended, so it is none any more.
 */
async function admitSession(deps: GatekeeperDeps, asked: Asked, signal: AbortSignal): Promise<Decision | null> {
  const { route, head, session } = asked;
  if (comesFromElsewhere(deps.site, route, head)) return allowSession(deps, asked);
  const due = deps.clock.now() >= deps.stamps.renewalOf(session, route);
  const permitted = await deps.permissions.ask(askedRoute(route, head), session.principal, signal);
  if (permitted && !due) return allowSession(deps, asked);
  const renewed = await renew(deps, asked, signal).catch((error: unknown) => {
    // A session that is good needs nobody's answer: it goes on unrenewed while its login cannot be looked up.
    if (permitted && !signal.aborted) return "unknown";
    throw error;
  });
  if (typeof renewed === "object") {
    return allow(deps, { route, head, session: renewed.session }, [["set-cookie", renewed.cookie]]);
  }
  if (renewed === "ended") return null;
  // What the session itself says is of when it was signed; what its login says is of today.
  if (!permitted || renewed === "refused") return notYours(session);
  deps.sessions.postpone(session);
  return allowSession(deps, asked);
}

/** A new token for the same session, if its login stands and still may: with the login's groups of today. "unknown": it has no login. */
async function renew(deps: GatekeeperDeps, { route, head, session }: Asked, signal: AbortSignal) {
  const login = rootOf(session.id);
  const grounds = await deps.tokens.find(login);
  if (grounds === null) return isTokenId(login) ? "ended" : "unknown";
  if (!(await deps.permissions.ask(askedRoute(route, head), grounds.principal, signal))) return "refused";
  return deps.sessions.mint({
    principal: grounds.principal,
    route,
    host: hostOf(route, head),
    proof: session.proof,
    id: session.id,
    notAfter: grounds.expiresAt ?? Infinity,
  });
}

function allowShown(deps: LocalDeps, asked: Asked, { id, respond }: Shown): Decision {
  const { route, head } = asked;
  if (deps.revocations.has(id)) return unauthenticated(deps, head, "this token is revoked");
  const ambient = saysOrigin(head) && deps.credentials.isAmbient(credentialHead(route, head));
  return ambient ? allowSession(deps, asked, respond) : allow(deps, asked, respond);
}

function sessionOf({ assertions }: LocalDeps, route: Route, shown: Shown): Session {
  const { id, principal, proof, expiresAt } = shown;
  const assertion = wantsAssertion(route) ? assertions.of(route, shown) : undefined;
  return {
    ...{ id, principal, proof, service: route.service, expiresAt, renewAt: expiresAt },
    ...(assertion !== undefined && { assertion }),
  };
}

/** Cookies, and passwords that a browser remembers, are sent on anybody's behalf, so who asks is looked at, too. */
function allowSession(deps: LocalDeps, asked: Asked, respond: HeaderFields = NOTHING): Decision {
  const { route, head, session } = asked;
  if (!comesFromElsewhere(deps.site, route, head)) return allow(deps, asked, respond);
  // Anybody may ask a public service, but nobody in somebody else's name.
  if (isPublic(route)) return allow(deps, { route, head, session: null });
  const reason = "this request came from another site, which this service does not allow (Origin, Sec-Fetch-Site)";
  return { kind: "deny", status: 403, code: "cross_origin", reason, session };
}

function comesFromElsewhere(site: Site, route: Route, head: RequestHead): boolean {
  if (!isConsequential(head)) return false;
  return isForeign(head, originOf(site, hostOf(route, head)), route.policy.allowedOrigins ?? []);
}

function allow(
  deps: LocalDeps,
  { route, head, session }: { readonly route: Route; readonly head: RequestHead; readonly session: Session | null },
  respond: HeaderFields = NOTHING,
): Decision {
  if (bypassesTheGate(route, head) && (session === null || !isManager(route, session.principal))) {
    if (session === null) return unauthenticated(deps, head, "log in: tunnels to this service are for its owner");
    const reason = "only its owner may open a tunnel to a service that speaks HTTP; ask for it by its address";
    return { kind: "deny", status: 403, code: "denied", reason, session };
  }
  const shown = deps.credentials.recognised(credentialHead(route, head));
  const strip = strippedHeaders(route, head, [...shown, ...deps.credentials.reserved(head)]);
  const stripCookies = [...new Set(ownCookies(head).map((cookie) => cookie.name))];
  const cors = allowedOriginFields(route, head);
  const set = session === null || head.method === "CONNECT" ? NOTHING : identityFields(route, session);
  const frame = frameOf(deps.site, route);
  return {
    ...{ kind: "allow", session, strip, stripCookies, set },
    respond: cors.length === 0 ? respond : [...respond, ...cors],
    ...(frame !== undefined && { frame }),
  };
}

/** What goes through a tunnel is not looked at: there a visitor could write to a web service who it is, which nobody else could take out. */
function bypassesTheGate(route: Route, head: RequestHead): boolean {
  return (
    head.method === "CONNECT" && route.guard === "gate" && (route.protocol === "http" || route.protocol === "grpc")
  );
}

/** Who checks by themselves are asked nothing, and get no more of the gate's than others do. */
function unguarded(deps: LocalDeps, route: Route, head: RequestHead): Decision {
  return isGateService(route.service) ? UNGUARDED : allow(deps, { route, head, session: null });
}

function isPublic(route: Route): boolean {
  return route.access.anyone === "public";
}

/** A browser that shows a page (Fetch Metadata; older ones by what they accept), as opposed to a script or a program. */
function isNavigation(head: RequestHead): boolean {
  const mode = head.header("sec-fetch-mode") ?? "navigate";
  const destination = head.header("sec-fetch-dest") ?? "document";
  return (
    (head.method === "GET" || head.method === "HEAD") &&
    head.header("upgrade") === undefined &&
    head.header("x-requested-with") === undefined &&
    (head.header("accept") ?? "").includes("text/html") &&
    mode === "navigate" &&
    ["document", "iframe", "frame"].includes(destination)
  );
}

function notYours(session: Session): Decision {
  const reason = `${session.principal.name} may not use this service; its owner can share it`;
  return { kind: "deny", status: 403, code: "denied", reason, session };
}

function unauthenticated(deps: LocalDeps, head: RequestHead, reason: string): Decision {
  const challenge = challengeFor(deps.credentials.challenges, head);
  return { kind: "deny", status: 401, code: "unauthenticated", reason, ...(challenge === "" ? {} : { challenge }) };
}

const STATUS = { bad_request: 400, denied: 403, not_found: 404, rate_limited: 429 } as const;

/** What could not be found out is never a yes and never a no. */
function refusal(
  deps: GatekeeperDeps,
  { route, head }: { readonly route: Route; readonly head: RequestHead },
  error: unknown,
): Decision {
  if (error instanceof GatewayError) {
    if (error.code === "unauthenticated") return unauthenticated(deps, head, error.message);
    if (error.code in STATUS) {
      const status = STATUS[error.code as keyof typeof STATUS];
      const { retryAfterS } = error;
      const later = retryAfterS === undefined ? {} : { retryAfterS };
      return { kind: "deny", status, code: error.code, reason: error.message, ...later };
    }
  }
  deps.logger.warn({ err: error, service: route.service }, "could not decide about a request");
  const reason = error instanceof GatewayError && error.code === "unavailable" ? error.message : "try again";
  return {
    kind: "deny",
    status: 503,
    code: "unavailable",
    reason: `who may come in cannot be found out now: ${reason}`,
  };
}
