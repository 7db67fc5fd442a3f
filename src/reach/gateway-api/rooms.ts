import { objectKey } from "../../platform/kubernetes/objects.ts";
import { shortHash } from "./marks.ts";
import type { PlanInput } from "./plan-input.ts";
import { PortPicker } from "./ports.ts";
import type { Listing, View } from "./survey.ts";

/** Where a listener is to be made. */
export interface Slot {
  readonly view: View;
  /** Name of the ListenerSet, which may not be there yet; null: the Gateway's own. */
  readonly set: string | null;
  readonly port: number;
}

interface Place {
  readonly set: string | null;
  free: number;
}

/** What there is room for on a Gateway that is there. What was taken is taken. */
export class Room {
  readonly #view: View;
  readonly #input: Pick<PlanInput, "settings" | "observed">;
  readonly #ports: PortPicker;
  /** The Gateway itself first, then ListenerSets that there are, then those to be made. */
  readonly #places: Place[] = [];
  #setsMade = 0;
  #setNames: Set<string> | null = null;

  /** `released`: listeners that are to go in the same write. */
  constructor(view: View, released: ReadonlySet<Listing>, input: Omit<PlanInput, "units">) {
    this.#view = view;
    this.#input = input;
    const { settings, observed } = input;
    const { served } = observed;
    const held = new Set<number>();
    const freed = new Set<number>();
    const used = new Map<string | null, number>();
    for (const listing of view.listings) {
      if (released.has(listing)) {
        freed.add(listing.listener.port);
        continue;
      }
      const { set } = listing.host;
      used.set(set, (used.get(set) ?? 0) + 1);
      for (const port of portsOf(listing)) held.add(port);
    }
    for (const { set, object, isWritable, othersMarks } of view.hosts) {
      // Another gate gives what it was to a unit of its own again.
      for (const port of othersMarks) held.add(port);
      const isUsable = set === null ? settings.listenerSets !== "only" : this.#mayHaveSets(object.metadata.namespace);
      const most = set === null ? served.gatewayListeners.most : served.setListeners;
      if (isWritable && isUsable) this.#places.push({ set, free: Math.max(0, most - (used.get(set) ?? 0)) });
    }
    const isCooling = (port: number): boolean =>
      freed.has(port) || input.ports.isCooling(view.key, port) || input.ports.isBlocked(view.key, port);
    this.#ports = new PortPicker(settings.ports, held, { rules: view.rules, isCooling });
  }

  /** At the first place that has room; null: none has, or no port is free. */
  take(): Slot | null {
    const place = this.#firstPlace();
    const port = place === null ? null : this.#ports.takeBest();
    return place === null || port === null ? null : this.#slot(place, port);
  }

  /** This very port, in this very set if that has room. */
  takePort(port: number, set: string | null): Slot | null {
    const place = this.#places.find((one) => one.set === set && one.free > 0) ?? this.#firstPlace();
    return place === null || !this.#ports.take(port) ? null : this.#slot(place, port);
  }

  /** How many more listeners there could be, and how many ports there are for them. */
  left(): { readonly listeners: number; readonly ports: number } {
    const free = this.#places.reduce((sum, place) => sum + place.free, 0);
    return { listeners: this.#mayHaveSets() ? Infinity : free, ports: this.#ports.count() };
  }

  #slot(place: Place, port: number): Slot {
    place.free--;
    return { view: this.#view, set: place.set, port };
  }

  #firstPlace(): Place | null {
    const place = this.#places.find(({ free }) => free > 0);
    if (place !== undefined) return place;
    if (!this.#mayHaveSets()) return null;
    const made = { set: this.#newSetName(), free: this.#input.observed.served.setListeners };
    this.#places.push(made);
    return made;
  }

  #mayHaveSets(namespace = this.#view.gateway?.metadata.namespace): boolean {
    return this.#view.whyNoSets === null && namespace === this.#view.gateway?.metadata.namespace;
  }

  #newSetName(): string {
    const { settings, observed } = this.#input;
    const namespace = this.#view.gateway?.metadata.namespace ?? "";
    this.#setNames ??= new Set([...(observed.listenerSets?.values() ?? [])].map(objectKey));
    const base = `taskgate-${shortHash(`${settings.mark} ${this.#view.key}`)}`;
    for (;;) {
      const name = `${base}-${String(this.#setsMade++)}`;
      const key = `${namespace}/${name}`;
      if (!this.#setNames.has(key) && !observed.taken.has(`ListenerSet ${key}`)) return name;
    }
  }
}

/** Ports that cannot be had beside this listener: its own, and of a stranger's the one after which ours would be called the same. */
function portsOf({ listener, unit }: Listing): readonly number[] {
  const named = unit === null ? /^det-(\d{1,5})$/.exec(listener.name)?.[1] : undefined;
  return named === undefined ? [listener.port] : [listener.port, Number(named)];
}
