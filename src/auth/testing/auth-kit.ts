import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import { LoginConfig } from "../../config/schema.ts";
import {
  matchKey,
  OWNER_ONLY,
  type Match,
  type Principal,
  type Route,
  type Session,
  type Site,
  type Use,
} from "../../model/index.ts";
import type { Logger } from "../../platform/logger.ts";
import { startEmbeddedStore } from "../../store/embedded/embedded-store.ts";
import type { Store } from "../../store/store.ts";
import { createManualClock, type ManualClock } from "../../store/testing/manual-clock.ts";
import { type Auth, type AuthDeps, startAuth } from "../auth.ts";
import { createSealer, SEALER_KEY_BYTES } from "../sealer.ts";
import { Browser, makeHead } from "./browser.ts";

export const OWNER: Principal = Object.freeze({ realm: "local", name: "olga", groups: Object.freeze([]), admin: true });
export const START = Date.UTC(2026, 0, 1);
export const PLAIN: Site = Object.freeze({
  domain: "localhost",
  gateHost: "taskgate.localhost",
  pathHost: "paths.localhost",
  secure: false,
  port: 7080,
  dial: "127.0.0.1",
});
export const SECURE: Site = Object.freeze({
  domain: "apps.example.com",
  gateHost: "taskgate.apps.example.com",
  pathHost: "paths.apps.example.com",
  secure: true,
  port: 443,
  dial: "192.0.2.1",
});

/** A WebSocket of this session, over which something went. */
export function useOf(session: Session | null): Use {
  const figures = { bytesIn: 10, bytesOut: 20, status: 101, code: null, largestIn: 0, cutFor: null };
  return { kind: "websocket", peer: "192.0.2.7", head: null, session, ...figures };
}

/** Everything a route needs, beside what a test is about. */
export function makeRoute(match: Match, more: Partial<Omit<Route, "id" | "match">> = {}): Route {
  return {
    id: matchKey(match),
    match,
    service: "local/nb/web",
    protocol: "http",
    guard: "gate",
    upstream: "local/nb/web",
    owner: { realm: OWNER.realm, name: OWNER.name },
    access: OWNER_ONLY,
    policy: {},
    ...more,
  };
}

export function hostRoute(host: string, service: string, more: Partial<Omit<Route, "id" | "match">> = {}): Route {
  return makeRoute({ by: "host", listener: "web", host }, { service, ...more });
}

export function pathRoute(prefix: string, service: string, host: string): Route {
  return makeRoute({ by: "path", listener: "web", host, prefix, strip: false }, { service });
}

/** Keeps what is logged, as text. */
export function createLogCapture(): { readonly logger: Logger; text(): string } {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return { logger: pino({ level: "trace" }, stream), text: () => lines.join("") };
}

/** A store in a folder of its own; both go away together. */
export async function startTestStore(clock: ManualClock, logger: Logger): Promise<Store & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-auth-"));
  const store = await startEmbeddedStore({ file: join(folder, "gate.db"), clock, logger });
  return {
    folder,
    get: (kind, key) => store.get(kind, key),
    list: (kind) => store.list(kind),
    put: (kind, key, value, options) => store.put(kind, key, value, options),
    remove: (kind, key, version) => store.remove(kind, key, version),
    watch: (kind, from, changed) => store.watch(kind, from, changed),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface AuthKit extends AsyncDisposable {
  readonly auth: Auth;
  readonly clock: ManualClock;
  readonly store: Store;
  readonly site: Site;
  /** What the table holds: tests add, replace and remove. */
  readonly routes: Map<string, Route>;
  routeFor(host: string, path: string): Route | undefined;
  browser(): Browser;
  /** A browser that came in by a link, and its login token. */
  login(principal?: Principal): Promise<{ readonly browser: Browser; readonly token: string }>;
  /** What the login page does after a redirect to it. */
  goOn(location: string, token: string): Promise<string>;
  /** The whole way from an app's address to a session there; gives the address where the browser ends. */
  enter(browser: Browser, token: string, url: string): Promise<string>;
  /** The same gate again, on the same store. */
  restart(more?: Partial<AuthDeps>): Promise<Auth>;
  logged(): string;
}

/** A gate's whole login on a real store, with time that stands still. */
export async function startAuthKit(
  options: Partial<AuthDeps> & { readonly table?: readonly Route[] } = {},
): Promise<AuthKit> {
  const { table = [], ...more } = options;
  const log = createLogCapture();
  const clock = createManualClock(START);
  const own = await startTestStore(clock, log.logger);
  const routes = new Map(table.map((route) => [route.id, route]));
  const site = more.site ?? PLAIN;
  const routeFor = (host: string, path: string): Route | undefined => lookUp(routes, host, path);
  const deps: AuthDeps = {
    sealer: createSealer(new Uint8Array(SEALER_KEY_BYTES)),
    ...{ store: own, clock, site, owner: OWNER, routeFor, logger: log.logger },
    config: LoginConfig.parse({}),
    ...more,
  };
  const auth = await startAuth(deps);
  const opened: Auth[] = [auth];

  const kit: AuthKit = {
    ...{ auth, clock, site, routes, routeFor },
    store: deps.store,
    browser: () => new Browser({ gatekeeper: auth.gatekeeper, routeFor, now: () => clock.now() }),
    async login(principal = OWNER) {
      const { url } = await auth.login.link(principal);
      const code = new URLSearchParams(new URL(url).hash.slice(1)).get("code") ?? "";
      return { browser: kit.browser(), token: (await auth.login.redeem(code, "127.0.0.1")).token };
    },
    async goOn(location, token) {
      const { searchParams } = new URL(location);
      const asked = (name: string): string => searchParams.get(name) ?? "";
      const caller = await auth.authenticate(bearer(site, token), new AbortController().signal);
      const to = { host: asked("host"), state: asked("state"), path: asked("path") };
      return (await auth.login.visit(caller, to)).location;
    },
    async enter(browser, token, url) {
      const sent = await browser.request(url);
      if (sent.kind !== "redirect")
        throw new Error(`expected a redirect to the login page, got ${JSON.stringify(sent)}`);
      const back = await browser.request(await kit.goOn(sent.location, token));
      if (back.kind !== "redirect")
        throw new Error(`expected a redirect to the deep link, got ${JSON.stringify(back)}`);
      return back.location;
    },
    async restart(changed = {}) {
      const next = await startAuth({ ...deps, ...changed });
      opened.push(next);
      return next;
    },
    logged: () => log.text(),
    async [Symbol.asyncDispose]() {
      for (const each of opened) await each[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
  return kit;
}

/** As a plane does: paths of a host before the host itself. */
function lookUp(routes: ReadonlyMap<string, Route>, host: string, path: string): Route | undefined {
  const found = [...routes.values()].filter(({ match }) => {
    if (match.by === "path") return match.host === host && path.startsWith(match.prefix);
    return match.by === "host" && match.host === host;
  });
  return found.find((route) => route.match.by === "path") ?? found[0];
}

/** A request to the API with a login's token. */
export function bearer(site: Site, token: string) {
  return makeHead({
    host: site.gateHost,
    path: "/.taskgate/api/v1/visit",
    headers: { authorization: `Bearer ${token}` },
  });
}
