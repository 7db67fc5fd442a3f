import { fingerprintOf, isSelfEvident, originOf, type Decision, type Route, type Site } from "../../../model/index.ts";
import { isSticky, stickyCookie } from "../../sticky-cookie.ts";

/** What a cluster says of its service, in the namespace `taskgate` of its metadata, by these keys. Texts throughout. */
export const KEY = Object.freeze({
  /** `fingerprintOf` its route: a session that names it may pass. */
  fingerprint: "fp",
  /** As browsers say it of its own pages. */
  origin: "origin",
  /** Both of these in one, for who goes by what was decided before: another value is another decision. */
  login: "login",
  /** One of `MODE`, where nobody has to say who they are. */
  mode: "mode",
  /** `app`: no `Authorization` without a token of this gate is the gate's affair. */
  authorization: "auth",
  /** Content-Security-Policy that a page gets which says nothing of frames. */
  frame: "frame",
  /** `yes`: what a page says of frames does not count. */
  frameReplaces: "frameReplaces",
  /** Path mode: what the job does not see of the path, `/nb/`. */
  prefix: "prefix",
  /** Name of the cookie by which visitors stay with a replica. */
  sticky: "sticky",
  /** `yes`: the job is told its own address as Host. */
  rewritesHost: "rewritesHost",
  /** `UNHELD_CLOSE`: what lasts ends with the gate that could end it. */
  unheld: "unheld",
});

export const UNHELD_CLOSE = "close";

export const MODE = Object.freeze({ public: "public", self: "self" });

type Frame = Extract<Decision, { kind: "allow" }>["frame"];

export interface ServiceMetadataDeps {
  readonly site: Site;
  /** Who may show the pages of a route's service in a frame, as the gatekeeper decides it. */
  readonly frameOf: (route: Route) => Frame;
  /** `Authorization` may hold a credential other than a token of this gate, for services that say nothing of it. */
  readonly foreignAuthorization: boolean;
}

/** What the filters of a request must know of its service: the content of `filterMetadata.taskgate` of its cluster. */
export function serviceMetadata(deps: ServiceMetadataDeps, route: Route): Readonly<Record<string, string>> {
  const { match, policy } = route;
  const frame = deps.frameOf(route);
  const isApps = policy.authorization === "app" || (policy.authorization === undefined && !deps.foreignAuthorization);
  return {
    ...loginMetadata(deps.site, route),
    ...(isApps && { [KEY.authorization]: "app" }),
    ...frameMetadata(frame),
    ...(match.by === "path" && match.strip && match.prefix !== "/" && { [KEY.prefix]: match.prefix }),
    ...(isSticky(route) && { [KEY.sticky]: stickyCookie(deps.site, route) }),
    ...(policy.rewriteHost === true && { [KEY.rewritesHost]: "yes" }),
    ...(policy.unheld === "close" && { [KEY.unheld]: UNHELD_CLOSE }),
  };
}

/** What sessions are held against, and whether one is needed. */
function loginMetadata(site: Site, route: Route): Readonly<Record<string, string>> {
  const mode = modeOf(route);
  const host = isSelfEvident(route) && route.match.by === "host" ? route.match.host : null;
  if (mode === null && host === null) return {};
  const fingerprint = host === null ? "" : fingerprintOf(route);
  return {
    [KEY.login]: `${mode ?? ""}:${fingerprint}`,
    ...(mode !== null && { [KEY.mode]: mode }),
    ...(host !== null && { [KEY.fingerprint]: fingerprint, [KEY.origin]: originOf(site, host) }),
  };
}

/** The same of who may frame, for answers to a request that the gate decided about. */
export function frameMetadata(frame: Frame): Readonly<Record<string, string>> {
  if (frame === undefined) return {};
  return {
    ...(frame.ancestors !== "*" && { [KEY.frame]: `frame-ancestors ${frame.ancestors}` }),
    ...(frame.replaces && { [KEY.frameReplaces]: "yes" }),
  };
}

function modeOf({ access, guard, protocol }: Route): string | null {
  if (protocol !== "http" && protocol !== "grpc") return null;
  if (guard === "self") return MODE.self;
  return access.anyone === "public" ? MODE.public : null;
}
