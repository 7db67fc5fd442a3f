import {
  GATE_PROVIDER,
  OWNER_ONLY,
  sameTask,
  serviceKey,
  type Endpoint,
  type Opening,
  type Problem,
  type Route,
  type Service,
  type Task,
} from "../model/index.ts";
import { addAccess, NO_REFUSALS, withinCeiling } from "./access-ceiling.ts";
import type { RouteBasis, TaskBasis } from "./build-routes.ts";
import { BuiltService, type Books } from "./build-service.ts";
import { nameTask } from "./name-hosts.ts";
import { readTask } from "./read-task.ts";
import { keepSame } from "./same-content.ts";

const NO_NAMES: ReadonlySet<string> = new Set();
const NO_SERVICES: ReadonlyMap<string, BuiltService> = new Map();
const NO_OPENINGS: readonly Opening["access"][] = Object.freeze([]);
const NO_ENDPOINTS: readonly Endpoint[] = Object.freeze([]);

export interface TaskPlace {
  readonly provider: string;
  readonly id: string;
  /** `provider/task`. */
  readonly key: string;
}

/** One task that a source lists: what could be read of it, its services, its problems, and what it keeps claimed while unusable. */
export class BuiltTask {
  readonly place: TaskPlace;
  readonly #books: Books;
  #services: readonly BuiltService[] = [];
  /** Keys of claims that services hold which cannot be used just now. */
  #dormant: ReadonlySet<string> = NO_NAMES;
  #task: Task | null = null;
  #basis: TaskBasis | null = null;
  #broken: ReadonlySet<string> = NO_NAMES;
  #problems: readonly Problem[] = [];

  constructor(place: TaskPlace, books: Books) {
    this.place = place;
    this.#books = books;
  }

  /** null: listed, but it cannot be used. */
  get task(): Task | null {
    return this.#task;
  }

  /** Of one service, by its key. */
  routesOf(key: string): readonly Route[] {
    return this.#services.find((service) => service.key === key)?.routes() ?? [];
  }

  /** Takes what the source now calls this task, whatever that is. */
  set(raw: unknown): void {
    const { problems, rules, touch } = this.#books;
    const loopback = rules.loopback.has(this.place.provider);
    const read = readTask(raw, { ...this.place, loopback, previous: this.#task });
    problems.replace(this.#problems, read.problems);
    this.#problems = read.problems;
    this.#broken = read.broken;
    if (read.task !== this.#task) {
      this.#task = read.task;
      touch(this.place.key);
      this.#setServices(read.task?.services ?? []);
    }
    if (this.#dormant.size > 0) this.#reviewDormant();
  }

  /** Something was given to it, or taken from it. */
  reshare(): void {
    if (this.#task === null) return;
    this.#books.touch(this.place.key);
    this.#setEach(this.#task, this.#basisOf(this.#task));
  }

  /** The source lists it no more. */
  release(): void {
    for (const service of this.#services) service.release();
    for (const id of this.#dormant) this.#books.claims.releaseClaim(id);
    this.#books.problems.replace(this.#problems, []);
    this.#books.touch(this.place.key);
  }

  /** It was decided elsewhere that what one of its services, by key, had by a claim is not its own any more. */
  lostPort(key: string, claim: string): void {
    this.#services.find((service) => service.key === key)?.lostPort(claim);
  }

  /** A claim of one of its services that no route stands for. Kept while the service is listed but unusable, or still seeks a port. */
  adopt(claim: string): void {
    this.#dormant = new Set([...this.#dormant, claim]);
    this.#reviewDormant();
  }

  #setServices(services: readonly Service[]): void {
    const { provider, id } = this.place;
    const before = this.#services.length === 0 ? NO_SERVICES : new Map(this.#services.map((one) => [one.key, one]));
    this.#services = services.map((service) => {
      const key = serviceKey(provider, id, service.name);
      return before.get(key) ?? new BuiltService(key, this.#books);
    });
    if (before.size > 0) {
      const staying = new Set(this.#services);
      for (const built of before.values()) if (!staying.has(built)) this.#dropService(built);
    }
    if (this.#task !== null) this.#setEach(this.#task, this.#basisOf(this.#task));
  }

  #setEach(task: Task, basis: TaskBasis): void {
    const first = task.services.find(isBrowsable) ?? task.services[0];
    for (let at = 0; at < task.services.length; at++) {
      const service = task.services[at];
      const built = this.#services[at];
      if (service === undefined || built === undefined) continue;
      const list = task.endpoints[service.name] ?? NO_ENDPOINTS;
      const resolved = this.#resolve(task, service, built.basis);
      built.set({ key: built.key, task: basis, service, ...resolved, first: service === first }, list);
    }
  }

  /** Who may use a service: whom its provider names and whom somebody gave it to, within the ceiling, and whom rules name. */
  #resolve(task: Task, service: Service, before: RouteBasis | null): Pick<RouteBasis, "access" | "refusals"> {
    const { rules, shared, time } = this.#books;
    const own = service.access ?? task.access;
    if (this.place.provider === GATE_PROVIDER) return { access: own, refusals: NO_REFUSALS };
    const given = givenTo(task, service, shared.get(this.place.key));
    const bounded = withinCeiling(addAccess(own, given), rules.ceiling, time.now);
    const ruled = addAccess(OWNER_ONLY, rules.given(this.place.provider, task, service.name));
    const access = addAccess(bounded.access, [withinCeiling(ruled, rules.ruleCeiling, time.now).access]);
    return { access: keepSame(before?.access, access), refusals: keepSame(before?.refusals, bounded.refusals) };
  }

  /** The one that there is where it says the same. */
  #basisOf({ id, name, owner }: Task): TaskBasis {
    const { provider } = this.place;
    if (this.#basis?.owner === owner && this.#basis.name === name) return this.#basis;
    const { identity, text } = nameTask(provider, id, name);
    this.#basis = { identity, text, provider, name, owner };
    return this.#basis;
  }

  #dropService(built: BuiltService): void {
    if (this.#task !== null && !this.#broken.has(this.#nameOf(built.key))) built.release();
    else this.#dormant = new Set([...this.#dormant, ...built.suspend()]);
  }

  // The service's name, of its key.
  #nameOf(key: string): string {
    return key.slice(this.place.key.length + 1);
  }

  #reviewDormant(): void {
    const { claims } = this.#books;
    const kept: string[] = [];
    for (const id of this.#dormant) {
      const holder = claims.claims.get(id)?.service;
      // Others' and no one's are none of ours, and a route stands for those that are in use again.
      if (holder?.startsWith(`${this.place.key}/`) !== true || claims.routes.get(id)?.service === holder) continue;
      if (this.#keeps(holder)) kept.push(id);
      else claims.releaseClaim(id);
    }
    this.#dormant = kept.length === 0 ? NO_NAMES : new Set(kept);
  }

  #keeps(key: string): boolean {
    return this.#task === null || this.#broken.has(this.#nameOf(key)) || this.#books.ports.seeks(key);
  }
}

/** What was given to this very task, of what was given to those of its id. */
function givenTo(task: Task, service: Service, openings: readonly Opening[] | undefined): readonly Opening["access"][] {
  if (openings === undefined) return NO_OPENINGS;
  const { instance, owner } = task;
  return openings
    .filter((opening) => opening.service === null || opening.service === service.name)
    .filter((opening) => sameTask(opening.task, { instance, owner }))
    .map((opening) => opening.access);
}

function isBrowsable(service: Service): boolean {
  return service.protocol === "http" || service.protocol === "grpc";
}
