import {
  type AuditEntry,
  type AuditSink,
  type Decision,
  GatewayError,
  type HeaderFields,
  originOf,
  type RequestHead,
  type Route,
  type Session,
  type Site,
  taskKeyOf,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { type Codes, hashOf, isSecretForm, newSecret } from "./codes.ts";
import { type Cookie, cookieName, ownCookies, setCookie, valuesOf } from "./cookies.ts";
import type { Visit } from "./login.ts";
import type { Permissions } from "./permissions.ts";
import { authorityOf, deepLink, gatePath, hostOf, matchHost } from "./place.ts";
import { isForeign } from "./origins.ts";
import type { Revocations } from "./revocations.ts";
import type { SessionBook } from "./session-book.ts";
import { newSessionId, type Sessions } from "./sessions.ts";
import { whoOf } from "./use-recorder.ts";

const STATE_LIFETIME_S = 600;

export interface AppLoginDeps {
  readonly site: Site;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly visits: Codes<Visit>;
  readonly sessions: Sessions;
  readonly permissions: Permissions;
  readonly revocations: Revocations;
  readonly book: Pick<SessionBook, "begun">;
  readonly audit: Pick<AuditSink, "record">;
}

/** The gate's part on the hosts of services: off to the login page, back with a code, and out. */
export interface AppLogin {
  /** To the login page, with the state that this browser keeps; null where no login could lead back (the route has no host). */
  send(route: Route, head: RequestHead): Decision | null;
  /** Answers a request below `/.taskgate/`. Throws GatewayError. */
  answer(route: Route, head: RequestHead, signal: AbortSignal): Promise<Decision>;
}

/** Keeps nothing: there is nothing to close. */
export function createAppLogin(deps: AppLoginDeps): AppLogin {
  const { site } = deps;
  return {
    send(route, head) {
      const host = matchHost(route);
      if (host === null) return null;
      const name = cookieName(site, route, "state");
      // The same state for every tab of this browser, so that none of several logins at once spoils another.
      const value = valuesOf(ownCookies(head), name).find(isSecretForm) ?? newSecret();
      const query = new URLSearchParams({
        host: authorityOf(site, host),
        state: hashOf(value),
        path: deepLink(route, head),
      });
      return redirect(`${originOf(site, site.gateHost)}/.taskgate/login?${query.toString()}`, [
        ["set-cookie", setCookie(site, route, { name, value, maxAgeS: STATE_LIFETIME_S })],
      ]);
    },
    async answer(route, head, signal) {
      const [path, query = ""] = splitOnce(gatePath(route, head.path) ?? "");
      if (path === "/.taskgate/session" && head.method === "GET") {
        return enter(deps, { route, head, code: new URLSearchParams(query).get("code") ?? "" }, signal);
      }
      if (path === "/.taskgate/logout" && (head.method === "GET" || head.method === "POST")) {
        return leave(deps, route, head);
      }
      throw new GatewayError("not_found", "the gate has nothing at this path");
    },
  };
}

/** Exchanges a code for a session. The code is spent by the first try, right or wrong. */
async function enter(
  deps: AppLoginDeps,
  { route, head, code }: { readonly route: Route; readonly head: RequestHead; readonly code: string },
  signal: AbortSignal,
): Promise<Decision> {
  const { site, clock, sessions } = deps;
  const host = hostOf(route, head);
  const again = `open ${originOf(site, host)}/ again`;
  if (!isSecretForm(code)) throw new GatewayError("bad_request", `no login code came with this; ${again}`);
  const visit = await deps.visits.redeem(code);
  const cookies = ownCookies(head);
  const states = valuesOf(cookies, cookieName(site, route, "state"));
  if (visit.host !== host || visit.service !== route.service || visit.route !== route.id) {
    throw new GatewayError("denied", `this login was for another service; ${again}`);
  }
  if (!states.some((state) => hashOf(state) === visit.state)) {
    // Another tab was faster, and the state went with its exchange: this browser is in already, and needs nothing from this code.
    if (sessions.find(route, head, cookies) !== null) return redirect(`${originOf(site, host)}${visit.path}`, []);
    throw new GatewayError("denied", `this login began in another browser, or took too long; ${again}`);
  }
  if (visit.login !== null && deps.revocations.has(visit.login)) {
    throw new GatewayError("denied", `this login has ended; ${again}`);
  }
  if (!(await deps.permissions.ask(route, visit.principal, signal))) {
    throw new GatewayError("denied", `${visit.principal.name} may not use this service`);
  }
  const { session, cookie } = sessions.mint({
    ...{ principal: visit.principal, proof: visit.proof, route, host },
    id: newSessionId(visit.login ?? NO_LOGIN),
    notAfter: visit.notAfter ?? clock.now() + FOREVER_MS,
  });
  await deps.book.begun(session, { host, peer: head.peer, until: lastEndOf(visit, session) });
  const { realm, name: user } = session.principal;
  deps.logger.info({ realm, user, service: route.service, host, peer: head.peer }, "session begun");
  deps.audit.record({ ...loginEntry(route, head, session), operation: "beginSession" });
  const state: Cookie = { name: cookieName(site, route, "state"), value: "" };
  return redirect(`${originOf(site, host)}${visit.path}`, [
    ["set-cookie", cookie],
    ["set-cookie", setCookie(site, route, { ...state, maxAgeS: 0 })],
  ]);
}

/** First half of the ids of sessions that belong to no login that could be revoked as a whole. */
const NO_LOGIN = "none";
const FOREVER_MS = 10 * 365 * 86_400_000;

async function leave(deps: AppLoginDeps, route: Route, head: RequestHead): Promise<Decision> {
  const { site, sessions } = deps;
  const session = sessions.find(route, head, ownCookies(head));
  const own = originOf(site, hostOf(route, head));
  // A link from another page must not throw anybody out; typing the address, or a link of the service itself, may.
  const typed = head.method === "GET" && head.header("sec-fetch-site") === "none";
  if (session !== null && !typed && isForeign(head, own, [])) {
    throw new GatewayError("denied", "logging out was asked for by another site");
  }
  if (session !== null) {
    await deps.revocations.revoke(session.id);
    deps.audit.record({ ...loginEntry(route, head, session), operation: "endSession" });
  }
  return redirect(`${originOf(site, site.gateHost)}/`, [["set-cookie", sessions.clear(route)]]);
}

function loginEntry(route: Route, { peer }: RequestHead, session: Session): AuditEntry {
  const { service } = route;
  const what = { service, task: taskKeyOf(service), object: session.id };
  return { kind: "login", event: "once", outcome: "allowed", peer, ...what, ...whoOf(session) };
}

/** The address that a visitor comes from may hold a code, and what it leads to must not be kept by a cache. */
function redirect(location: string, fields: HeaderFields): Decision {
  const respond: HeaderFields = [...fields, ["cache-control", "no-store"], ["referrer-policy", "no-referrer"]];
  return { kind: "redirect", location, respond };
}

function splitOnce(path: string): [string, string?] {
  const at = path.indexOf("?");
  return at < 0 ? [path] : [path.slice(0, at), path.slice(at + 1)];
}

/** Until when a session that began so can be renewed, epoch ms. */
function lastEndOf({ login, notAfter }: Visit, session: Session): number {
  return login === null ? session.expiresAt : (notAfter ?? Infinity);
}
