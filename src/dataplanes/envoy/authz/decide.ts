import {
  type Decision,
  type Gatekeeper,
  isGateService,
  originOf,
  type RequestHead,
  type Route,
  type Session,
  type Site,
  type Use,
} from "../../../model/index.ts";
import type { Explain } from "../../dataplane.ts";
import { denial, NOTICES, refusal, unableNotice } from "../../notices.ts";
import type { Notice } from "../../pages.ts";
import { parseHost } from "../../parse-host.ts";
import type { RouteIndex } from "../../route-index.ts";
import { camePlain } from "../../visitor-of.ts";
import { CLUSTER_HEADER, clusterName, TUNNEL_HEADER } from "../resources/cluster-name.ts";
import type { Asked } from "./check-head.ts";

/** Who may go where: the route that was looked up is what was asked about, and what the request is led by is of that route. */
export interface Allowed {
  readonly route: Route;
  readonly decision: Extract<Decision, { kind: "allow" }>;
  /** The field by which the Envoy knows where to. */
  readonly lead: readonly [name: string, value: string];
}

/** What becomes of a request that an Envoy asks about. */
export type Outcome =
  | { readonly kind: "pass"; readonly allowed: Allowed }
  | {
      readonly kind: "answer";
      readonly notice: Notice;
      readonly session: Session | null;
      /** What they wanted. */
      readonly route: Route | null;
    }
  | { readonly kind: "fields"; readonly status: number; readonly fields: readonly (readonly [string, string])[] };

export interface DecideDeps {
  readonly gatekeeper: Pick<Gatekeeper, "check" | "admit">;
  readonly index: Pick<RouteIndex, "find" | "findHost">;
  readonly explain: Explain;
  readonly site: Site;
  /** All sources were heard once: what is not known is not there. */
  readonly isSettled: () => boolean;
  /** `IP:PORT` of an endpoint of the route, for tunnels; undefined: there is none. */
  readonly tunnelTarget: (route: Route) => string | undefined;
}

type Refused = Exclude<Decision, { kind: "allow" }>;

/** Finds the route and asks the gatekeeper, as the embedded plane does. Throws the signal's reason. */
export async function decide(deps: DecideDeps, asked: Asked, signal: AbortSignal): Promise<Outcome> {
  const { head, fault } = asked;
  if (fault !== null) return saying(refusal(fault.status, fault.message));
  if (camePlain(head, deps.site)) return sentToTls(deps.site, head);
  if (head.method === "CONNECT") return decideTunnel(deps, head, signal);
  const found = deps.index.find(head);
  if (found.kind === "misdirected") return saying(NOTICES.misdirected);
  if (found.kind === "unknown") {
    if (!deps.isSettled()) return saying(NOTICES.not_heard);
    return saying(await deps.explain({ route: null, head, session: null, failure: null }));
  }
  const { route, bare, gatePath } = found;
  const decision = await ask(deps, { route, head, slow: gatePath }, signal);
  if (decision.kind !== "allow") return refused(route, decision, head);
  if (gatePath) return saying(NOTICES.not_found, route, decision.session);
  if (bare !== null) {
    const query = head.path.indexOf("?");
    const location = bare + (query < 0 ? "" : head.path.slice(query));
    return { kind: "fields", status: 308, fields: away(location, decision.respond) };
  }
  const upgrades = head.header("upgrade") !== undefined;
  const unable = unableNotice(route, { upgrades, version: asked.version });
  if (unable !== null) return saying(unable, route, decision.session);
  return { kind: "pass", allowed: { route, decision, lead: [CLUSTER_HEADER, clusterName(route, deps.site)] } };
}

function sentToTls(site: Site, { method, host, path }: RequestHead): Outcome {
  if (method !== "GET" && method !== "HEAD") return saying(NOTICES.came_plain);
  const location = originOf(site, parseHost(host) ?? site.gateHost) + path;
  return { kind: "fields", status: 308, fields: away(location, []) };
}

/** CONNECT leads to a service's host, to whoever may open a tunnel there. */
async function decideTunnel(deps: DecideDeps, head: RequestHead, signal: AbortSignal): Promise<Outcome> {
  const route = deps.index.findHost(parseHost(head.host) ?? "");
  if (route === null) return saying(deps.isSettled() ? NOTICES.no_tunnel : NOTICES.not_heard);
  if (route.protocol === "tls" || isGateService(route.service)) return saying(NOTICES.tunnel_refused, route);
  const decision = await ask(deps, { route, head, slow: false }, signal);
  if (decision.kind === "deny") return refused(route, decision, head);
  // A program that opens tunnels follows no redirect to a login page.
  if (decision.kind !== "allow") return saying(denial(TOKEN_NEEDED), route);
  const target = deps.tunnelTarget(route);
  if (target !== undefined) return { kind: "pass", allowed: { route, decision, lead: [TUNNEL_HEADER, target] } };
  const { session } = decision;
  return saying(await deps.explain({ route, head, session, failure: "no_endpoint" }), route, session);
}

const TOKEN_NEEDED = Object.freeze({
  kind: "deny",
  status: 401,
  code: "unauthenticated",
  reason: "A token is needed.",
});

async function ask(
  { gatekeeper }: DecideDeps,
  { route, head, slow }: { readonly route: Route; readonly head: RequestHead; readonly slow: boolean },
  signal: AbortSignal,
): Promise<Decision> {
  const checked = slow ? ({ kind: "ask" } as const) : gatekeeper.check(route, head);
  return checked.kind === "ask" ? gatekeeper.admit(route, head, signal) : checked;
}

function refused(route: Route, decision: Refused, { method }: RequestHead): Outcome {
  if (decision.kind === "deny") return saying(denial(decision), route, decision.session ?? null);
  if (decision.kind === "answer") return { kind: "fields", status: 204, fields: decision.respond };
  const safe = method === "GET" || method === "HEAD";
  return { kind: "fields", status: safe ? 302 : 303, fields: away(decision.location, decision.respond) };
}

function away(
  location: string,
  respond: readonly (readonly [string, string])[],
): readonly (readonly [string, string])[] {
  const unkept = respond.filter(([name]) => name !== "cache-control");
  return [["location", location], ["cache-control", "no-store"], ...unkept];
}

function saying(notice: Notice, route: Route | null = null, session: Session | null = null): Outcome {
  return { kind: "answer", notice, route, session };
}

/** A request that was refused, as who keeps a record of it wants it. */
export function refusedUse({ head }: Asked, { notice, session }: Extract<Outcome, { kind: "answer" }>): Use {
  const { status, code } = notice;
  const kind = kindOf(head);
  return { kind, peer: head.peer, head, session, bytesIn: 0, bytesOut: 0, status, code, largestIn: 0, cutFor: null };
}

function kindOf(head: RequestHead): Use["kind"] {
  if (head.method === "CONNECT") return "forward";
  if (head.header("upgrade") !== undefined) return "websocket";
  return (head.header("content-type") ?? "").startsWith("application/grpc") ? "grpc" : "http";
}
