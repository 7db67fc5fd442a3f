import { isDeepStrictEqual } from "node:util";
import {
  GATEWAY_GROUP,
  GATEWAYS,
  listenerSets,
  type Gateway,
  type Listener,
  type ListenerSet,
} from "../../platform/kubernetes/gateway-objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import { GATE_LABEL, portAnnotation } from "../../platform/kubernetes/gate-marks.ts";
import { determinedPortAnnotation, fenceAnnotation, portMark, readPortMarks } from "./marks.ts";
import { buildIdleListener, buildListener, isListenerAsWanted } from "./objects.ts";
import type { Placement } from "./placement.ts";
import type { PlanInput, Step } from "./plan-input.ts";
import type { Slot } from "./rooms.ts";
import type { Host, Listing, Survey, View } from "./survey.ts";
import type { Unit } from "./unit.ts";

/** A listener of ours, and for whom it is to be marked. */
interface Wanted {
  readonly port: number;
  readonly unit: Unit | "asItIs" | "nobody";
}

/** One write for each object whose listeners or marks are to be others. */
export function hostSteps(input: PlanInput, survey: Survey, placement: Placement): readonly Step[] {
  const steps: Step[] = [];
  const added = slotsByPlace(placement.added);
  for (const view of survey.views) {
    for (const host of view.hosts) {
      const place = placeKey(view, host.set);
      const slots = added.get(place) ?? [];
      added.delete(place);
      const step = host.isWritable ? stepOf(host, { input, placement, slots }) : null;
      if (step !== null) steps.push(step);
    }
  }
  for (const slots of added.values()) {
    const step = newSetStep(slots, input);
    if (step !== null) steps.push(step);
  }
  return steps;
}

type Slots = readonly (readonly [id: string, slot: Slot])[];

function placeKey(view: View, set: string | null): string {
  return set === null ? view.key : `${view.key} ${set}`;
}

function slotsByPlace(added: Placement["added"]): Map<string, Slots> {
  const places = new Map<string, (readonly [string, Slot])[]>();
  for (const entry of added) {
    const key = placeKey(entry[1].view, entry[1].set);
    const list = places.get(key);
    if (list === undefined) places.set(key, [entry]);
    else list.push(entry);
  }
  return places;
}

interface At {
  readonly input: PlanInput;
  readonly placement: Placement;
  /** To be added here. */
  readonly slots: Slots;
}

/** Whose listeners were in order, of hosts for which there was nothing to do: there is not, as long as they are the same. */
const IN_ORDER = new WeakMap<Host, readonly (Wanted["unit"] | null)[]>();

function stepOf(host: Host, at: At): Step | null {
  const units = at.slots.length === 0 ? host.listings.map((listing) => unitOf(listing, at)) : [];
  const before = IN_ORDER.get(host);
  if (units.length > 0 && before?.length === units.length && units.every((unit, index) => unit === before[index]))
    return null;
  const step = writeOf(host, at);
  if (step === null) IN_ORDER.set(host, units);
  return step;
}

function writeOf(host: Host, at: At): Step | null {
  const { input, slots } = at;
  const { listeners, wanted } = contentOf(host, at);
  const resource = host.set === null ? GATEWAYS : setResource(input);
  const { object } = host;
  if (listeners.length === 0 && host.set !== null) return { action: "remove", resource, object, units: [] };
  const annotations = annotationsOf(host, { input, wanted, listeners });
  const isSame =
    listeners.length === host.listings.length &&
    listeners.every((one, index) => one === host.listings[index]?.listener);
  if (isSame && isDeepStrictEqual(annotations, object.metadata.annotations ?? {})) return null;
  const metadata = { ...object.metadata, annotations: { ...annotations, ...fenceOf(annotations, input) } };
  const replaced: Gateway | ListenerSet = { ...object, metadata, spec: { ...object.spec, listeners } };
  return { action: "replace", resource, object: replaced, units: slots.map(([id]) => id) };
}

interface Content {
  readonly listeners: readonly Listener[];
  readonly wanted: readonly Wanted[];
}

/** Its listeners as they are to be: those that need no change are the same ones. */
function contentOf(host: Host, at: At): Content {
  const { input, slots } = at;
  const listeners: Listener[] = [];
  const wanted: Wanted[] = [];
  for (const listing of host.listings) {
    const unit = unitOf(listing, at);
    if (unit === "nobody") continue;
    if (unit !== null) wanted.push({ port: listing.listener.port, unit });
    listeners.push(
      unit === null || unit === "asItIs"
        ? listing.listener
        : inOrder(listing.listener, buildListener(unit, listing.listener.port)),
    );
  }
  for (const [id, { port }] of slots) {
    const unit = input.units.get(id);
    if (unit === undefined) continue;
    listeners.push(buildListener(unit, port));
    wanted.push({ port, unit });
  }
  return listeners.length === 0 ? lastOf(host, at) : { listeners, wanted };
}

// A Gateway without any listener would be refused: one of ours stays, for nobody.
function lastOf({ set, listings }: Host, { input }: At): Content {
  const [last] = listings;
  if (set !== null || last === undefined || input.observed.served.gatewayListeners.least === 0) return NOTHING;
  const { port } = last.listener;
  return { listeners: [inOrder(last.listener, buildIdleListener(port))], wanted: [{ port, unit: "nobody" }] };
}

const NOTHING: Content = { listeners: [], wanted: [] };

/** For whom a listener is to be; "nobody": it goes; null: it is somebody else's. */
function unitOf(listing: Listing, { input, placement }: At): Wanted["unit"] | null {
  if (listing.unit === null) return null;
  if (placement.released.has(listing)) return "nobody";
  const unit = placement.kept.get(listing.unit)?.listing === listing ? input.units.get(listing.unit) : undefined;
  return unit ?? "asItIs";
}

function inOrder(live: Listener, wanted: Listener): Listener {
  return isListenerAsWanted(live, wanted) ? live : wanted;
}

interface Written extends Content {
  readonly input: PlanInput;
}

function annotationsOf(host: Host, { input, wanted, listeners }: Written): Readonly<Record<string, string>> {
  const { mark } = input.settings;
  const annotations = new Map(Object.entries(host.object.metadata.annotations ?? {}));
  const ports = new Set(listeners.map(({ port }) => port));
  const ours = new Set(wanted.map(({ port }) => port));
  for (const port of host.marks.keys()) {
    if (ours.has(port)) continue;
    annotations.delete(portAnnotation(port));
    // Of a port that somebody else has by now it is his.
    if (!ports.has(port)) annotations.delete(determinedPortAnnotation(port));
  }
  for (const { port, unit } of wanted) {
    if (unit === "asItIs") continue;
    annotations.set(portAnnotation(port), portMark(mark, unit === "nobody" ? "" : unit.id));
    const allocation = unit === "nobody" ? undefined : unit.determined?.allocation;
    if (allocation === undefined) annotations.delete(determinedPortAnnotation(port));
    else annotations.set(determinedPortAnnotation(port), allocation);
  }
  if (wanted.length === 0) annotations.delete(fenceAnnotation(mark));
  return Object.fromEntries(annotations);
}

function fenceOf(
  annotations: Readonly<Record<string, string>>,
  { settings }: PlanInput,
): Readonly<Record<string, string>> {
  const isOurs = readPortMarks({ metadata: { name: "", annotations } }, settings.mark).own.size > 0;
  return isOurs ? { [fenceAnnotation(settings.mark)]: String(settings.fence) } : {};
}

function newSetStep(slots: Slots, input: PlanInput): Step | null {
  const { settings, units } = input;
  const [first] = slots;
  if (first === undefined || first[1].set === null) return null;
  const { view, set } = first[1];
  const resource = setResource(input);
  const [namespace = "", name = ""] = view.key.split("/");
  const annotations: Record<string, string> = { [fenceAnnotation(settings.mark)]: String(settings.fence) };
  const listeners: Listener[] = [];
  for (const [id, { port }] of slots) {
    const unit = units.get(id);
    if (unit === undefined) continue;
    listeners.push(buildListener(unit, port));
    annotations[portAnnotation(port)] = portMark(settings.mark, id);
    if (unit.determined !== undefined) annotations[determinedPortAnnotation(port)] = unit.determined.allocation;
  }
  const metadata = { name: set, namespace, labels: { [GATE_LABEL]: settings.mark }, annotations };
  const spec = { parentRef: { group: GATEWAY_GROUP, kind: GATEWAYS.kind, namespace, name }, listeners };
  const object: ListenerSet = { apiVersion: resource.apiVersion, kind: resource.kind, metadata, spec };
  return { action: "create", resource, object, units: slots.map(([id]) => id) };
}

function setResource({ observed }: PlanInput): Resource<ListenerSet> {
  return observed.served.listenerSets ?? listenerSets(GATEWAY_GROUP, "v1");
}
