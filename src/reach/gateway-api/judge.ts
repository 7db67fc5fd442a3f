import type {
  Condition,
  Gateway,
  ListenerSet,
  ListenerStatus,
  ParentReference,
  TcpRoute,
} from "../../platform/kubernetes/gateway-objects.ts";
import type { Held, Observed } from "./plan-input.ts";
import { gatewayKey, listenerName, type Allotment } from "./unit.ts";

/**
 * What a controller says of a unit's listener and route. unsaid: it takes the route, and says nothing current of the listener, as where the Gateway's
 * status has no room for all of them; silent: it says nothing of the route, as where it has many statuses to write; pending: it has not come to it, or says that it is not done yet; refused: it will not do. With why, in words.
 */
export type Verdict =
  | { readonly kind: "programmed" }
  | { readonly kind: "unsaid" | "silent"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "pending"; readonly why: string };

/** Reads the statuses. What is said of an earlier state of an object counts for nothing. */
export function judge({ allotment, route }: Held, observed: Observed): Verdict {
  const listener = listenerOf(allotment, observed);
  if (listener.kind === "refused") return listener;
  if (route === null) return { kind: "pending", why: "its Service and TCPRoute are not as they should be yet" };
  const routed = routeVerdict(route, allotment);
  if (routed.kind === "programmed") return listener;
  return routed.kind === "silent" && listener.kind === "pending" ? listener : routed;
}

function listenerOf(allotment: Allotment, observed: Observed): Verdict {
  const { gateway, listenerSet, port } = allotment;
  const holder =
    listenerSet === null
      ? observed.gateways.get(gatewayKey(gateway))
      : observed.listenerSets?.get(`${gateway.namespace}/${listenerSet}`);
  if (holder === undefined || holder === null) return { kind: "pending", why: `${nameOf(allotment)} is not there` };
  const of = { holder: nameOf(allotment), name: listenerName(port), generation: holder.metadata.generation };
  const said = holder.status?.listeners?.find((each) => each.name === of.name);
  // Of the whole only where there is nothing closer to the matter: a neighbour that is refused spoils some controllers' word on all.
  return said === undefined ? wholeVerdict(holder, of) : listenerVerdict(of, said);
}

interface Of {
  /** As people say it. */
  readonly holder: string;
  readonly name: string;
  /** Of the object that has it. */
  readonly generation: number | undefined;
}

function wholeVerdict({ metadata, status }: Gateway | ListenerSet, { holder, name }: Of): Verdict {
  const accepted = current(status?.conditions ?? [], "Accepted", metadata.generation);
  if (accepted?.status === "False") return { kind: "refused", why: `${holder} is not accepted: ${reasonOf(accepted)}` };
  return { kind: "unsaid", why: `no controller has said anything of listener ${name} of ${holder} yet` };
}

function listenerVerdict({ holder, name, generation }: Of, { conditions = [] }: ListenerStatus): Verdict {
  const find = (type: string): Condition | undefined => conditions.find((each) => each.type === type);
  const what = `listener ${name} of ${holder}`;
  for (const [type, bad, words] of REFUSALS) {
    const condition = find(type);
    if (condition?.status === bad) return { kind: "refused", why: `${what} ${words}: ${reasonOf(condition)}` };
  }
  const programmed = find("Programmed");
  if (programmed?.status === "True") return { kind: "programmed" };
  const said = current(conditions, "Programmed", generation);
  if (said === undefined) return { kind: "unsaid", why: `nothing is said yet of whether ${what} is programmed` };
  return { kind: "pending", why: `${what} is not programmed yet: ${reasonOf(said)}` };
}

const REFUSALS = [
  ["Conflicted", "True", "conflicts with another"],
  ["Accepted", "False", "is not accepted"],
  ["ResolvedRefs", "False", "refers to what is not there"],
] as const;

function routeVerdict(route: TcpRoute, allotment: Allotment): Verdict {
  const { namespace = "", name, generation } = route.metadata;
  const what = `TCPRoute ${namespace}/${name}`;
  const parents = (route.status?.parents ?? []).filter(({ parentRef }) => isParent(parentRef, allotment, namespace));
  const verdicts = parents.map(({ conditions = [] }): Verdict => {
    const accepted = current(conditions, "Accepted", generation);
    const resolved = current(conditions, "ResolvedRefs", generation);
    for (const condition of [accepted, resolved]) {
      if (condition?.status !== "False") continue;
      const words = condition === accepted ? "is not accepted" : "refers to what is not there";
      return { kind: "refused", why: `${what} ${words}: ${reasonOf(condition)}` };
    }
    // Some say ResolvedRefs only where that is not so.
    if (accepted?.status === "True" && resolved?.status !== "Unknown") return { kind: "programmed" };
    return { kind: "pending", why: `${what} is not accepted yet` };
  });
  return (
    verdicts.find(({ kind }) => kind === "programmed") ??
    verdicts[0] ?? { kind: "silent", why: `no controller has said anything of ${what} yet` }
  );
}

function isParent(parent: ParentReference, { gateway, listenerSet, port }: Allotment, namespace: string): boolean {
  const isThere =
    (parent.namespace ?? namespace) === gateway.namespace && parent.name === (listenerSet ?? gateway.name);
  const isListener = parent.sectionName === undefined || parent.sectionName === listenerName(port);
  return isThere && isListener && (parent.port === undefined || parent.port === port);
}

/** Of the object as it is now; controllers that do not say of which are taken at their word. */
function current(
  conditions: readonly Condition[],
  type: string,
  generation: number | undefined,
): Condition | undefined {
  const found = conditions.find((each) => each.type === type);
  const isOld =
    found?.observedGeneration !== undefined && generation !== undefined && found.observedGeneration < generation;
  return isOld ? undefined : found;
}

function reasonOf({ reason = "", message = "" }: Condition): string {
  return [reason, message].filter((part) => part !== "").join(": ") || "no reason is given";
}

function nameOf({ gateway, listenerSet }: Allotment): string {
  return listenerSet === null ? `Gateway ${gatewayKey(gateway)}` : `ListenerSet ${gateway.namespace}/${listenerSet}`;
}
