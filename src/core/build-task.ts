import { serviceKey, type Endpoint, type Problem, type Route, type Service, type Task } from "../model/index.ts";
import { BuiltService, type Books } from "./build-service.ts";
import { readTask } from "./read-task.ts";

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
  readonly #services = new Map<string, BuiltService>();
  /** Keys of claims that services hold which cannot be used just now. */
  readonly #dormant = new Set<string>();
  #task: Task | null = null;
  #broken: ReadonlySet<string> = new Set();
  #problems: readonly Problem[] = [];

  constructor(place: TaskPlace, books: Books) {
    this.place = place;
    this.#books = books;
  }

  /** null: listed, but it cannot be used. */
  get task(): Task | null {
    return this.#task;
  }

  routesOf(service: string): readonly Route[] {
    return this.#services.get(service)?.routes() ?? [];
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

  /** The source lists it no more. */
  release(): void {
    for (const service of this.#services.values()) service.release();
    for (const id of this.#dormant) this.#books.claims.releaseClaim(id);
    this.#books.problems.replace(this.#problems, []);
    this.#books.touch(this.place.key);
  }

  /** A claim of one of its services that no route stands for. Kept while the service is listed but unusable, or still seeks a port. */
  adopt(claim: string): void {
    this.#dormant.add(claim);
    this.#reviewDormant();
  }

  #setServices(services: readonly Service[]): void {
    const task = this.#task;
    const names = new Set(services.map((service) => service.name));
    for (const [name, built] of this.#services) {
      if (names.has(name)) continue;
      this.#services.delete(name);
      if (task === null || this.#broken.has(name)) for (const id of built.suspend()) this.#dormant.add(id);
      else built.release();
    }
    if (task === null) return;
    const first = services.find(isBrowsable) ?? services[0];
    for (const service of services) this.#setService(task, service, service === first);
  }

  #setService(task: Task, service: Service, first: boolean): void {
    const { provider, id } = this.place;
    const key = serviceKey(provider, id, service.name);
    let built = this.#services.get(service.name);
    if (built === undefined) {
      built = new BuiltService(key, this.#books);
      this.#services.set(service.name, built);
    }
    const named = { provider, task: id, taskName: task.name, service: service.name };
    const access = service.access ?? task.access;
    built.set({ key, named, owner: task.owner, service, access, first }, task.endpoints[service.name] ?? NO_ENDPOINTS);
  }

  #reviewDormant(): void {
    const { claims, ports } = this.#books;
    const prefix = `${this.place.key}/`;
    for (const id of this.#dormant) {
      const holder = claims.claims.get(id)?.service;
      const isMine = holder?.startsWith(prefix) === true;
      if (isMine && claims.routes.get(id)?.service !== holder) {
        if (this.#task === null || this.#broken.has(holder.slice(prefix.length)) || ports.seeks(holder)) continue;
        claims.releaseClaim(id);
      }
      this.#dormant.delete(id);
    }
  }
}

function isBrowsable(service: Service): boolean {
  return service.protocol === "http" || service.protocol === "grpc";
}
