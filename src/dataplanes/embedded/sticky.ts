import type { Decision, RequestHead, Route, Site } from "../../model/index.ts";
import { isSticky, setStickyCookie, stickyCookie, stickyId } from "../sticky-cookie.ts";

export interface StickyDeps {
  readonly site: Site;
  /** The same in every process and life of a gate; who does not have it cannot tell which replica a cookie names. */
  readonly secret: string;
}

/** What is looked at of a call, and changed. */
export interface StickyCall {
  readonly route: Route;
  readonly allowed: Extract<Decision, { kind: "allow" }>;
  readonly exchange: { readonly head: RequestHead };
}

/** Cookies of the one name that are looked at: a sibling may toss copies (over http any host of a domain can). */
const MAX_CANDIDATES = 4;

const NO_IDS: readonly string[] = Object.freeze([]);

/**
 * Keeps a browser with the replica that it came to, for services that ask for it (`Policy.sticky`), by a cookie of the gate's own: an id
 * that says nothing of names or addresses, for the session of the browser. When its replica is gone, drains or is passed over, the visitor
 * is given another and stays with that. A job neither sees the cookie nor can set it.
 */
export class Sticky {
  readonly #deps: StickyDeps;

  constructor(deps: StickyDeps) {
    this.#deps = deps;
  }

  /** What `Target.stickyId` is. */
  readonly idOf = (upstream: string, replica: string): string => stickyId(this.#deps.secret, upstream, replica);

  /** `Target.stickyId` of where this visitor was, by what its cookies claim. */
  idsFor(route: Route, head: RequestHead): readonly string[] {
    if (!isSticky(route)) return NO_IDS;
    return cookieValues(head.header("cookie") ?? "", stickyCookie(this.#deps.site, route));
  }

  /** The call as it goes to this endpoint: the job does not get the cookie, and the visitor gets one where it has none for that replica. */
  callFor<T extends StickyCall>(call: T, target: { readonly stickyId: string }): T {
    const { route, allowed, exchange } = call;
    if (!isSticky(route)) return call;
    const { site } = this.#deps;
    const name = stickyCookie(site, route);
    const stays = this.idsFor(route, exchange.head).includes(target.stickyId);
    const field = ["set-cookie", setStickyCookie(site, route, target.stickyId)] as const;
    const respond = stays ? allowed.respond : [...allowed.respond, field];
    return { ...call, allowed: { ...allowed, respond, stripCookies: [...allowed.stripCookies, name] } };
  }
}

function cookieValues(field: string, name: string): string[] {
  if (!field.includes(name)) return [];
  const pairs = field.split(";").map((pair) => pair.trim());
  const own = pairs.filter((pair) => pair.startsWith(`${name}=`)).slice(0, MAX_CANDIDATES);
  return own.map((pair) => pair.slice(name.length + 1));
}
