import { LoginConfig } from "../../src/config/schema.ts";
import { type AuthKit, hostRoute, OWNER, startAuthKit } from "../../src/auth/testing/auth-kit.ts";
import { NAVIGATION } from "../../src/auth/testing/browser.ts";
import type { Principal, Route, Site } from "../../src/model/index.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Answer, LoginEnvoy, siteOfEnvoy } from "./login-envoy.ts";

export const HOST = "nb.localhost";
export const OTHER = "other.localhost";
export const OPEN = "open.localhost";
export const PAGE = Object.entries(NAVIGATION);
export const SAME: readonly [string, string] = ["sec-fetch-site", "same-origin"];
export const ZOE: Principal = { realm: "corp", name: "Zoë, 50%", groups: [{ realm: "corp", name: "data/ü" }, { realm: "corp", name: "other" }], admin: false }; // prettier-ignore
export const GROUP = { group: { realm: "corp", name: "data/ü" } };
export const BY = { realm: OWNER.realm, name: OWNER.name };

type More = Parameters<typeof hostRoute>[2];

export function notebook(more: More = {}): Route {
  return hostRoute(HOST, "local/nb/web", { access: { grants: [{ to: GROUP, by: BY }], anyone: "nobody" }, ...more });
}

const makeTable = (): readonly Route[] => [
  notebook(),
  hostRoute(OTHER, "local/other/web"),
  hostRoute(OPEN, "local/open/web", { access: { grants: [], anyone: "public" } }),
  hostRoute("self.localhost", "local/self/web", { guard: "self" }),
  hostRoute("raw.localhost", "local/raw/port", { protocol: "tcp" }),
  hostRoute("app.localhost", "local/app/web", { policy: { authorization: "app" } }),
  hostRoute("cors.localhost", "local/cors/web", { policy: { allowedOrigins: ["http://page.example"] } }),
];

/** A gate and an Envoy before it. */
export class Stand implements AsyncDisposable {
  readonly site: Site;
  readonly kit: AuthKit;
  readonly envoy: LoginEnvoy;

  private constructor(site: Site, kit: AuthKit, envoy: LoginEnvoy) {
    [this.site, this.kit, this.envoy] = [site, kit, envoy];
  }

  static async start({
    login = {},
    secure = false,
    handle,
  }: {
    readonly login?: object;
    readonly secure?: boolean;
    readonly handle?: Parameters<typeof LoginEnvoy.start>[0]["handle"];
  } = {}): Promise<Stand> {
    // prettier-ignore
    const site = await siteOfEnvoy(secure);
    const config = LoginConfig.parse(login);
    const routes = makeTable();
    const kit = await startAuthKit({ site, table: routes, verifiedByPlane: true, clock: systemClock, config });
    const { gatekeeper, keys, verification } = kit.auth;
    const gate = { gatekeeper, keys, verification, frameOf: verification.frameOf };
    const envoy = await LoginEnvoy.start({ site, gate, routes, ...(handle && { handle }) });
    return new Stand(site, kit, envoy);
  }

  /** Logs in at a service as a browser does; the session's cookie. */
  async enter(host: string, principal: Principal = OWNER): Promise<string> {
    const sent = await this.envoy.ask(host, { headers: PAGE });
    const state = cookieOf(sent);
    const { token } = await this.kit.login(principal);
    const back = new URL(await this.kit.goOn(String(sent.headers.location), token));
    const entered = await this.envoy.ask(host, { path: back.pathname + back.search, headers: [...PAGE, ["cookie", state]] }); // prettier-ignore
    return cookieOf(entered);
  }

  /** How many questions the gate is asked by that. */
  async questions(work: () => Promise<unknown>): Promise<number> {
    const before = this.envoy.asked;
    await work();
    return this.envoy.asked - before;
  }

  /** What is served from now on, in place of those of the same host; resolves when the Envoy has heard it. */
  async serve(...routes: readonly Route[]): Promise<void> {
    for (const route of routes) this.kit.routes.set(route.id, route);
    await this.envoy.publish([...this.kit.routes.values()]);
    await this.envoy.heard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.envoy[Symbol.asyncDispose]();
    await this.kit[Symbol.asyncDispose]();
  }
}

export function cookieOf({ headers }: Answer): string {
  return headers["set-cookie"]?.[0]?.split(";", 1)[0] ?? "";
}
