import type { Gatekeeper, OpenUse, Route, TableDiff } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { type Came, EnvoyFlow } from "./envoy-flow.ts";
import type { Facts } from "./facts.ts";
import { PERIOD_MS, TAGS } from "./loggers.ts";
import type { Tally } from "./tally.ts";
import type { Teller } from "./teller.ts";
import { claimsIn, type WhoCame } from "./who-came.ts";

/** An entry for what a held stream was about comes this much later, at most: after it, the stream is over as far as it was known. */
const LATE_MS = 10_000;
/** What is told of every `PERIOD_MS` and was not for so long is over; its last entry was lost. */
const SILENT_MS = 6 * PERIOD_MS;

/** By which the gate ends a request at once; false: it cannot any more. */
export interface Hold {
  cut(): boolean;
}

export interface BookDeps {
  readonly gatekeeper: Pick<Gatekeeper, "opened" | "refused">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tally: Tally;
  readonly who: WhoCame;
  /** Of the route that a cluster is of; undefined: there is none, or none any more. */
  readonly routeOf: (cluster: string) => Route | undefined;
  readonly teller: Pick<Teller, "over">;
  readonly used: (service: string, at: number) => void;
  /** Other connections are unheld than before. */
  readonly changed: () => void;
}

/**
 * Open at an Envoy. Held (the gate can end it) → ending (Envoy has said that it is over; its entry is awaited) → gone; or → unheld (the gate
 * that held it is gone, or there was none): known by entries alone. Connections that speak no HTTP are never held.
 */
interface Open {
  key: string;
  readonly flow: EnvoyFlow;
  readonly route: Route;
  readonly record: OpenUse;
  hold: Hold | null;
  /** Epoch ms at which it was last heard of. */
  heardAt: number;
  ending: boolean;
  answered: boolean;
}

/** What is open at Envoys, joined from streams that are held and from their access log, and told to the gatekeeper as one use each. */
export class Book implements Disposable {
  readonly #deps: BookDeps;
  /** By what the gate calls it where that holds it, else by Envoy's id. */
  readonly #open = new Map<string, Open>();
  readonly #byRoute = new Map<string, Set<Open>>();
  /** What is ending, by Envoy's id: where the request was over before Envoy heard the gate's name for it, its entry has no other. */
  readonly #ending = new Map<string, Open>();
  #timer: Disposable | null = null;

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#open.size;
  }

  /** By service: what is open that nobody could end. */
  get unheld(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { flow, hold, ending, route } of this.#open.values()) {
      if (hold !== null || ending || flow.asked === null) continue;
      counts.set(route.service, (counts.get(route.service) ?? 0) + 1);
    }
    return counts;
  }

  /** A request is held from now on, by this name. */
  held(key: string, came: Came & { readonly route: Route }, hold: Hold): void {
    this.#enter(key, came, hold);
  }

  /** Envoy says that it is over. */
  ended(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    open.hold = null;
    open.ending = true;
    if (open.flow.requestId !== "") this.#ending.set(open.flow.requestId, open);
    open.heardAt = this.#deps.clock.now();
  }

  /** The stream to the gate broke; the request goes on, if its service is not strict. */
  lost(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined || open.ending) return;
    open.hold = null;
    open.heardAt = this.#deps.clock.now();
    this.#rename(open, open.flow.requestId);
    this.#deps.changed();
  }

  /** An entry of the access log. */
  seen(facts: Facts): void {
    const open = this.#find(facts);
    if (open === undefined) {
      if (facts.over) this.#whole(facts);
      else this.#openUnheld(facts);
      return;
    }
    open.heardAt = this.#deps.clock.now();
    this.#tell(open, facts);
    if (facts.over) this.#leave(open);
  }

  /** Ends what came by routes that are gone or are another service's now, and has the rest judged again. */
  apply({ routes }: Pick<TableDiff, "routes">): void {
    for (const id of routes.removed) for (const open of this.#on(id)) this.#cutForRoute(open);
    for (const route of routes.set) {
      for (const open of this.#on(route.id)) {
        if (route.service === open.route.service) open.record.moved(route);
        else this.#cutForRoute(open);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    for (const open of [...this.#open.values()]) this.#leave(open);
  }

  /** An Envoy that did not wait for the gate never heard what that calls it: its entries come by Envoy's own id, or came already. */
  #rename(open: Open, id: string): void {
    if (id === "") return;
    if (this.#open.has(id)) {
      this.#leave(open);
      return;
    }
    this.#open.delete(open.key);
    open.key = id;
    this.#open.set(id, open);
  }

  #find({ id, tags }: Facts): Open | undefined {
    const hold = tags[TAGS.hold];
    if (hold !== undefined) return this.#open.get(hold) ?? this.#open.get(id);
    return this.#open.get(id) ?? this.#ending.get(id);
  }

  /** Let in by a gate that is gone, or while there was none: from now on it is known, and listed. */
  #openUnheld(facts: Facts): void {
    const came = this.#came(facts);
    const { route } = came;
    if (route === null || facts.id === "") return;
    const open = this.#enter(facts.id, { ...came, route }, null);
    this.#tell(open, facts);
    if (facts.asked !== null) this.#deps.changed();
  }

  /** All that there is to say of a request, or of a connection that never was one. */
  #whole(facts: Facts): void {
    const came = this.#came(facts);
    const { route } = came;
    const flow = new EnvoyFlow(came);
    flow.tell(facts);
    const { gatekeeper, tally, teller, used } = this.#deps;
    if (route !== null && wasLetIn(facts)) {
      tally.opened(flow, route.service);
      const record = gatekeeper.opened(flow, route, () => undefined);
      used(route.service, facts.endedAt);
      tally.answered(flow, route.service);
      tally.closed(flow, route.service);
      record.closed();
      this.#connected(facts, route);
    } else {
      if (!facts.told && facts.code !== null) gatekeeper.refused(flow, route);
      tally.answered(flow, null);
    }
    teller.over(flow);
  }

  #enter(key: string, came: Came & { readonly route: Route }, hold: Hold | null): Open {
    const { clock, gatekeeper, tally, used } = this.#deps;
    const { route } = came;
    const flow = new EnvoyFlow(came);
    tally.opened(flow, route.service);
    used(route.service, clock.now());
    const record = gatekeeper.opened(flow, route, () => this.#cut(open));
    const open: Open = { key, flow, route, record, hold, heardAt: clock.now(), ending: false, answered: false };
    this.#open.set(key, open);
    let siblings = this.#byRoute.get(route.id);
    if (siblings === undefined) this.#byRoute.set(route.id, (siblings = new Set()));
    siblings.add(open);
    this.#timer ??= clock.after(LATE_MS, () => this.#look());
    return open;
  }

  #tell(open: Open, facts: Facts): void {
    const { flow, route } = open;
    flow.tell(facts);
    if (open.answered || (facts.status === 0 && !facts.over)) return;
    open.answered = true;
    this.#deps.tally.answered(flow, route.service);
    this.#connected(facts, route);
  }

  #connected({ connectMs }: Facts, { service }: Route): void {
    if (connectMs !== null) this.#deps.tally.dialled(service, connectMs / 1000);
  }

  #leave(open: Open): void {
    const { key, flow, route, record, hold, ending } = open;
    const { clock, tally, teller, used } = this.#deps;
    this.#open.delete(key);
    if (this.#ending.get(flow.requestId) === open) this.#ending.delete(flow.requestId);
    const siblings = this.#byRoute.get(route.id);
    siblings?.delete(open);
    if (siblings?.size === 0) this.#byRoute.delete(route.id);
    if (flow.closedAt === 0) flow.closedAt = open.heardAt;
    tally.closed(flow, route.service);
    used(route.service, clock.now());
    record.closed();
    teller.over(flow);
    if (hold === null && !ending && flow.asked !== null) this.#deps.changed();
  }

  /** A copy: what is cut may leave at once. */
  #on(routeId: string): readonly Open[] {
    return [...(this.#byRoute.get(routeId) ?? [])];
  }

  #cutForRoute(open: Open): void {
    open.flow.cutFor ??= "route_gone";
    this.#cut(open);
  }

  #cut({ flow, hold, route }: Open): void {
    if (hold?.cut() === true || flow.asked === null) return;
    this.#deps.logger.warn(
      { service: route.service, requestId: flow.requestId, reason: flow.cutFor },
      "a connection is to end that no gate holds any more",
    );
  }

  /** For what was never told of again. */
  #look(): void {
    const now = this.#deps.clock.now();
    for (const open of [...this.#open.values()]) {
      if (open.hold === null && now - open.heardAt >= (open.ending ? LATE_MS : SILENT_MS)) this.#leave(open);
    }
    this.#timer = this.#open.size === 0 ? null : this.#deps.clock.after(LATE_MS, () => this.#look());
  }

  #came(facts: Facts): Came {
    const { kind, peer, asked, startedAt, id, tags, metadata, cluster } = facts;
    const { routeOf, who } = this.#deps;
    const route = who.route({ tags }) ?? routeOf(cluster) ?? null;
    const session = who.session({ tags, claims: () => claimsIn(metadata) });
    return { kind, peer, asked, startedAt, requestId: id, route, session };
  }
}

/** It was led to its service, whatever came of that; else it was Envoy that answered by itself. */
function wasLetIn({ told, tries, source, code }: Facts): boolean {
  return !told && (source === "app" || tries > 0 || code === null);
}
