import { isGateService, type Decision, type Route } from "../../model/index.ts";
import { answerNotice } from "./answer.ts";
import type { PlaneContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { denial, NOTICES } from "../notices.ts";
import type { Notice } from "../pages.ts";
import { reachTarget } from "./reach-target.ts";
import { parseHost } from "../parse-host.ts";
import { splice } from "./splice.ts";
import { camePlain } from "../visitor-of.ts";
import type { Flow } from "./traffic.ts";

/** CONNECT to a service's host, with login: what `taskgate forward` does. Never throws. */
export async function serveTunnel(context: PlaneContext, exchange: Exchange): Promise<void> {
  const flow = context.traffic.begin("forward", exchange);
  exchange.onClose(() => flow.close());
  try {
    const notice = await openTunnel(context, exchange, flow);
    if (notice !== null) say(exchange, flow, notice);
  } catch (error) {
    if (exchange.left) return; // the visitor left: whatever broke off because of it is no news
    context.logger.error({ err: error }, "tunnel failed in the gate");
    say(exchange, flow, NOTICES.internal);
  }
}

function say(exchange: Exchange, flow: Flow, notice: Notice): void {
  flow.refused(notice.status, notice.code);
  answerNotice(exchange, notice, flow.requestId);
}

/** null: the tunnel stands, or the visitor left. */
async function openTunnel(context: PlaneContext, exchange: Exchange, flow: Flow): Promise<Notice | null> {
  const { head, gone, fault } = exchange;
  if (fault !== null) return { ...NOTICES.bad_request, message: fault.message };
  if (camePlain(head, context.site)) return NOTICES.came_plain;
  const route = context.index.findHost(parseHost(head.host) ?? "");
  if (route === null) return NOTICES.no_tunnel;
  flow.wanted = route;
  if (route.protocol === "tls" || isGateService(route.service)) return NOTICES.tunnel_refused;
  const checked = context.gatekeeper.check(route, head);
  const decision = checked.kind === "ask" ? await context.gatekeeper.admit(route, head, gone) : checked;
  if (exchange.left) return null;
  if (decision.kind !== "allow") {
    flow.session = (decision.kind === "deny" ? decision.session : undefined) ?? null;
    return refusal(decision);
  }
  return join(context, exchange, { route, allowed: decision, flow });
}

/** A program that opens tunnels follows no redirect to a login page. */
function refusal(decision: Exclude<Decision, { kind: "allow" }>): Notice {
  if (decision.kind === "deny") return denial(decision);
  return denial({ kind: "deny", status: 401, code: "unauthenticated", reason: "A token is needed." });
}

interface Entry {
  readonly route: Route;
  readonly allowed: Extract<Decision, { kind: "allow" }>;
  readonly flow: Flow;
}

async function join(
  context: PlaneContext,
  exchange: Exchange,
  { route, allowed, flow }: Entry,
): Promise<Notice | null> {
  const { head, gone, upgrade } = exchange;
  if (upgrade === null) return NOTICES.no_tunnel;
  const { session } = allowed;
  flow.enter(route, session, () => exchange.abort());
  const reached = await reachTarget(context, { route, flow }, gone);
  if (typeof reached === "string") {
    return exchange.left ? null : context.explain({ route, head, session, failure: reached });
  }
  const { socket: far, target } = reached;
  if (exchange.left) {
    far.destroy();
    return null;
  }
  target.active += 1;
  flow.refused(200, null);
  const near = upgrade.accept(200, []);
  const idleMs = route.policy.idleTimeoutMs ?? context.limits.idleTime;
  await splice({ near, far, nearHead: upgrade.take(), idleMs, counted: flow });
  target.active -= 1;
  return null;
}
