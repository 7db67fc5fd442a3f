import type { Decision, Gatekeeper, HeaderFields, RequestHead, Route } from "../../model/index.ts";

export interface HeadOptions {
  readonly method?: string;
  readonly host: string;
  readonly path?: string;
  readonly peer?: string;
  readonly secure?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly repeated?: object | undefined;
}

/** The head of a request as a plane would hand it on. */
export function makeHead(options: HeadOptions): RequestHead {
  const headers = new Map(Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    method: options.method ?? "GET",
    host: options.host,
    path: options.path ?? "/",
    peer: options.peer ?? "127.0.0.1",
    secure: options.secure ?? false,
    header: (name) => headers.get(name),
    names: () => headers.keys(),
    repeated: options.repeated,
  };
}

/** What a browser sends for a click on a link or a typed address. */
export const NAVIGATION: Readonly<Record<string, string>> = Object.freeze({
  accept: "text/html,application/xhtml+xml,*/*;q=0.8",
  "sec-fetch-mode": "navigate",
  "sec-fetch-dest": "document",
  "sec-fetch-site": "none",
});

interface Kept {
  readonly name: string;
  readonly value: string;
  readonly host: string;
  readonly domain: boolean;
  readonly path: string;
  readonly secure: boolean;
  readonly expiresAt: number;
}

/** Cookies of a browser, by the rules of RFC 6265bis that matter here: host, domain, path, Secure, Max-Age and the two name prefixes. */
export class Jar {
  readonly #now: () => number;
  #kept: readonly Kept[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** As on a response from `url`. Throws for a cookie that a browser would drop: the gate must not send such. */
  set(url: URL, field: string): void {
    const [pair = "", ...rest] = field.split(";").map((part) => part.trim());
    const at = pair.indexOf("=");
    const attributes = new Map(
      rest.map((part): [string, string] => {
        const [name = "", value = ""] = part.split("=");
        return [name.toLowerCase(), value];
      }),
    );
    const cookie: Kept = {
      name: pair.slice(0, at),
      value: pair.slice(at + 1),
      host: attributes.get("domain") ?? url.hostname,
      domain: attributes.has("domain"),
      path: attributes.get("path") ?? "/",
      secure: attributes.has("secure"),
      expiresAt: attributes.has("max-age") ? this.#now() + Number(attributes.get("max-age")) * 1000 : Infinity,
    };
    if (cookie.secure && url.protocol !== "https:")
      throw new Error(`${cookie.name} is Secure and was sent in the plain`);
    if (/^__(Host|Secure)-/.test(cookie.name) && !cookie.secure) throw new Error(`${cookie.name} is not Secure`);
    if (cookie.name.startsWith("__Host-") && (cookie.domain || cookie.path !== "/")) throw new Error(cookie.name);
    const same = (other: Kept): boolean =>
      other.name === cookie.name && other.host === cookie.host && other.path === cookie.path;
    this.#kept = [...this.#kept.filter((other) => !same(other)), cookie];
  }

  /** The Cookie field for a request to `url`; undefined: none. Ports are not looked at, as no browser does. */
  header(url: URL): string | undefined {
    const path = (cookie: Kept): boolean =>
      url.pathname === cookie.path || url.pathname.startsWith(cookie.path.replace(/\/?$/, "/"));
    const host = (cookie: Kept): boolean =>
      url.hostname === cookie.host || (cookie.domain && url.hostname.endsWith(`.${cookie.host}`));
    const sent = this.#kept
      .filter((cookie) => cookie.expiresAt > this.#now() && host(cookie) && path(cookie))
      .filter((cookie) => !cookie.secure || url.protocol === "https:")
      .toSorted((a, b) => b.path.length - a.path.length);
    return sent.length === 0 ? undefined : sent.map(({ name, value }) => `${name}=${value}`).join("; ");
  }

  names(): readonly string[] {
    return this.#kept.filter((cookie) => cookie.expiresAt > this.#now()).map((cookie) => cookie.name);
  }
}

/** A browser in front of a gatekeeper, with a data plane's few lines between them: look up, check, admit. */
export class Browser {
  readonly jar: Jar;
  readonly #gatekeeper: Gatekeeper;
  readonly #routeFor: (host: string, path: string) => Route | undefined;
  /** What was asked with, as a plane knows fields again that come again. */
  readonly #known = new Map<string, object>();

  constructor(deps: {
    readonly gatekeeper: Gatekeeper;
    readonly routeFor: (host: string, path: string) => Route | undefined;
    readonly now: () => number;
  }) {
    this.#gatekeeper = deps.gatekeeper;
    this.#routeFor = deps.routeFor;
    this.jar = new Jar(deps.now);
  }

  head(url: string, options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {}) {
    const target = new URL(url);
    const cookie = this.jar.header(target);
    const headers = { ...(cookie === undefined ? {} : { cookie }), ...(options.headers ?? NAVIGATION) };
    return makeHead({
      method: options.method ?? "GET",
      host: target.host,
      path: target.pathname + target.search,
      secure: target.protocol === "https:",
      headers,
      repeated: this.#repeated(JSON.stringify([target.origin, headers])),
    });
  }

  #repeated(fields: string): object | undefined {
    const before = this.#known.get(fields);
    if (before === undefined) this.#known.set(fields, {});
    return before;
  }

  /** One request, no redirect followed; cookies of the answer are kept. `asked`: the plane had to take the slow way. */
  async request(
    url: string,
    options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Decision & { readonly asked: boolean }> {
    const target = new URL(url);
    const route = this.#routeFor(target.hostname, target.pathname);
    if (route === undefined) throw new Error(`no route for ${url}`);
    const head = this.head(url, options);
    const first = this.#gatekeeper.check(route, head);
    const asked = first.kind === "ask";
    const decision = asked ? await this.#gatekeeper.admit(route, head, new AbortController().signal) : first;
    for (const field of setCookies(decision)) this.jar.set(target, field);
    return { ...decision, asked };
  }
}

/** Response fields that the gate adds. */
export function responseFields(decision: Decision): HeaderFields {
  return decision.kind === "deny" ? [] : decision.respond;
}

/** Its Set-Cookie fields. */
export function setCookies(decision: Decision): readonly string[] {
  return responseFields(decision)
    .filter(([name]) => name === "set-cookie")
    .map(([, value]) => value);
}
