import { isDeepStrictEqual } from "node:util";
import type { Built, TableState } from "../core/table-state.ts";
import type { PlaneStatus } from "../dataplanes/dataplane.ts";
import {
  GATE_PROVIDER,
  GatewayError,
  serviceKey,
  type Identity,
  type Route,
  type SharedTask,
  type Site,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { TaskControl } from "../providers/provider.ts";
import { createProblemIndex } from "./problem-index.ts";
import { planeKeysOf, viewTask } from "./task-view.ts";
import type { LiveEvent, ProblemView, TaskView } from "./wire.ts";

/** How long changes are gathered before subscribers hear of them. */
const GATHER_MS = 50;

export interface DirectoryDeps {
  readonly state: TableState;
  readonly site: Site;
  /** null: no plane has reported yet. */
  planeStatus(): PlaneStatus | null;
  /** null: the gate does not run that task. */
  control(taskKey: string): TaskControl | null;
  readonly clock: Clock;
}

/** All tasks as visitors are told of them, kept by change. The gate's own built-in task is not among them. */
export interface TaskDirectory {
  /** By name. */
  list(): readonly TaskView[];
  /**
   * By name, by `PROVIDER/NAME` or by id. Throws `not_found`, and `conflict` for a name that two providers have. With `among`, only those
   * tasks count, and the others might as well not be.
   */
  get(nameOrId: string, among?: (taskKey: string) => boolean): TaskView;
  /** By task key; null: nobody's, or no such task. */
  ownerOf(taskKey: string): Identity | null;
  /** Who may use which of its services; null: there is no such task. */
  accessOf(taskKey: string): TaskAccess | null;
  /** Whether the table shows all that was given to the task. */
  showsShared(taskKey: string): boolean;
  /** Of sources, planes, and what belongs to no task. */
  problems(): readonly ProblemView[];
  /** To be called after every build. Work proportional to the change. */
  built(built: Built): void;
  /** To be called when the status of the plane changed. */
  planeChanged(): void;
  /** Calls at once with the present state, then with what changed, gathered. The listener must not throw. */
  subscribe(listener: (event: LiveEvent) => void): Disposable;
  /**
   * Resolves once `test` holds for the task of that key (undefined: there is none), or when `signal` aborts: with the task as it is then.
   */
  until(
    taskKey: string,
    test: (view: TaskView | undefined) => boolean,
    signal: AbortSignal,
  ): Promise<TaskView | undefined>;
  /** How many listen. */
  readonly subscribers: number;
}

/** A task as it is given to others. */
export interface TaskAccess {
  readonly task: SharedTask;
  /** A way to each service that people are told of, which says who may use it. */
  readonly services: readonly { readonly name: string; readonly route: Route }[];
}

/** Starts with all that `state` holds now. */
export function createTaskDirectory(deps: DirectoryDeps): TaskDirectory {
  return new Directory(deps);
}

class Directory implements TaskDirectory {
  readonly #deps: DirectoryDeps;
  readonly #views = new Map<string, TaskView>();
  /** Names to task keys. */
  readonly #names = new Map<string, Set<string>>();
  /** Keys of plane health to task keys, and back. */
  readonly #healthOwners = new Map<string, string>();
  readonly #healthKeys = new Map<string, readonly string[]>();
  readonly #health = new Map<string, "healthy" | "unhealthy">();
  readonly #problems;
  readonly #listeners = new Set<(event: LiveEvent) => void>();
  /** Tasks to look at again. */
  readonly #dirty = new Set<string>();
  #planeDirty = true;
  /** What subscribers were last told of tasks that changed since. */
  readonly #told = new Map<string, TaskView | undefined>();
  #toldProblems: readonly ProblemView[] = [];
  #timer: Disposable | null = null;
  /** Each looks after every build. */
  readonly #watchers = new Set<() => void>();

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
    this.#problems = createProblemIndex(deps.state);
    for (const key of deps.state.tasks.keys()) this.#dirty.add(key);
    this.#settle();
    this.#told.clear();
    this.#toldProblems = this.#problems.rest();
  }

  get subscribers(): number {
    return this.#listeners.size;
  }

  list(): readonly TaskView[] {
    this.#settle();
    return [...this.#views.values()].sort(byName);
  }

  get(nameOrId: string, among: (taskKey: string) => boolean = () => true): TaskView {
    this.#settle();
    const exact = this.#views.get(nameOrId);
    if (exact !== undefined && among(exact.id)) return exact;
    const slash = nameOrId.indexOf("/");
    const provider = slash < 0 ? null : nameOrId.slice(0, slash);
    const found = [...(this.#names.get(nameOrId.slice(slash + 1)) ?? [])]
      .flatMap((key) => this.#views.get(key) ?? [])
      .filter((view) => (provider === null || view.provider === provider) && among(view.id))
      .sort(byName);
    const [first, second] = found;
    if (first === undefined) throw new GatewayError("not_found", "no task has this name; `taskgate ps` lists them");
    if (second === undefined) return first;
    const names = found.map((view) => `${view.provider}/${view.name}`).join(" and ");
    throw new GatewayError("conflict", `several tasks have this name: say which, ${names}`);
  }

  ownerOf(taskKey: string): Identity | null {
    return this.#deps.state.tasks.get(taskKey)?.task.owner ?? null;
  }

  accessOf(taskKey: string): TaskAccess | null {
    const { state } = this.#deps;
    const merged = state.tasks.get(taskKey);
    if (merged === undefined || merged.provider === GATE_PROVIDER) return null;
    const { id, instance, owner, services } = merged.task;
    const routed = services.flatMap(({ name, awaited }) => {
      const [route] = awaited === true ? [] : state.routesOf(serviceKey(merged.provider, id, name));
      return route === undefined ? [] : [{ name, route }];
    });
    return { task: { instance, owner }, services: routed };
  }

  showsShared(taskKey: string): boolean {
    return this.#deps.state.showsShared(taskKey);
  }

  problems(): readonly ProblemView[] {
    this.#settle();
    return this.#problems.rest();
  }

  built(built: Built): void {
    for (const key of built.tasks.set) this.#dirty.add(key);
    for (const key of built.tasks.removed) this.#dirty.add(key);
    // Rare: a source began to fail, or to work again, which shows at each of its tasks.
    if (built.sources.length > 0) {
      for (const view of this.#views.values()) if (built.sources.includes(view.provider)) this.#dirty.add(view.id);
    }
    const { problems } = built.diff;
    const isOtherProblem = problems.set.length + problems.removed.length > 0;
    // Which task a problem is of hangs on which tasks there are.
    const isOtherTask = built.tasks.removed.length > 0 || built.tasks.set.some((key) => !this.#views.has(key));
    if (isOtherProblem || isOtherTask) this.#problems.outdated();
    this.#schedule();
    for (const look of this.#watchers) look();
  }

  planeChanged(): void {
    this.#planeDirty = true;
    this.#problems.outdated();
    this.#schedule();
  }

  subscribe(listener: (event: LiveEvent) => void): Disposable {
    this.#publish();
    // A function of its own, so that one listener may subscribe twice and each end for itself.
    const call = (event: LiveEvent) => listener(event);
    this.#listeners.add(call);
    listener({ kind: "tasks", tasks: this.list(), problems: this.#problems.rest() });
    return { [Symbol.dispose]: () => void this.#listeners.delete(call) };
  }

  async until(
    taskKey: string,
    test: (view: TaskView | undefined) => boolean,
    signal: AbortSignal,
  ): Promise<TaskView | undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const look = () => {
      this.#settle();
      const view = this.#views.get(taskKey);
      if (signal.aborted || test(view)) resolve(undefined);
    };
    this.#watchers.add(look);
    signal.addEventListener("abort", look);
    try {
      look();
      await promise;
    } finally {
      this.#watchers.delete(look);
      signal.removeEventListener("abort", look);
    }
    return this.#views.get(taskKey);
  }

  #schedule(): void {
    if (this.#timer !== null || this.#listeners.size === 0) return;
    this.#timer = this.#deps.clock.after(GATHER_MS, () => {
      this.#timer = null;
      this.#publish();
    });
  }

  #publish(): void {
    this.#settle();
    const set: TaskView[] = [];
    const removed: string[] = [];
    for (const [key, told] of this.#told) {
      const view = this.#views.get(key);
      if (isDeepStrictEqual(view, told)) continue;
      if (view === undefined) removed.push(key);
      else set.push(view);
    }
    this.#told.clear();
    const problems = this.#problems.rest();
    const same = isDeepStrictEqual(problems, this.#toldProblems);
    this.#toldProblems = problems;
    if (set.length === 0 && removed.length === 0 && same) return;
    const event: LiveEvent = { kind: "change", set: set.sort(byName), removed, problems };
    for (const listener of this.#listeners) listener(event);
  }

  /** Brings the views up to date with all that was taken note of. */
  #settle(): void {
    if (this.#planeDirty) this.#takePlane();
    for (const key of this.#problems.refresh(this.#deps.planeStatus()?.problems ?? [])) this.#dirty.add(key);
    for (const key of this.#dirty) this.#look(key);
    this.#dirty.clear();
  }

  #takePlane(): void {
    this.#planeDirty = false;
    const now = this.#deps.planeStatus()?.endpoints ?? new Map<string, "healthy" | "unhealthy">();
    for (const [key, health] of now) {
      if (this.#health.get(key) === health) continue;
      this.#health.set(key, health);
      this.#markOwner(key);
    }
    if (this.#health.size === now.size) return;
    for (const key of this.#health.keys()) {
      if (now.has(key)) continue;
      this.#health.delete(key);
      this.#markOwner(key);
    }
  }

  #markOwner(healthKey: string): void {
    const owner = this.#healthOwners.get(healthKey);
    if (owner !== undefined) this.#dirty.add(owner);
  }

  #look(key: string): void {
    const before = this.#views.get(key);
    const after = this.#view(key);
    if (isDeepStrictEqual(before, after)) return;
    if (!this.#told.has(key) && this.#listeners.size > 0) this.#told.set(key, before);
    if (before !== undefined) this.#forgetName(before);
    if (after === undefined) {
      this.#views.delete(key);
      return;
    }
    this.#views.set(key, after);
    const keys = this.#names.get(after.name);
    if (keys === undefined) this.#names.set(after.name, new Set([key]));
    else keys.add(key);
  }

  #view(key: string): TaskView | undefined {
    const { state, site, control } = this.#deps;
    const merged = state.tasks.get(key);
    const own = control(key);
    const routesOf = (service: string) => state.routesOf(service);
    for (const old of this.#healthKeys.get(key) ?? []) this.#healthOwners.delete(old);
    this.#healthKeys.delete(key);
    if (merged === undefined || merged.provider === GATE_PROVIDER) return undefined;
    const healthKeys = planeKeysOf(merged, routesOf);
    this.#healthKeys.set(key, healthKeys);
    for (const healthKey of healthKeys) this.#healthOwners.set(healthKey, key);
    return viewTask({
      merged,
      sourceState: state.sources.get(merged.provider),
      routesOf,
      problems: this.#problems.of(key),
      site,
      controllable: own?.isOwn(merged.task.id) === true,
      removable: own !== null,
      planeHealth: (healthKey) => this.#health.get(healthKey),
    });
  }

  #forgetName(view: TaskView): void {
    const keys = this.#names.get(view.name);
    keys?.delete(view.id);
    if (keys?.size === 0) this.#names.delete(view.name);
  }
}

function byName(a: TaskView, b: TaskView): number {
  return compare(a.name, b.name) || compare(a.id, b.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
