import { type Decision, type HeaderFields, originOf, type RequestHead, type Route, type Site } from "../model/index.ts";

/** For so long a browser may remember what a preflight was answered. */
const PREFLIGHT_MAX_AGE_S = "600";
const METHOD = /^[A-Za-z][A-Za-z-]{0,31}$/;
const NAMES = /^[\w\s,-]{1,4096}$/;
const NOTHING: HeaderFields = Object.freeze([]);

/**
 * What the gate answers to a preflight from an origin that the service allows; null: it is none. A preflight carries no credentials, so
 * nobody could be let in for it, and the job never sees it.
 */
export function preflightAnswer(route: Route, head: RequestHead): Extract<Decision, { kind: "answer" }> | null {
  if (head.method !== "OPTIONS" || route.policy.allowedOrigins === undefined || route.guard === "self") return null;
  const method = head.header("access-control-request-method");
  const allowed = allowedOriginFields(route, head);
  if (allowed.length === 0 || method === undefined || !METHOD.test(method)) return null;
  const names = head.header("access-control-request-headers");
  const respond: [string, string][] = [["access-control-allow-methods", method]];
  if (names !== undefined && NAMES.test(names)) respond.push(["access-control-allow-headers", names]);
  respond.push(["access-control-max-age", PREFLIGHT_MAX_AGE_S]);
  return { kind: "answer", respond: [...allowed, ...respond] };
}

/** What lets a page of an origin that the service allows read the answer: said by the gate, so that it is said of those alone. */
export function allowedOriginFields({ policy }: Route, head: RequestHead): HeaderFields {
  if (policy.allowedOrigins === undefined) return NOTHING;
  const origin = head.header("origin");
  if (origin === undefined || !policy.allowedOrigins.includes(origin)) return NOTHING;
  return [
    ["access-control-allow-origin", origin],
    ["access-control-allow-credentials", "true"],
    ["vary", "Origin"],
  ];
}

export type Frame = NonNullable<Extract<Decision, { kind: "allow" }>["frame"]>;

/** Of routes, which are many and change seldom. */
const frames = new WeakMap<Route, { readonly frame: Frame | undefined }>();

/**
 * Who may show the service's pages in a frame. Hosts of one domain are one site, so a sibling's frame would show them with the visitor's
 * session in it: unless the policy says otherwise, or the app does, only the service itself and the gate's page may.
 */
export function frameOf(site: Site, route: Route): Frame | undefined {
  const known = frames.get(route);
  if (known !== undefined) return known.frame;
  const frame = makeFrame(`'self' ${originOf(site, site.gateHost)}`, route);
  frames.set(route, { frame });
  return frame;
}

function makeFrame(own: string, { policy, access, guard }: Route): Frame | undefined {
  if (guard === "self") return undefined;
  switch (policy.frame) {
    case undefined:
      return access.anyone === "public" ? undefined : { ancestors: own, replaces: false };
    case "app":
      return undefined;
    case "none":
      return { ancestors: "'none'", replaces: true };
    case "any":
      return { ancestors: "*", replaces: true };
    case "self":
      return { ancestors: own, replaces: true };
    default:
      return { ancestors: `${own} ${policy.frame}`, replaces: true };
  }
}
