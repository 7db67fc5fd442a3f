import {
  GatewayError,
  type HeaderFields,
  originOf,
  type Principal,
  type RequestHead,
  type Site,
} from "../model/index.ts";
import type { LoginConfig } from "../config/schema.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { abortable } from "./answers.ts";
import { createAttemptLimit } from "./attempt-limit.ts";
import type { Authenticator, Interactive, LoggedIn } from "./authenticators/authenticator.ts";
import { createCodes, hashOf, isSecretForm, newSecret } from "./codes.ts";
import type { LoginLimit } from "./login-limit.ts";
import type { Logins } from "./logins.ts";
import type { Sealer } from "./sealer.ts";
import type { Tokens } from "./tokens.ts";

/** How long somebody may take at the provider's page. */
const ATTEMPT_MS = 600_000;
const ANSWER_MS = 60_000;
/** An office behind one address logs in in the morning; each attempt is kept for ten minutes. */
const ATTEMPTS = { perPeer: 120, inAll: 1200 };

/** A way to log in, as the login page shows it. */
export interface MethodView {
  readonly name: string;
  readonly label: string;
  readonly kind: Interactive["kind"];
  /** Of a password's form: whether it asks for a name, too. */
  readonly asksName: boolean;
}

/** A browser's login to the gate; `token` is shown this once. */
export interface NewLogin {
  readonly token: string;
  /** Epoch ms. */
  readonly expiresAt: number;
  readonly realm: string;
  /** The person's name. */
  readonly principal: string;
  /** Response headers that go with it. */
  readonly respond?: HeaderFields;
}

/**
 * Logins of people at a browser, by the configured methods. All throw `not_found` for a method that there is not, `unauthenticated`,
 * `denied`, `rate_limited` and `unavailable`. `peer`: address of who asks.
 */
export interface MethodLogins {
  readonly methods: readonly MethodView[];
  /** `secret` is for this browser alone to keep until it is back: by it, it is known to be the same one. */
  begin(
    method: string,
    peer: string,
    signal: AbortSignal,
  ): Promise<{ readonly location: string; readonly state: string; readonly secret: string }>;
  /** `parameters`: the query of the address that the provider sent the browser back to. */
  complete(
    method: string,
    back: { readonly parameters: string; readonly secret: string },
    peer: string,
    signal: AbortSignal,
  ): Promise<NewLogin>;
  withPassword(
    method: string,
    given: { readonly user: string; readonly password: string },
    peer: string,
    signal: AbortSignal,
  ): Promise<NewLogin>;
  /** By what the request's own headers hold. `challenge`: of the method, for who is `unauthenticated`. */
  withHeader(method: string, head: RequestHead, signal: AbortSignal): Promise<NewLogin>;
  challengeOf(method: string): string | null;
  /** The provider says that a login there has ended. `body`: as it was posted. Throws `bad_request` for what does not prove it. */
  ended(method: string, body: URLSearchParams, signal: AbortSignal): Promise<void>;
  /** Where the browser ends its login at the provider, too; null: nowhere. To be asked before the token is revoked. */
  endSession(token: string, signal: AbortSignal): Promise<string | null>;
}

export interface MethodLoginsDeps {
  readonly store: Store;
  readonly site: Site;
  readonly config: LoginConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sealer: Sealer;
  readonly tokens: Tokens;
  readonly logins: Logins;
  readonly limit: LoginLimit;
  readonly authenticators: readonly Authenticator[];
}

/** What is kept of an attempt while the person is at the provider's page. */
interface Attempt {
  readonly method: string;
  /** Hash of the browser's secret. */
  readonly browser: string;
  /** What the method needs at the end (PKCE verifier, nonce), sealed. */
  readonly sealed: string;
}

/** Keeps nothing but counters of attempts. There is nothing to close. */
export function createMethodLogins(deps: MethodLoginsDeps): MethodLogins {
  return new Methods(deps);
}

class Methods implements MethodLogins {
  readonly methods: readonly MethodView[];
  readonly #deps: MethodLoginsDeps;
  readonly #attempts;
  readonly #begun;

  constructor(deps: MethodLoginsDeps) {
    this.#deps = deps;
    this.#attempts = createCodes<Attempt>({ store: deps.store, clock: deps.clock, kind: "login-attempts" });
    this.#begun = createAttemptLimit(deps.clock, ATTEMPTS);
    this.methods = deps.authenticators.flatMap(({ name, interactive }) => {
      if (interactive === undefined) return [];
      const { kind, label } = interactive;
      return [{ name, label, kind, asksName: kind === "password" && interactive.asksName }];
    });
  }

  async begin(
    method: string,
    peer: string,
    signal: AbortSignal,
  ): Promise<{ readonly location: string; readonly state: string; readonly secret: string }> {
    const { sealer } = this.#deps;
    const login = this.#find(method, "redirect");
    this.#begun.take(peer);
    const [state, secret] = [newSecret(), newSecret()];
    const { location, keep } = await asked(
      method,
      login.begin({ redirectUri: this.#back(method), state }, signal),
      signal,
    );
    const attempt: Attempt = { method, browser: hashOf(secret), sealed: sealer.seal(keep, hashOf(state)) };
    await this.#attempts.mint(attempt, ATTEMPT_MS, state);
    return { location: location.href, state, secret };
  }

  async complete(
    method: string,
    { parameters: query, secret }: { readonly parameters: string; readonly secret: string },
    peer: string,
    signal: AbortSignal,
  ): Promise<NewLogin> {
    const login = this.#find(method, "redirect");
    const parameters = new URLSearchParams(query);
    const found = await this.#deps.limit.count({ method, peer }, async () => {
      // A repeated parameter would be one thing to the check and another to who uses it (RFC 6749 section 3.1).
      const [state = "", ...others] = parameters.getAll("state");
      if (!isSecretForm(state) || others.length > 0) throw lost();
      const attempt = await this.#attempts.redeem(state);
      const keep = this.#deps.sealer.open(attempt.sealed, hashOf(state));
      if (attempt.method !== method || attempt.browser !== hashOf(secret) || keep === null) throw lost();
      return asked(
        method,
        login.complete({ redirectUri: this.#back(method), state, parameters, keep }, signal),
        signal,
      );
    });
    return this.#finish(method, found, peer);
  }

  async withPassword(
    method: string,
    given: { readonly user: string; readonly password: string },
    peer: string,
    signal: AbortSignal,
  ): Promise<NewLogin> {
    const login = this.#find(method, "password");
    return this.#finish(method, await asked(method, login.verify({ ...given, peer }, signal), signal), peer);
  }

  async withHeader(method: string, head: RequestHead, signal: AbortSignal): Promise<NewLogin> {
    const login = this.#find(method, "header");
    const { respond, ...found } = await asked(method, login.verify(head, signal), signal);
    return { ...(await this.#finish(method, found, head.peer)), ...(respond === undefined ? {} : { respond }) };
  }

  challengeOf(method: string): string | null {
    return this.#find(method, "header").challenge ?? null;
  }

  async ended(method: string, body: URLSearchParams, signal: AbortSignal): Promise<void> {
    const login = this.#find(method, "redirect");
    if (login.ended === undefined) throw new GatewayError("not_found", `${method} takes no word of logins that ended`);
    const upstream = await asked(method, login.ended(body, signal), signal);
    const count = await this.#deps.logins.ended(method, upstream);
    this.#deps.logger.info({ method, logins: count }, "provider ended logins");
  }

  async endSession(token: string, signal: AbortSignal): Promise<string | null> {
    const kept = await this.#deps.logins.secretOf(token);
    const interactive = this.#deps.authenticators.find(({ name }) => name === kept?.method)?.interactive;
    if (kept === null || interactive?.kind !== "redirect" || interactive.endSession === undefined) return null;
    const { site } = this.#deps;
    const page = `${originOf(site, site.gateHost)}/.taskgate/login`;
    const location = await asked(kept.method, interactive.endSession(kept.secret, page, signal), signal);
    return location?.href ?? null;
  }

  #find<K extends Interactive["kind"]>(method: string, kind: K): Extract<Interactive, { readonly kind: K }> {
    const found = this.#deps.authenticators.find(({ name }) => name === method)?.interactive;
    if (found?.kind !== kind) throw new GatewayError("not_found", "there is no such way to log in here");
    return found as Extract<Interactive, { readonly kind: K }>;
  }

  /** To the letter what the provider has on record: it is never made of what a request says. */
  #back(method: string): string {
    const { site } = this.#deps;
    return `${originOf(site, site.gateHost)}/.taskgate/login/${method}/callback`;
  }

  async #finish(method: string, found: LoggedIn, peer: string): Promise<NewLogin> {
    const { clock, config, logger, logins, tokens } = this.#deps;
    const principal: Principal = found.principal;
    const lifetimeMs = found.lifetimeMs ?? config.gateSession;
    const login = await logins.begin(method, found, clock.now() + lifetimeMs);
    const { view, token } = await tokens.issue({
      name: "browser",
      kind: "browser",
      proof: method,
      principal,
      lifetimeMs,
    });
    await logins.bind(view.id, login);
    const { realm, name } = principal;
    logger.info({ realm, user: name, method, login: view.id, peer }, "browser logged in");
    return { token, expiresAt: view.expiresAt ?? clock.now() + lifetimeMs, realm, principal: name };
  }
}

/** What a method says, or that it does not: whatever else goes wrong in it is never a no. */
async function asked<T>(method: string, answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await abortable(answer, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
  } catch (error) {
    if (error instanceof GatewayError || signal.aborted) throw error;
    throw new GatewayError("unavailable", `${method} failed`, { cause: error });
  }
}

/** Said of every way in which a browser that comes back is not the one that left. */
function lost(): GatewayError {
  return new GatewayError("unauthenticated", "this login was not begun in this browser, or too long ago; log in again");
}
