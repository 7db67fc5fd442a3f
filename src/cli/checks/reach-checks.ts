import type { GatewayView, ReachView } from "../../api/wire-reaches.ts";
import type { Finding } from "./finding.ts";
import { fail, ok, warn } from "./finding.ts";

/** What the cluster's definition of Gateways allows where nobody has changed it: Gateway API from 1.0 on. */
const STANDARD_LISTENERS = 64;
/** Below this part of what there is, a Gateway is nearly full. */
const NEARLY_FULL = 0.1;
const FIRST_OF_ADVICE = 50;

/** Of each provider that is reached through something: every Gateway with what it has room for, and all advice. */
export function checkReaches(reaches: readonly ReachView[]): readonly Finding[] {
  return reaches.flatMap((reach) => [
    checkUnits(reach),
    ...reach.gateways.map((gateway) => checkGateway(reach.provider, gateway)),
    ...adviceFindings(reach),
  ]);
}

/** What the reach itself has to say: the gate sees the cluster, and who asks may not. */
export function adviceFindings({ provider, advice }: ReachView): readonly Finding[] {
  return advice
    .slice(0, FIRST_OF_ADVICE)
    .map(({ level, code, message, remedy }) => ({ name: code, level, message: `${provider}: ${message}`, remedy }));
}

function checkUnits({ provider, reach, wanted, ready }: ReachView): Finding {
  const text = `${provider}: ${String(ready)} of ${String(wanted)} ports of tasks can be reached (${reach})`;
  if (ready === wanted) return ok("reach", text);
  return warn("reach", text, "taskgate ps says of each task why not");
}

const STATES: Readonly<
  Record<Exclude<GatewayView["state"], "ready">, { readonly is: string; readonly remedy: string }>
> = {
  missing: { is: "is not in the cluster", remedy: "make it, or correct its name and namespace in the configuration" },
  refused: { is: "is not taken by its controller", remedy: "kubectl get gateway -o yaml: its conditions say why" },
  unknown: { is: "has not been seen yet", remedy: "see the provider's problems: taskgate ps" },
};

function checkGateway(provider: string, gateway: GatewayView): Finding {
  const { state, room, listeners, ports } = gateway;
  const which = `${provider}: Gateway ${gateway.gateway} at ${gateway.address}`;
  if (state !== "ready") return fail("gateway", `${which} ${STATES[state].is}`, STATES[state].remedy);
  const held = listeners.own + (gateway.listenerSets?.own ?? 0);
  const lines = [
    `${which} (${gateway.controller ?? "controller not known"}) has room for ${String(room)} more ports of tasks; ${BOUNDS[gateway.bound]} run out first`,
    `listeners: ${String(listeners.own)} of the gate's and ${String(listeners.others)} of others, of ${String(listeners.most)}: ${maxItemsText(listeners.most)}`,
    listenerSetsText(gateway),
    `ports ${String(ports.from)} to ${String(ports.to)}: ${String(ports.own)} of the gate's and ${String(ports.others)} of others`,
  ];
  const message = lines.join("\n");
  if (room > NEARLY_FULL * (room + held)) return ok("gateway", message);
  return (room === 0 ? fail : warn)("gateway", message, moreRoom(gateway));
}

const BOUNDS: Readonly<Record<GatewayView["bound"], string>> = {
  listeners: "listeners of the Gateway",
  listenerSets: "listeners of its ListenerSets",
  ports: "ports of the configured range",
  controller: "ports that its controller can bind",
};

function maxItemsText(most: number): string {
  if (most > STANDARD_LISTENERS) return `maxItems of the cluster's definition of Gateways is raised from ${String(STANDARD_LISTENERS)}`; // prettier-ignore
  return "maxItems of the cluster's definition of Gateways is not raised";
}

/** Whether ListenerSets are kept out by the Gateway alone: others are, where they are not served or not known, not to be had by a word. */
function canBeLet({ whyNoListenerSets }: GatewayView): boolean {
  return whyNoListenerSets?.includes("allowedListeners") === true;
}

function letSets({ gateway }: GatewayView): string {
  const [namespace = "", name = ""] = gateway.split("/");
  return `kubectl patch gateway ${name} --namespace ${namespace} --type merge --patch '{"spec":{"allowedListeners":{"namespaces":{"from":"Same"}}}}'`;
}

function listenerSetsText(gateway: GatewayView): string {
  const { listenerSets, whyNoListenerSets } = gateway;
  if (listenerSets === null) {
    const none = `ListenerSets: none, as ${whyNoListenerSets ?? "none are needed"}`;
    return canBeLet(gateway) ? `${none}; let them by: ${letSets(gateway)}` : none;
  }
  const { sets, own, others } = listenerSets;
  return `ListenerSets: ${String(sets)}, with ${String(own)} listeners of the gate's and ${String(others)} of others`;
}

/** How the bound that is reached is raised. */
function moreRoom(gateway: GatewayView): string {
  if (gateway.bound === "ports") return "a wider range in the configuration (from 1025 to 65535), or a second Gateway";
  if (gateway.bound === "controller")
    return "a second Gateway in the configuration: this controller binds no more ports";
  if (gateway.listenerSets !== null) return "a second Gateway in the configuration";
  return [
    ...(canBeLet(gateway) ? [`let it have ListenerSets: ${letSets(gateway)}`] : []),
    "raise maxItems of spec.listeners and of status.listeners in the CustomResourceDefinition gateways.gateway.networking.k8s.io, in all versions: the API server takes no more than its rules may cost, which is 213 for Gateway API 1.6.1, as one of them compares each listener with each other",
    "name a second Gateway in the configuration",
  ].join("\nor ");
}
