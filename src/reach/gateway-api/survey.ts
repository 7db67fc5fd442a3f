import {
  GATEWAY_GROUP,
  listenerSets,
  type Gateway,
  type Listener,
  type ListenerSet,
  type ListenerStatus,
  type ParentReference,
} from "../../platform/kubernetes/gateway-objects.ts";
import { objectKey } from "../../platform/kubernetes/objects.ts";
import { rulesOf, type ControllerRules } from "./controllers.ts";
import { isMarked, readPortMarks } from "./marks.ts";
import { parentText } from "./objects.ts";
import type { Observed, PlanSettings, Served } from "./plan-input.ts";
import { gatewayKey, listenerName, type GatewayRef } from "./unit.ts";

/** An object that has listeners: a Gateway, or one of its ListenerSets. */
export interface Host {
  /** Name of the ListenerSet; null: the Gateway itself. */
  readonly set: string | null;
  readonly object: Gateway | ListenerSet;
  readonly listings: readonly Listing[];
  /** Ids of units by port, as our annotations say: also of ports that no listener has. */
  readonly marks: ReadonlyMap<number, string>;
  /** Ports that other gates' annotations tell of. */
  readonly othersMarks: readonly number[];
  /** Whether it may be written: a Gateway, or a ListenerSet that is ours; and does not go away already. */
  readonly isWritable: boolean;
}

/** A listener as it stands. The same one as long as its object is. */
export interface Listing {
  readonly host: Host;
  readonly listener: Listener;
  /** Unit that it is for by our annotation, "" of one that is kept for nobody; null: somebody else's. */
  readonly unit: string | null;
  /** For good, as far as that port goes: its controller has another listener of this Gateway in its place. */
  readonly isRefused: boolean;
  /** `parentText` of routes that lead from it. */
  readonly parent: string;
}

/** A Gateway with all that listens there. */
export interface View {
  /** `NAMESPACE/NAME`. */
  readonly key: string;
  /** null: not configured (any more). */
  readonly ref: GatewayRef | null;
  /** null: there is none, or it goes away. */
  readonly gateway: Gateway | null;
  readonly rules: ControllerRules;
  /** The Gateway itself comes first, if it is there. */
  readonly hosts: readonly Host[];
  readonly listings: readonly Listing[];
  /** Who has a port: of several the one that the Gateway API gives it to. */
  readonly holders: ReadonlyMap<number, Listing>;
  /** Why there are no ListenerSets, for people; null: there may be. */
  readonly whyNoSets: string | null;
  /** Whether what is in sets may stay there: also while it is not known whether more may. */
  readonly keepsSets: boolean;
}

export interface Survey {
  /** Configured ones in their order, then others, of ListenerSets of ours without a Gateway too. Those not known yet are left out. */
  readonly views: readonly View[];
  /** Configured ones that are not known yet. */
  readonly unknown: readonly string[];
}

/** What listens where. */
export function surveyGateways(observed: Observed, settings: PlanSettings): Survey {
  const sets = setsByGateway(observed);
  const views: View[] = [];
  const unknown: string[] = [];
  const refs = new Map(settings.gateways.map((ref) => [gatewayKey(ref), ref]));
  const see = (key: string, gateway: Gateway | null, list: readonly ListenerSet[]): void => {
    views.push(viewOf({ key, ref: refs.get(key) ?? null, gateway, sets: list }, observed, settings));
  };
  for (const key of new Set([...refs.keys(), ...observed.gateways.keys()])) {
    const gateway = observed.gateways.get(key);
    if (gateway === undefined) unknown.push(key);
    else see(key, gateway, sets.get(key) ?? []);
    sets.delete(key);
  }
  // What is left is attached to what nobody knows of: ours is to go.
  for (const [key, list] of sets) {
    const own = list.filter((set) => isMarked(set, settings.mark));
    if (own.length > 0) see(key, null, own);
  }
  return { views, unknown };
}

function setsByGateway({ listenerSets }: Observed): Map<string, ListenerSet[]> {
  const sets = new Map<string, ListenerSet[]>();
  for (const set of listenerSets?.values() ?? []) {
    const key = gatewayOf(set);
    if (key === null) continue;
    const list = sets.get(key);
    if (list === undefined) sets.set(key, [set]);
    else list.push(set);
  }
  return sets;
}

/** `NAMESPACE/NAME` of the Gateway that a ListenerSet is attached to; null: that is something else. */
export function gatewayOf({ metadata, spec }: ListenerSet): string | null {
  if (spec?.parentRef === undefined) return null;
  const { group = GATEWAY_GROUP, kind = "Gateway", namespace = metadata.namespace ?? "", name } = spec.parentRef;
  return group === GATEWAY_GROUP && kind === "Gateway" ? `${namespace}/${name}` : null;
}

interface Seen {
  readonly key: string;
  readonly ref: GatewayRef | null;
  readonly gateway: Gateway | null;
  readonly sets: readonly ListenerSet[];
}

function viewOf({ key, ref, gateway, sets }: Seen, observed: Observed, settings: PlanSettings): View {
  const { mark } = settings;
  const rules = rulesOf(observed.controllers.get(key));
  const within = { key, mark, served: observed.served };
  const hosts = [...sets].sort(bySeniority).map((set) => hostOf(set, set.metadata.name, within));
  if (gateway !== null) hosts.unshift(hostOf(gateway, null, within));
  const listings = hosts.flatMap((host) => host.listings);
  const holders = new Map<number, Listing>();
  for (const listing of listings) {
    if (!holders.has(listing.listener.port)) holders.set(listing.listener.port, listing);
  }
  const isThere = gateway !== null && gateway.metadata.deletionTimestamp === undefined;
  const allowed = isThere ? setsAllowed(gateway, { rules, observed, settings }) : true;
  return {
    ...{ key, ref, gateway: isThere ? gateway : null, rules, hosts, listings, holders },
    whyNoSets: allowed === true ? null : allowed.why,
    keepsSets: allowed === true || allowed.isUnsure,
  };
}

// Of listeners that exclude each other the Gateway's own win, then those of the oldest set, then by name.
function bySeniority(a: ListenerSet, b: ListenerSet): number {
  const [one, other] = [seniority(a), seniority(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function seniority(set: ListenerSet): string {
  return `${set.metadata.creationTimestamp ?? "9"} ${objectKey(set)}`;
}

interface Within {
  /** Of the Gateway. */
  readonly key: string;
  readonly mark: string;
  readonly served: Served;
}

/** What was read of objects, which are other ones whenever anything of them is another, and within what. */
const READ = new WeakMap<Gateway | ListenerSet, { readonly host: Host; readonly within: string }>();

function hostOf(object: Gateway | ListenerSet, set: string | null, within: Within): Host {
  const read = READ.get(object);
  const text = `${within.mark} ${within.key} ${within.served.listenerSets?.apiVersion ?? ""}`;
  if (read?.within === text) return read.host;
  const host = readHost(object, set, within);
  READ.set(object, { host, within: text });
  return host;
}

function readHost(object: Gateway | ListenerSet, set: string | null, { key, mark, served }: Within): Host {
  const isOurs = set === null || isMarked(object, mark);
  const { own, others } = readPortMarks(object, mark);
  const listings: Listing[] = [];
  const isWritable = isOurs && object.metadata.deletionTimestamp === undefined;
  const host: Host = { set, object, listings, marks: isOurs ? own : NONE, othersMarks: others, isWritable };
  const refused = new Set(object.status?.listeners?.filter(isRefused).map(({ name }) => name));
  for (const listener of object.spec?.listeners ?? []) {
    const parent = parentText(parentOf({ key, set, port: listener.port }, served));
    listings.push({ host, listener, unit: ownerOf(host, listener), isRefused: refused.has(listener.name), parent });
  }
  return host;
}

const NONE: ReadonlyMap<number, string> = new Map();

// What Contour says of a port that comes to be another one's inside.
function isRefused({ conditions = [] }: ListenerStatus): boolean {
  return conditions.some(
    ({ type, status, reason }) => type === "Accepted" && status === "False" && reason === "PortUnavailable",
  );
}

// A listener by another name is not the one that the annotation tells of: somebody has put his own in its place.
function ownerOf({ marks }: Host, { name, port }: Listener): string | null {
  const unit = marks.get(port);
  return unit !== undefined && name === listenerName(port) ? unit : null;
}

/** What routes call the listener of a port. `key`: of the Gateway; `set`: name of the ListenerSet, null: the Gateway's own. */
export function parentOf(
  { key, set, port }: { readonly key: string; readonly set: string | null; readonly port: number },
  served: Served,
): ParentReference {
  const [namespace = "", name = ""] = key.split("/");
  const where = { namespace, sectionName: listenerName(port), port };
  if (set === null) return { ...where, name };
  const { apiVersion, kind } = served.listenerSets ?? listenerSets(GATEWAY_GROUP, "v1");
  return { ...where, group: apiVersion.slice(0, apiVersion.indexOf("/")), kind, name: set };
}

interface SetRules {
  readonly rules: ControllerRules;
  readonly observed: Observed;
  readonly settings: PlanSettings;
}

type Allowed = true | { readonly why: string; readonly isUnsure: boolean };

function no(why: string): Allowed {
  return { why, isUnsure: false };
}

function setsAllowed(gateway: Gateway, { rules, observed, settings }: SetRules): Allowed {
  if (settings.listenerSets === "never") return no("the config says `listenerSets: never`");
  if (observed.served.listenerSets === null || observed.listenerSets === null) {
    return no("the cluster serves no ListenerSets, or the gate may not read them");
  }
  if (!rules.listenerSets) return no(`${rules.name} knows no ListenerSets`);
  const { from, selector = {} } = gateway.spec?.allowedListeners?.namespaces ?? {};
  if (from === "All" || from === "Same") return true;
  if (from === "Selector") return ownNamespaceAllowed(gateway, selector, observed);
  return no("the Gateway's `allowedListeners` lets none attach (`namespaces: {from: Same}` would)");
}

// ListenerSets of ours are where their Gateway is.
function ownNamespaceAllowed({ metadata }: Gateway, selector: LabelSelector, { namespaces }: Observed): Allowed {
  const { namespace = "" } = metadata;
  const labels = namespaces.get(namespace);
  if (labels === undefined) return { why: `the labels of namespace ${namespace} are not known`, isUnsure: true };
  if (isSelected(selector, labels)) return true;
  return no(`the Gateway's \`allowedListeners\` selects other namespaces than ${namespace}`);
}

interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

function isSelected(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  if (Object.entries(matchLabels).some(([key, value]) => labels[key] !== value)) return false;
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === "Exists") return value !== undefined;
    if (operator === "DoesNotExist") return value === undefined;
    if (operator === "In") return value !== undefined && values.includes(value);
    return operator === "NotIn" && (value === undefined || !values.includes(value));
  });
}
