import {
  GatewayError,
  matchKey,
  taskKey,
  type Certificate,
  type Changed,
  type Claim,
  type Endpoints,
  type Listener,
  type Opening,
  type Problem,
  type Revision,
  type RouteTable,
  type SessionKey,
  type SourceState,
  type Upstream,
} from "../model/index.ts";
import { PortBook } from "./allot-ports.ts";
import type { Books } from "./build-service.ts";
import { BuiltTask } from "./build-task.ts";
import { KeptEntries } from "./kept-entries.ts";
import { GONE, Source } from "./merge-sources.ts";
import { ProblemBook } from "./problem-book.ts";
import { ClaimBook } from "./resolve-claims.ts";
import { sameContent } from "./same-content.ts";
import { mayClaim, tableRules } from "./table-rules.ts";
import type { Built, MergedTask, TableOptions, TableState } from "./table-state.ts";
import type { Writable } from "./writable.ts";

/**
 * An empty table that remembers who held what: `claims` are those of the gate's last life, as the store has them. Claims that the options
 * no longer allow (a port outside of the range, a host that is now the gate's) are given up with the first build.
 */
export function createTableState(options: TableOptions, claims: Iterable<Claim>): TableState {
  return new KeptTable(options, claims);
}

class KeptTable implements TableState {
  readonly table: Writable<RouteTable>;
  readonly #books: Books;
  readonly #merged = new KeptEntries<MergedTask>();
  readonly #sources = new Map<string, SourceEntry>();
  readonly #states = new Map<string, SourceState>();
  readonly #touched = new Set<string>();
  /** What was given to tasks, by task key, and those of whom that changed since the last build. */
  readonly #shared = new Map<string, readonly Opening[]>();
  readonly #reshared = new Set<string>();
  readonly #time = { now: 0 };
  /** By claim's key; null: nobody's. */
  readonly #decided = new Map<string, Claim | null>();
  /** Claims of the last life, or of other gates, by source, until the source tells what there is. */
  readonly #inherited: Map<string, Claim[]>;
  readonly #listeners = new Map<string, Listener>();
  readonly #keys = new Map<string, SessionKey>();
  readonly #certificates = new Map<string, Certificate>();
  #rest = false;

  constructor(options: TableOptions, claims: Iterable<Claim>) {
    const rules = tableRules(options);
    const touch = (subject: string) => {
      // In a build from nothing every task is new, and those are known anyway.
      if (!this.#merged.isBlank) this.#touched.add(subject);
    };
    const problems = new ProblemBook(touch);
    const inherited = new Map([...claims].map((claim) => [matchKey(claim.match), claim]));
    const isDecidedElsewhere = options.claims === "elsewhere";
    const book = new ClaimBook(inherited, { problems, touch, isDecidedElsewhere });
    for (const [id, claim] of inherited) if (!mayClaim(rules, claim)) book.releaseClaim(id);
    this.#inherited = Map.groupBy(inherited.values(), sourceOf);
    const ports = new PortBook(rules, { claims: book, problems });
    const upstreams = new KeptEntries<Upstream>();
    const endpoints = new KeptEntries<Endpoints>();
    const kept = { rules, claims: book, ports, problems, upstreams, endpoints };
    this.#books = { ...kept, shared: this.#shared, time: this.#time, touch };
    this.table = {
      revision: Object.freeze({ epoch: options.epoch, seq: 0 }),
      listeners: this.#listeners,
      certificates: this.#certificates,
      routes: book.routes.entries,
      upstreams: upstreams.entries,
      endpoints: endpoints.entries,
      keys: this.#keys,
      problems: problems.kept.entries,
    };
  }

  get tasks(): ReadonlyMap<string, MergedTask> {
    return this.#merged.entries;
  }

  get sources(): ReadonlyMap<string, SourceState> {
    return this.#states;
  }

  routesOf(key: string): ReturnType<TableState["routesOf"]> {
    return this.#taskOf(key)?.routesOf(key) ?? [];
  }

  addSource(name: string): void {
    if (this.#sources.has(name)) throw new GatewayError("conflict", `Two providers are named ${name}.`);
    const source = new Source(name);
    this.#sources.set(name, { source, tasks: new Map(), problems: [] });
    this.#states.set(name, source.state);
  }

  update(name: string, update: Parameters<TableState["update"]>[1]): void {
    if (!this.#sources.has(name)) this.addSource(name);
    this.#sources.get(name)?.source.note(update);
  }

  share(key: string, openings: readonly Opening[]): void {
    if (openings.length === 0) this.#shared.delete(key);
    else this.#shared.set(key, openings);
    this.#reshared.add(key);
  }

  showsShared(key: string): boolean {
    return !this.#reshared.has(key);
  }

  mayList(key: string): boolean {
    const entry = this.#sources.get(key.split("/", 1)[0] ?? "");
    return entry !== undefined && (!entry.source.heard || this.#taskOf(key) !== undefined);
  }

  decide({ set, removed }: Changed<Claim>): void {
    for (const id of removed) this.#decided.set(id, null);
    for (const claim of set) this.#decided.set(matchKey(claim.match), claim);
  }

  wanted(): Changed<Claim> {
    const { claims, ports } = this.#books;
    if (!claims.isDecidedElsewhere || this.#decided.size > 0) return { set: [], removed: [] };
    const { set, removed } = claims.wanted();
    return { set: [...set, ...ports.wanted(this.#time.now)], removed };
  }

  setListeners(listeners: readonly Listener[]): void {
    this.#setRest(this.#listeners, new Map(listeners.map((listener) => [listener.id, listener])));
  }

  setKeys(keys: ReadonlyMap<string, SessionKey>): void {
    this.#setRest(this.#keys, keys);
  }

  setCertificates(certificates: ReadonlyMap<string, Certificate>): void {
    this.#setRest(this.#certificates, certificates);
  }

  build(now: number): Built | null {
    const { claims, ports } = this.#books;
    this.#time.now = now;
    claims.begin(now);
    const changed: string[] = [];
    for (const [name, entry] of this.#sources) if (this.#takeSource(entry)) changed.push(name);
    for (const key of this.#reshared) this.#taskOf(key)?.reshare();
    this.#reshared.clear();
    const decided = this.#takeDecided();
    this.#reviewInherited();
    claims.settle();
    ports.settle();
    claims.settle();
    return this.#publish(changed, decided);
  }

  /** Returns whether the state of the source changed. */
  #takeSource(entry: SourceEntry): boolean {
    const { source } = entry;
    const noted = source.take();
    if (noted === null) return false;
    this.#books.problems.replace(entry.problems, noted.problems);
    entry.problems = noted.problems;
    if (noted.whole) this.#takeWhole(entry, noted.tasks);
    else noted.tasks.forEach((raw, id) => this.#takeTask(entry, id, raw));
    if (this.#states.get(source.name) === source.state) return false;
    this.#states.set(source.name, source.state);
    return true;
  }

  #takeWhole(entry: SourceEntry, tasks: ReadonlyMap<string, unknown>): void {
    for (const id of entry.tasks.keys()) if (!tasks.has(id)) this.#takeTask(entry, id, GONE);
    tasks.forEach((raw, id) => this.#takeTask(entry, id, raw));
  }

  #takeTask(entry: SourceEntry, id: string, raw: unknown): void {
    const provider = entry.source.name;
    let built = entry.tasks.get(id);
    if (raw === GONE) {
      built?.release();
      entry.tasks.delete(id);
      if (built !== undefined) this.#merged.delete(built.place.key);
      return;
    }
    if (built === undefined) {
      built = new BuiltTask({ provider, id, key: taskKey(provider, id) }, this.#books);
      entry.tasks.set(id, built);
    }
    const before = built.task;
    built.set(raw);
    const { key } = built.place;
    if (built.task === before) return;
    if (built.task === null) this.#merged.delete(key);
    else this.#merged.set(key, { key, provider, task: built.task });
  }

  /** Returns whether there was something. */
  #takeDecided(): boolean {
    const { claims, ports } = this.#books;
    if (this.#decided.size === 0) return false;
    for (const [id, claim] of this.#decided) {
      const before = claims.claims.get(id);
      claims.decide(id, claim);
      if (before?.service === claim?.service) continue;
      ports.decided(before, claim);
      if (before !== undefined) this.#taskOf(before.service)?.lostPort(before.service, id);
      if (claim === null) continue;
      const others = this.#inherited.get(sourceOf(claim)) ?? [];
      others.push(claim);
      this.#inherited.set(sourceOf(claim), others);
    }
    this.#decided.clear();
    return true;
  }

  /** Gives up what services held that are no more: once their source told what there is, or there is no such source. */
  #reviewInherited(): void {
    for (const [name, claims] of this.#inherited) {
      const entry = this.#sources.get(name);
      if (entry?.source.heard === false) continue;
      for (const claim of claims) this.#reviewClaim(claim);
      this.#inherited.delete(name);
    }
  }

  #reviewClaim(claim: Claim): void {
    const { claims } = this.#books;
    const id = matchKey(claim.match);
    if (claims.claims.get(id)?.service !== claim.service || claims.routes.get(id)?.service === claim.service) return;
    const task = this.#taskOf(claim.service);
    if (task === undefined) claims.releaseClaim(id);
    else task.adopt(id);
  }

  /** The listed task whose service, by key, this is. */
  #taskOf(key: string): BuiltTask | undefined {
    const [provider = "", id = ""] = key.split("/", 2);
    return this.#sources.get(provider)?.tasks.get(id);
  }

  #publish(sources: readonly string[], decided: boolean): Built | null {
    const { claims, problems, upstreams, endpoints } = this.#books;
    const tasks = this.#takeTasks();
    const changes = {
      routes: claims.routes.take(),
      upstreams: upstreams.take(),
      endpoints: endpoints.take(),
      problems: problems.kept.take(),
    };
    const held = claims.claims.take();
    const rest = this.#rest;
    this.#rest = false;
    const all = [...Object.values(changes), held, tasks];
    const isSame = all.every((part) => part.set.length + part.removed.length === 0);
    if (!rest && !decided && sources.length === 0 && isSame) return null;
    const from = this.table.revision;
    const to: Revision = Object.freeze({ epoch: from.epoch, seq: from.seq + 1 });
    this.table.revision = to;
    return { diff: { from, to, ...changes, rest }, claims: held, tasks, sources };
  }

  #takeTasks(): Built["tasks"] {
    const { set, removed } = this.#merged.take();
    if (this.#touched.size === 0) return { set: set.map((task) => task.key), removed };
    const keys = new Set(set.map((task) => task.key));
    for (const subject of this.#touched) {
      const key = taskOf(subject);
      if (this.#merged.has(key)) keys.add(key);
    }
    this.#touched.clear();
    return { set: [...keys], removed };
  }

  #setRest<T>(entries: Map<string, T>, next: ReadonlyMap<string, T>): void {
    if (sameContent(Object.fromEntries(entries), Object.fromEntries(next))) return;
    entries.clear();
    for (const [key, value] of next) entries.set(key, value);
    this.#rest = true;
  }
}

interface SourceEntry {
  readonly source: Source;
  /** By id. */
  readonly tasks: Map<string, BuiltTask>;
  problems: readonly Problem[];
}

function sourceOf({ service }: Claim): string {
  return service.split("/", 1)[0] ?? "";
}

// `provider/task` of a task's or a service's key.
function taskOf(subject: string): string {
  const second = subject.indexOf("/", subject.indexOf("/") + 1);
  return second < 0 ? subject : subject.slice(0, second);
}
