import type { Problem } from "../../model/index.ts";
import type { Condition, ParentReference, RouteParentStatus } from "../../platform/kubernetes/gateway-objects.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import type { Built } from "./build-objects.ts";
import type { FrontRoute } from "./objects.ts";

/** What problems of a front itself are about. */
export const FRONT_SUBJECT = "front";

/** How long a controller may take to say what it makes of a route, before that is a problem. */
export const PATIENCE_MS = 30_000;

/** What a controller says against an object; null: nothing, or not yet. `now`: epoch ms. */
export function judge(built: Built, observed: KubernetesObject, now: number): Problem | null {
  const { spec } = built.object as FrontRoute;
  if (spec?.parentRefs === undefined) return judgeSet(built, observed);
  for (const parent of spec.parentRefs) {
    const problem = judgeParent(built, observed, { parent, now });
    if (problem !== null) return problem;
  }
  return null;
}

function judgeParent(
  { service, what }: Built,
  route: FrontRoute,
  { parent, now }: { readonly parent: ParentReference; readonly now: number },
): Problem | null {
  const { metadata, status } = route;
  const { name, namespace = "", sectionName = "" } = parent;
  const said = (status?.parents ?? []).filter(({ parentRef }) => isSame(parentRef, parent));
  const subject = service ?? FRONT_SUBJECT;
  const begin = `${what} does not come in by listener ${sectionName} of ${namespace}/${name}`;
  const own = `${metadata.namespace ?? ""}/${metadata.name}`;
  const against = said.map(refusalIn).find((one) => one !== null);
  if (against !== undefined) {
    return { subject, code: "front_refused", message: `${begin}: its controller says of ${own} ${against}` };
  }
  const madeAt = Date.parse(metadata.creationTimestamp ?? "");
  if (said.length > 0 || !(now - madeAt > PATIENCE_MS)) return null;
  const message = `${begin}: no controller says anything of ${own}. Is there such a listener, and does its controller serve such routes?`;
  return { subject, code: "front_pending", message };
}

function isSame(there: ParentReference, { name, sectionName }: ParentReference): boolean {
  return there.name === name && (there.sectionName ?? sectionName) === sectionName;
}

/** Of ListenerSets it is one listener that may be refused, or all. */
function judgeSet({ service, what }: Built, set: KubernetesObject): Problem | null {
  const { status } = set as { readonly status?: { readonly conditions?: readonly Condition[] } };
  const against = refusalIn({ conditions: status?.conditions ?? [] });
  if (against === null) return null;
  const message = `${what} do not come in: the controller says of the ListenerSet ${set.metadata.name} ${against}`;
  return { subject: service ?? FRONT_SUBJECT, code: "front_refused", message };
}

const WANTED: readonly string[] = ["Accepted", "ResolvedRefs"];

function refusalIn({ conditions = [] }: Pick<RouteParentStatus, "conditions">): string | null {
  const against = conditions.find(({ type, status }) => WANTED.includes(type) && status === "False");
  if (against === undefined) return null;
  const { type, reason = "", message = "" } = against;
  return `${type}: False, ${reason}${message === "" ? "" : ` (${message.slice(0, 200)})`}`;
}
