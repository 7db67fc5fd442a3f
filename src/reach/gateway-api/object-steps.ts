import type { TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type { EndpointSlice, KubernetesObject, KubernetesService } from "../../platform/kubernetes/objects.ts";
import { ENDPOINT_SLICES, SERVICES, type Resource } from "../../platform/kubernetes/resource.ts";
import { hashedLabel } from "./marks.ts";
import {
  buildRoute,
  buildService,
  buildSlice,
  isRouteAsWanted,
  isServiceAsWanted,
  isSliceAsWanted,
  mended,
  type ObjectOf,
} from "./objects.ts";
import type { OwnObjects } from "./own-objects.ts";
import type { Kept, Placement } from "./placement.ts";
import type { PlanInput, Step } from "./plan-input.ts";
import { parentOf } from "./survey.ts";
import type { Unit } from "./unit.ts";

/** What is to become of Services, EndpointSlices and routes. */
export interface ObjectPlan {
  readonly steps: readonly Step[];
  /** Routes by unit that lead to its pod by all that is observed. */
  readonly routes: ReadonlyMap<string, TcpRoute>;
}

/** Of units that have a listener or are to get one, all is made and mended; what is left of others is removed, routes before what they lead to. */
export function planObjects(input: PlanInput, own: OwnObjects, placement: Placement): ObjectPlan {
  const planner = new ObjectPlanner(input, own);
  const { kept, added, refused } = placement;
  for (const unit of input.units.values()) {
    const at = kept.get(unit.id);
    if (at !== undefined) planner.lead(unit, at);
    else if (added.has(unit.id)) planner.prepare(unit);
    // Of one for which there is no room, all goes: its route may hold the listener that is in the way.
    else if (refused.get(unit.id)?.code !== "gateway_full") planner.spare(unit.id);
  }
  return { steps: planner.finish(), routes: planner.routes };
}

/** An object of a unit, under the name that it has or is to have. */
interface Settled<T> {
  readonly name: string;
  /** As observed, where that is as it should be; null: a step or time brings it about. */
  readonly object: T | null;
}

interface Wish<T> {
  readonly resource: Resource<T & KubernetesObject>;
  /** All of the unit. */
  readonly live: readonly T[];
  /** By name, everybody's that are known. */
  readonly observed: ReadonlyMap<string, KubernetesObject>;
  readonly build: (of: ObjectOf) => T;
  /** null: it has to be made anew. */
  readonly isAsWanted: (live: T, of: ObjectOf) => boolean | null;
}

interface Live {
  readonly service: KubernetesService | null;
  /** undefined: none, as it is to be of who selects pods. */
  readonly slice: EndpointSlice | null | undefined;
  readonly route: TcpRoute | null;
}

/** What units had when all was in order: it is, as long as they have the same. */
const IN_ORDER = new WeakMap<Unit, Live & { readonly parent: string }>();

function isInOrder(unit: Unit, { service, slice, route }: Live, { listing }: Kept): boolean {
  const before = IN_ORDER.get(unit);
  if (before?.parent !== listing.parent) return false;
  return before.service === service && before.slice === slice && before.route === route;
}

class ObjectPlanner {
  readonly routes = new Map<string, TcpRoute>();
  readonly #input: PlanInput;
  readonly #own: OwnObjects;
  readonly #made: Step[] = [];
  /** What is somebody's, or is seen to already. */
  readonly #spared = new Set<KubernetesObject>();

  constructor(input: PlanInput, own: OwnObjects) {
    this.#input = input;
    this.#own = own;
  }

  /** A unit whose listener is there. */
  lead(unit: Unit, at: Kept): void {
    const live = this.#liveOf(unit);
    if (live.route !== null && isInOrder(unit, live, at)) {
      this.spare(unit.id);
      this.routes.set(unit.id, live.route);
      return;
    }
    const route = this.#leadAnew(unit, at);
    if (route === null) return;
    this.routes.set(unit.id, route);
    const hasSlice = unit.backing.by === "pod" ? live.slice !== null : live.slice === undefined;
    if (live.service !== null && hasSlice && live.route === route)
      IN_ORDER.set(unit, { ...live, parent: at.listing.parent });
  }

  /** The route, if all is there as it should be. */
  #leadAnew(unit: Unit, { view, listing }: Kept): TcpRoute | null {
    const { service, isLed } = this.prepare(unit);
    if (service === null) {
      this.#spareAll(this.#own.routes.get(unit.id));
      return null;
    }
    const { served } = this.#input.observed;
    const parent = parentOf({ key: view.key, set: listing.host.set, port: listing.listener.port }, served);
    const resource = served.tcpRoutes;
    const { object } = this.#settle<TcpRoute>(unit, {
      resource,
      live: this.#own.routes.get(unit.id) ?? [],
      observed: this.#input.observed.routes,
      build: (of) => buildRoute({ ...of, service, parent, resource }),
      isAsWanted: (live, of) => isRouteAsWanted(live, { ...of, service, parent, resource }),
    });
    return isLed ? object : null;
  }

  /** What a unit has, where it has one of each and no more. */
  #liveOf({ id }: Unit): Live {
    const only = <T>(list: readonly T[] = []): T | null => (list.length === 1 ? (list[0] ?? null) : null);
    const slices = this.#own.slices.get(id);
    return {
      service: only(this.#own.services.get(id)),
      slice: slices === undefined ? undefined : only(slices),
      route: only(this.#own.routes.get(id)),
    };
  }

  /** What a route is to lead to. `service`: its name, once it is there as it should be; `isLed`: all the way to the pod. */
  prepare(unit: Unit): { readonly service: string | null; readonly isLed: boolean } {
    const { observed } = this.#input;
    const service = this.#settle<KubernetesService>(unit, {
      resource: SERVICES,
      live: this.#own.services.get(unit.id) ?? [],
      observed: observed.services,
      build: buildService,
      isAsWanted: isServiceAsWanted,
    });
    const isThere = service.object !== null;
    if (unit.backing.by === "selector") return { service: isThere ? service.name : null, isLed: isThere };
    const slice = this.#settle<EndpointSlice>(unit, {
      resource: ENDPOINT_SLICES,
      live: this.#own.slices.get(unit.id) ?? [],
      observed: observed.slices,
      build: (of) => buildSlice(of, service.name),
      isAsWanted: (live, of) => isSliceAsWanted(live, of, service.name),
    });
    return { service: isThere ? service.name : null, isLed: isThere && slice.object !== null };
  }

  /** A unit of which all stays as it is. */
  spare(id: string): void {
    this.#spareAll(this.#own.routes.get(id));
    this.#spareAll(this.#own.services.get(id));
    this.#spareAll(this.#own.slices.get(id));
  }

  /** All steps: with those that remove what nobody spared. */
  finish(): readonly Step[] {
    const { served } = this.#input.observed;
    const routes = this.#sweep(this.#own.routes, served.tcpRoutes);
    const isFree = (object: KubernetesObject): boolean => !this.#own.isBackend(object);
    const services = this.#sweep(this.#own.services, SERVICES, isFree);
    const slices = this.#sweep(this.#own.slices, ENDPOINT_SLICES, isFree);
    return [...routes, ...this.#made, ...services, ...slices];
  }

  #sweep(
    objects: ReadonlyMap<string, readonly KubernetesObject[]>,
    resource: Resource<KubernetesObject>,
    isFree: (object: KubernetesObject) => boolean = () => true,
  ): readonly Step[] {
    const { isWhole, units } = this.#input;
    const steps: Step[] = [];
    for (const [id, list] of objects) {
      if (!isWhole && !units.has(id)) continue;
      for (const object of list) {
        if (this.#spared.has(object) || object.metadata.deletionTimestamp !== undefined || !isFree(object)) continue;
        steps.push({ action: "remove", resource, object, units: [] });
      }
    }
    return steps;
  }

  #settle<T extends KubernetesObject>(unit: Unit, wish: Wish<T>): Settled<T> {
    const { resource } = wish;
    const live = chosenOf(unit, wish.live);
    const name = live?.metadata.name ?? this.#nameFor(unit, wish);
    const of = { unit, name, mark: this.#input.settings.mark };
    if (live === undefined)
      return this.#awaited(name, { action: "create", resource, object: wish.build(of), units: [unit.id] });
    this.#spared.add(live);
    if (live.metadata.deletionTimestamp !== undefined) return { name, object: null };
    const verdict = wish.isAsWanted(live, of);
    if (verdict === true) return { name, object: live };
    if (verdict === null) return this.#awaited(name, { action: "remove", resource, object: live, units: [unit.id] });
    return this.#awaited(name, { action: "replace", resource, object: mended(live, wish.build(of)), units: [unit.id] });
  }

  #awaited(name: string, step: Step): Settled<never> {
    this.#made.push(step);
    return { name, object: null };
  }

  #nameFor(unit: Unit, { resource, observed }: Pick<Wish<KubernetesObject>, "resource" | "observed">): string {
    const key = `${unit.namespace}/${unit.objectName}`;
    const isFree = !observed.has(key) && !this.#input.observed.taken.has(`${resource.kind} ${key}`);
    return isFree ? unit.objectName : hashedLabel(unit.objectName, `${this.#input.settings.mark} ${unit.id}`);
  }

  #spareAll(objects: readonly KubernetesObject[] = []): void {
    for (const object of objects) this.#spared.add(object);
  }
}

// A unit keeps what it has, by whatever name.
function chosenOf<T extends KubernetesObject>(unit: Unit, live: readonly T[]): T | undefined {
  const there = live.filter(({ metadata }) => metadata.namespace === unit.namespace);
  return there.find(({ metadata }) => metadata.name === unit.objectName) ?? there[0];
}
