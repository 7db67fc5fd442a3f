import { isDeepStrictEqual } from "node:util";
import type { Endpoint, Problem, SourceUpdate, Task } from "../../model/index.ts";
import { isPlainText } from "./preflight.ts";
import { withTunnel, type Tunnel } from "./tunnel/tunnel.ts";
import type { Unit } from "./unit.ts";
import { unitsOf, type TaskUnit } from "./units.ts";

/** How units stand. */
export interface Standing {
  /** Where a unit is reached from here; null: nowhere. */
  readonly addressOf: (unit: string) => { readonly ip: string; readonly port: number } | null;
  /** Why one of these units is not reached; null: they all are. */
  readonly reasonOf: (units: readonly string[]) => string | null;
  /** All that there is to say beside what the provider says itself. */
  readonly problems: () => readonly Problem[];
}

/** A provider's tasks, published with those of their endpoints that are reached, at the addresses where they are. */
export class ReachedTasks {
  readonly #publish: (update: SourceUpdate) => void;
  readonly #tunnel: Tunnel | null;
  readonly #standing: Standing;
  readonly #tasks = new Map<string, Task>();
  readonly #byTask = new Map<string, readonly TaskUnit[]>();
  readonly #units = new Map<string, Unit>();
  /** Tasks that stand otherwise than was published. */
  readonly #changed = new Set<string>();
  #innerProblems: readonly Problem[] = [];
  #published: readonly Problem[] = [];
  #hasSpoken = false;
  #isStale = false;
  /** What is not passed on until the first look; null: all is. */
  #held: SourceUpdate[] | null = [];

  /** `tunnel`: by which Gateways end TLS for what is plain text. */
  constructor(
    standing: Standing,
    { publish, tunnel }: { readonly publish: (update: SourceUpdate) => void; readonly tunnel: Tunnel | null },
  ) {
    this.#standing = standing;
    this.#publish = publish;
    this.#tunnel = tunnel;
  }

  /** All, by id; the same map at all times. */
  get units(): ReadonlyMap<string, Unit> {
    return this.#units;
  }

  /** By id; the same map at all times. */
  get tasks(): ReadonlyMap<string, Task> {
    return this.#tasks;
  }

  /** Whether the provider has said what there is, and knows it still. */
  get isCurrent(): boolean {
    return this.#hasSpoken && !this.#isStale;
  }

  get isHeld(): boolean {
    return this.#held !== null;
  }

  take(update: SourceUpdate): void {
    this.#isStale = update.kind === "stale";
    if (update.kind === "whole") {
      this.#hasSpoken = true;
      const present = new Set(update.tasks.map(({ id }) => id));
      for (const id of [...this.#tasks.keys()]) if (!present.has(id)) this.#forget(id);
      for (const task of update.tasks) this.#note(task);
    } else if (update.kind === "change") {
      for (const id of update.removed) this.#forget(id);
      for (const task of update.set) this.#note(task);
    }
    if (this.#held === null) this.#pass(update);
    else this.#held.push(update);
  }

  /** From now on everything is passed on, and what waited for that. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const update of held) this.#pass(update);
  }

  /** These tasks, or the problems, may stand otherwise than they did. */
  refresh(tasks: Iterable<string>): void {
    for (const task of tasks) this.#changed.add(task);
    // What is stale is told by what ends that.
    if (this.#held !== null || !this.isCurrent) return;
    const problems = this.#problems();
    const set = [...this.#changed].flatMap((id) => this.#tasks.get(id) ?? []);
    this.#changed.clear();
    if (set.length === 0 && isDeepStrictEqual(problems, this.#published)) return;
    this.#tell({ kind: "change", set: set.map((task) => this.#reached(task)), removed: [], problems });
  }

  #note(task: Task): void {
    // Who reads a unit again and again knows it by its identity.
    const units = this.#unitsOf(task).map((each) => {
      const before = this.#units.get(each.unit.id);
      return before !== undefined && isDeepStrictEqual(before, each.unit) ? { ...each, unit: before } : each;
    });
    this.#forget(task.id);
    this.#tasks.set(task.id, task);
    this.#byTask.set(task.id, units);
    for (const { unit } of units) this.#units.set(unit.id, unit);
  }

  #unitsOf(task: Task): readonly TaskUnit[] {
    const units = unitsOf(task);
    const tunnel = this.#tunnel;
    if (tunnel === null) return units;
    const services = new Set(task.services.filter(isPlainText).map(({ name }) => name));
    const { certificate } = tunnel;
    return units.map((each) =>
      services.has(each.unit.service) ? { ...each, unit: { ...each.unit, tunnel: { certificate } } } : each,
    );
  }

  #forget(id: string): void {
    for (const { unit } of this.#byTask.get(id) ?? []) this.#units.delete(unit.id);
    this.#byTask.delete(id);
    this.#tasks.delete(id);
  }

  #pass(update: SourceUpdate): void {
    if (update.kind === "stale") {
      this.#publish(update);
      return;
    }
    this.#innerProblems = update.problems;
    const problems = this.#problems();
    if (update.kind === "whole") {
      this.#changed.clear();
      this.#tell({ ...update, tasks: update.tasks.map((task) => this.#reached(task)), problems });
      return;
    }
    for (const { id } of update.set) this.#changed.delete(id);
    const others = [...this.#changed].flatMap((id) => this.#tasks.get(id) ?? []);
    this.#changed.clear();
    this.#tell({ ...update, set: [...update.set, ...others].map((task) => this.#reached(task)), problems });
  }

  #tell(update: Exclude<SourceUpdate, { readonly kind: "stale" }>): void {
    this.#published = update.problems;
    this.#publish(update);
  }

  #problems(): readonly Problem[] {
    return [...this.#innerProblems, ...this.#standing.problems()];
  }

  #reached(task: Task): Task {
    const endpoints: Record<string, Endpoint[]> = {};
    for (const service of Object.keys(task.endpoints)) endpoints[service] = [];
    const units = this.#byTask.get(task.id) ?? [];
    for (const { unit, endpoint } of units) {
      const address = endpoint === null ? null : this.#standing.addressOf(unit.id);
      if (endpoint !== null && address !== null) endpoints[unit.service]?.push({ ...endpoint, address });
    }
    const reason =
      task.state === "running"
        ? (task.reason ?? this.#standing.reasonOf(units.map(({ unit }) => unit.id)))
        : task.reason;
    return {
      ...withTunnel(task, this.#tunnel),
      endpoints,
      ...(reason === undefined || reason === null ? {} : { reason }),
    };
  }
}
