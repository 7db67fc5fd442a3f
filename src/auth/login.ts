import {
  copyPrincipal,
  GatewayError,
  type HeaderFields,
  originOf,
  type Principal,
  type RequestHead,
  type Route,
  type Site,
} from "../model/index.ts";
import type { LoginConfig } from "../config/schema.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { type Codes, createCodes, isSecretForm } from "./codes.ts";
import type { Credentials } from "./credentials.ts";
import type { LoginLimit } from "./login-limit.ts";
import type { Permissions } from "./permissions.ts";
import { authorityOf, gatePath, hostnameOf, isPlainPath, matchHost, pathPrefix } from "./place.ts";
import type { Revocations } from "./revocations.ts";
import type { Tokens } from "./tokens.ts";

/** Somebody who called the API; `credential` is what they showed (its public id), so that what comes of it ends with it. */
export interface Caller extends Principal {
  /** Response headers that they get. */
  readonly respond?: HeaderFields;
  readonly credential?: { readonly id: string; readonly expiresAt: number; readonly proof?: string };
}

/** What a single-use code between the gate's host and a service's host stands for. */
export interface Visit {
  readonly principal: Principal;
  /** How they proved who they are: name of the login method. */
  readonly proof?: string | undefined;
  /** Id of the login that the session will belong to; null where it belongs to none and cannot be renewed. */
  readonly login: string | null;
  readonly host: string;
  readonly service: string;
  /** Of the route: prefix, host and all. */
  readonly route: string;
  /** Hash of the state that the service's host gave the browser. */
  readonly state: string;
  /** The deep link. */
  readonly path: string;
  /** Epoch ms; of the login. */
  readonly notAfter: number | null;
}

/** From nothing to a login, and from a login to a service. */
export interface Login {
  /**
   * A link that logs one browser in, once. The code is in the fragment, which no browser sends to any server. Throws `denied` for who
   * showed a token with a scope: the login would have none; and `unavailable`.
   */
  link(principal: Principal): Promise<{ readonly url: string; readonly expiresAt: number }>;
  /** Throws `unauthenticated`, `rate_limited` or `unavailable`. `peer`: address of who tries. */
  redeem(
    code: string,
    peer: string,
  ): Promise<{
    readonly token: string;
    readonly expiresAt: number;
    readonly realm: string;
    readonly principal: string;
  }>;
  /**
   * Where the browser goes on to. `host`: with port, as the redirect to the login page named it. Throws `bad_request`, `not_found`,
   * `denied`, `unauthenticated` or `unavailable`.
   */
  visit(
    caller: Caller,
    to: { readonly host: string; readonly state: string; readonly path: string },
  ): Promise<{ readonly location: string }>;
  /** Ends the browser's login that the request shows, and every session that came of it. Throws `unauthenticated` or `unavailable`. */
  logout(head: RequestHead): Promise<void>;
}

export interface LoginDeps {
  readonly store: Store;
  readonly config: LoginConfig;
  readonly site: Site;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: Tokens;
  readonly credentials: Credentials;
  readonly limit: LoginLimit;
  readonly permissions: Permissions;
  readonly revocations: Revocations;
  readonly visits: Codes<Visit>;
  readonly current: (principal: Principal) => Principal | null;
  readonly routeFor: (host: string, path: string) => Route | undefined;
}

/** There is nothing to close. */
export function createLogin(deps: LoginDeps): Login {
  const { clock, config, logger, site } = deps;
  const links = createCodes<Principal>({ store: deps.store, clock, kind: "links" });
  const page = `${originOf(site, site.gateHost)}/.taskgate/login`;

  return {
    async link(principal) {
      if (principal.scope !== undefined)
        throw new GatewayError("denied", "a token with a scope makes no login links; log in");
      const { code, expiresAt } = await links.mint(copyPrincipal(principal), config.link);
      return { url: `${page}#code=${code}`, expiresAt };
    },
    async redeem(code, peer) {
      const principal = await deps.limit.count({ method: "link", peer }, async () => {
        const found = deps.current(await links.redeem(code));
        if (found === null)
          throw new GatewayError("unauthenticated", "this link is for somebody who is not known here");
        return found;
      });
      const { view, token } = await deps.tokens.issue({
        name: "browser",
        principal,
        kind: "browser",
        proof: "link",
        lifetimeMs: config.gateSession,
      });
      logger.info({ realm: principal.realm, user: principal.name, login: view.id, peer }, "browser logged in");
      const { realm, name } = principal;
      return { token, expiresAt: view.expiresAt ?? clock.now() + config.gateSession, realm, principal: name };
    },
    visit: (caller, to) => visit(deps, caller, to),
    async logout(head) {
      const shown = await deps.credentials.authenticate(head, AbortSignal.timeout(LOGOUT_TIME_MS));
      const grounds = shown === null ? null : await deps.tokens.find(shown.id);
      if (grounds?.kind !== "browser") {
        throw new GatewayError(
          "unauthenticated",
          "there is no browser's login here to end; tokens are revoked by their id",
        );
      }
      await deps.tokens.revoke(grounds.id, grounds.principal);
      logger.info(
        { realm: grounds.principal.realm, user: grounds.principal.name, login: grounds.id },
        "browser logged out",
      );
    },
  };
}

const LOGOUT_TIME_MS = 10_000;

async function visit(
  deps: LoginDeps,
  caller: Caller,
  to: { readonly host: string; readonly state: string; readonly path: string },
): Promise<{ readonly location: string }> {
  const { site } = deps;
  const host = hostnameOf(to.host);
  if (!isSecretForm(to.state)) throw new GatewayError("bad_request", "state: expected what the service's host gave");
  if (!isPlainPath(to.path)) throw new GatewayError("bad_request", "path: expected a path and query, beginning with /");
  // The table says which hosts there are. The text of a host says nothing, however much it looks like one of ours.
  const route = to.host === authorityOf(site, host) ? deps.routeFor(host, to.path) : undefined;
  if (route?.guard !== "gate" || matchHost(route) !== host) {
    throw new GatewayError("not_found", "host: there is no service at that name");
  }
  if (gatePath(route, to.path) !== null) throw new GatewayError("bad_request", "path: this one is the gate's own");

  const grounds = await groundsOf(deps, caller);
  if (!(await deps.permissions.ask(route, grounds.principal, AbortSignal.timeout(VISIT_TIME_MS)))) {
    throw new GatewayError("denied", `${caller.name} may not use this service`);
  }
  const { code } = await deps.visits.mint(
    { ...grounds, host, service: route.service, route: route.id, state: to.state, path: to.path },
    deps.config.code,
  );
  return { location: `${originOf(site, host)}${pathPrefix(route)}/.taskgate/session?code=${code}` };
}

const VISIT_TIME_MS = 10_000;

/** What the session will stand on: the login as it is now, not as it was when it was shown. */
async function groundsOf(
  { tokens, revocations }: LoginDeps,
  caller: Caller,
): Promise<Pick<Visit, "principal" | "proof" | "login" | "notAfter">> {
  const principal = copyPrincipal(caller);
  const { credential } = caller;
  if (credential === undefined) return { principal, login: null, notAfter: null };
  const grounds = await tokens.find(credential.id);
  if (grounds !== null) {
    const { principal: found, proof, id: login, expiresAt: notAfter } = grounds;
    return { principal: found, ...(proof === undefined ? {} : { proof }), login, notAfter };
  }
  if (revocations.has(credential.id)) throw new GatewayError("unauthenticated", "this login has ended; log in again");
  return { principal, login: credential.id, notAfter: credential.expiresAt };
}
