import { parentText } from "./objects.ts";
import { refusalOf } from "./capacity.ts";
import type { OwnObjects } from "./own-objects.ts";
import type { Observed, PlanInput, Refusal } from "./plan-input.ts";
import { Room, type Slot } from "./rooms.ts";
import { parentOf, type Listing, type Survey, type View } from "./survey.ts";
import { listenerName, type GatewayRef } from "./unit.ts";

/** Who has which listener, and who is to get one. */
export interface Placement {
  /** Listeners that stay their unit's, by unit. */
  readonly kept: ReadonlyMap<string, Kept>;
  /** Listeners of ours to be removed now. */
  readonly released: ReadonlySet<Listing>;
  /** Listeners to be made, by unit. */
  readonly added: ReadonlyMap<string, Slot>;
  readonly refused: ReadonlyMap<string, Refusal>;
}

export interface Kept {
  readonly view: View;
  /** Of the view, which is configured. */
  readonly ref: GatewayRef;
  readonly listing: Listing;
}

/** Units keep what they have; what is nobody's any more and no route leads to is released; then units that have nothing are placed. */
export function placeUnits(input: PlanInput, survey: Survey, own: OwnObjects): Placement {
  const kept = keptListings(input, survey, own);
  const released = releasedListings(input, survey, { own, kept });
  const waiting = survey.unknown.length > 0 ? [] : [...input.units.keys()].filter((id) => !kept.has(id)).sort();
  if (waiting.length === 0) return { kept, released, added: new Map(), refused: new Map() };
  const rooms = roomsOf(input, survey, released);
  const memory = rememberedSlots(waiting, survey, { own, observed: input.observed });
  const added = new Map<string, Slot>();
  // First those that had a port: it is theirs, and whoever remembers its address finds them there.
  for (const id of waiting) {
    const slot = takeAgain(memory.get(id) ?? [], rooms);
    if (slot !== null) added.set(id, slot);
  }
  const refused = new Map<string, Refusal>();
  let full: Refusal | null = null;
  for (const id of waiting) {
    if (added.has(id)) continue;
    const slot = full === null ? takeFirst(rooms.values()) : null;
    if (slot === null) refused.set(id, (full ??= refusalOf(input, survey, rooms)));
    else added.set(id, slot);
  }
  return { kept, released, added, refused };
}

function roomsOf(input: PlanInput, { views }: Survey, released: Placement["released"]): ReadonlyMap<View, Room> {
  const rooms = new Map<View, Room>();
  for (const view of views)
    if (view.ref !== null && view.gateway !== null) rooms.set(view, new Room(view, released, input));
  return rooms;
}

function takeAgain(slots: readonly Slot[], rooms: ReadonlyMap<View, Room>): Slot | null {
  for (const { view, set, port } of slots) {
    const slot = rooms.get(view)?.takePort(port, set) ?? null;
    if (slot !== null) return slot;
  }
  return null;
}

function takeFirst(rooms: Iterable<Room>): Slot | null {
  for (const room of rooms) {
    const slot = room.take();
    if (slot !== null) return slot;
  }
  return null;
}

function keptListings({ units, settings, ports }: PlanInput, survey: Survey, own: OwnObjects): Placement["kept"] {
  const kept = new Map<string, Kept>();
  for (const view of survey.views) {
    if (view.ref === null || view.gateway === null) continue;
    const { ref } = view;
    for (const listing of view.listings) {
      const { unit } = listing;
      if (unit === null || !units.has(unit) || !isUsable(view, listing, settings)) continue;
      if (ports.isBlocked(view.key, listing.listener.port)) continue;
      // Of two that one which its route leads from.
      if (!kept.has(unit) || own.namedBy(unit, listing.parent)) kept.set(unit, { view, ref, listing });
    }
  }
  return kept;
}

function isUsable(view: View, listing: Listing, settings: PlanInput["settings"]): boolean {
  const { host, listener } = listing;
  const { port } = listener;
  if (!host.isWritable || port < settings.ports.from || port > settings.ports.to) return false;
  if (view.holders.get(port) !== listing || !view.rules.takes(port, NONE)) return false;
  // Another port would do: of a controller that refuses for another reason, or all, none is tried after the other.
  if (listing.isRefused && view.rules.portsText !== null) return false;
  if (host.set === null) return settings.listenerSets !== "only";
  return view.keepsSets && host.object.metadata.namespace === view.ref?.namespace;
}

const NONE: ReadonlySet<number> = new Set();

function releasedListings(
  { units, isWhole }: PlanInput,
  survey: Survey,
  { own, kept }: { readonly own: OwnObjects; readonly kept: Placement["kept"] },
): ReadonlySet<Listing> {
  const released = new Set<Listing>();
  for (const view of survey.views) {
    for (const listing of view.listings) {
      const { unit, host } = listing;
      if (unit === null || !host.isWritable || kept.get(unit)?.listing === listing) continue;
      const isGone = isWhole || unit === "" || units.has(unit);
      if (isGone && !own.isNamed(listing.parent)) released.add(listing);
    }
  }
  return released;
}

/** Where units were that have no listener any more: by annotations that outlived theirs, and by their routes. */
function rememberedSlots(
  waiting: readonly string[],
  survey: Survey,
  { own, observed }: { readonly own: OwnObjects; readonly observed: Observed },
): ReadonlyMap<string, readonly Slot[]> {
  const memory = new Map<string, Slot[]>(waiting.map((id) => [id, []]));
  const hosts = new Map<string, Slot>();
  for (const view of survey.views) {
    if (view.gateway === null) continue;
    for (const { set, marks } of view.hosts) {
      hosts.set(parentText(parentOf({ key: view.key, set, port: 0 }, observed.served)), { view, set, port: 0 });
      for (const [port, id] of marks) if (!view.holders.has(port)) memory.get(id)?.push({ view, set, port });
    }
  }
  for (const [id, slots] of memory) {
    for (const parent of own.parentsOf(id)) {
      const { port = 0 } = parent;
      const host = hosts.get(parentText({ ...parent, port: 0, sectionName: listenerName(0) }));
      if (host !== undefined) slots.push({ ...host, port });
    }
  }
  return memory;
}
