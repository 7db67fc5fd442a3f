import { randomBytes } from "node:crypto";
import {
  type AuditDetail,
  type AuditEntry,
  type AuditSink,
  isGateService,
  type Route,
  type Session,
  taskKeyOf,
  type Use,
  whoText,
} from "../model/index.ts";
import { clientKey } from "../platform/client-key.ts";
import type { Clock } from "../platform/clock.ts";
import { type Activity, lasts } from "./activity.ts";
import { rootOf } from "./revocations.ts";

/** Visits that are under way at once; with one more, the one that began first ends in the log. */
const MOST_VISITS = 10_000;
const SWEEP_MS = 5_000;
/** A visit that never ends is told of in parts. */
const LONGEST_VISIT_MS = 3_600_000;
/** Refusals that are alike are counted for so long. */
const REFUSALS_MS = 60_000;

/**
 * Requests that are alike: of one session to one service from one address, or refusals of one kind. Begun (told) → under way → ended (told),
 * by silence, by length, or because there are too many.
 */
interface Visit {
  readonly key: string;
  readonly entry: AuditEntry;
  readonly start: number;
  /** Silence that ends it, ms; of what only counts more of the same, its length. */
  readonly idleMs: number;
  /** Everything, its beginning and its end both told; or only what followed the first, which stands for itself. */
  readonly counts: "all" | "more";
  last: number;
  open: number;
  requests: number;
  errors: number;
  bytesIn: number;
  bytesOut: number;
  ended: boolean;
}

/** What one use is on record as. */
export interface Recorded {
  readonly at: number;
  /** null: it stands for itself. */
  readonly visit: Visit | null;
  /** Of its own entry, where it has begun with one. */
  readonly id: string | null;
  /** To be called when it is over; null: nobody looks at its use. */
  readonly done: (() => void) | null;
}

/** Says to an audit what went through a process: what lasts by its start and its end, requests by the visit that they are part of. */
export interface UseRecorder extends Disposable {
  /** null: this is on no record. */
  opened(use: Use, route: Route): Recorded | null;
  closed(use: Use, route: Route, recorded: Recorded): void;
  refused(use: Use, route: Route | null): void;
  /** What may come any number of times without anybody's doing (a refused try): the first is told, the rest counted for a minute. */
  tally(entry: AuditEntry): void;
}

export interface UseRecorderDeps {
  readonly clock: Clock;
  readonly sink: Pick<AuditSink, "record">;
  readonly detail: AuditDetail;
  readonly activity: Pick<Activity, "opened">;
}

/** Keeps at most 10,000 visits. Disposing ends all of them, in the log too. */
export function startUseRecorder(deps: UseRecorderDeps): UseRecorder {
  return new VisitBook(deps);
}

class VisitBook implements UseRecorder {
  readonly #deps: UseRecorderDeps;
  /** In the order in which they began. */
  readonly #visits = new Map<string, Visit>();
  /** The last one of each session, which most requests are part of: spelling a key costs more than all the rest. */
  readonly #bySession = new WeakMap<Session, Visit>();
  #timer: Disposable | null = null;

  constructor(deps: UseRecorderDeps) {
    this.#deps = deps;
  }

  opened(use: Use, route: Route): Recorded | null {
    if (isGateService(route.service)) return null; // its API tells what was done there
    const at = use.since ?? this.#deps.clock.now();
    const done = this.#deps.activity.opened(use, route);
    // What lasts is told of by itself, with its start as it begins.
    if (lasts(use)) {
      const id = newId();
      this.#deps.sink.record({
        ...entryOf(use, route),
        ...pathOf(use),
        event: "start",
        outcome: "allowed",
        id,
        start: at,
      });
      return { at, visit: null, id, done };
    }
    if (this.#deps.detail.detail === "requests") return { at, visit: null, id: null, done };
    const visit = this.#visitOf(use, route, at);
    visit.open += 1;
    visit.last = at;
    return { at, visit, id: null, done };
  }

  closed(use: Use, route: Route, { at, visit, id, done }: Recorded): void {
    done?.();
    const end = use.until ?? this.#deps.clock.now();
    const own = visit === null || visit.ended || use.cutFor !== null || end - at >= this.#deps.detail.streamMs;
    if (visit !== null) addTo(visit, use, end);
    if (!own) return;
    this.#deps.sink.record({
      ...entryOf(use, route),
      ...pathOf(use),
      ...(id === null ? { event: "once" } : { event: "end", id }),
      ...outcomeOf(use),
      ...{ status: use.status, start: at, end, bytesIn: use.bytesIn, bytesOut: use.bytesOut },
    });
  }

  refused(use: Use, route: Route | null): void {
    const { status, code } = use;
    const outcome = status >= 500 ? "failed" : "refused";
    const entry: AuditEntry = {
      ...(route === null ? { kind: use.kind, event: "once", outcome, peer: use.peer } : entryOf(use, route)),
      ...pathOf(use),
      ...{ event: "once", outcome, status },
      ...(code === null ? {} : { code }),
    };
    if (this.#deps.detail.detail === "requests") this.#deps.sink.record({ ...entry, start: this.#deps.clock.now() });
    else this.tally(entry);
  }

  tally(entry: AuditEntry): void {
    const { kind, outcome, code, peer = "", realm, user, service, operation } = entry;
    // Nothing that a stranger can make up: each try would be a line.
    const key = JSON.stringify([kind, outcome, code, clientKey(peer), realm, user, service, operation]);
    const at = this.#deps.clock.now();
    const found = this.#visits.get(key);
    if (found === undefined) {
      this.#deps.sink.record({ ...entry, event: "once", requests: 1, start: at, end: at });
      this.#keep({ ...newVisit(key, at), entry: { ...entry, event: "once" }, idleMs: REFUSALS_MS, counts: "more" });
      return;
    }
    found.requests += 1;
    found.last = at;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    for (const visit of [...this.#visits.values()]) this.#end(visit);
  }

  #visitOf(use: Use, route: Route, at: number): Visit {
    const { session } = use;
    const known = session === null ? undefined : this.#bySession.get(session);
    if (known !== undefined && !known.ended && known.entry.route === route.id && isSame(known, use)) return known;
    const visit = this.#findVisit(use, route, at);
    if (session !== null) this.#bySession.set(session, visit);
    return visit;
  }

  #findVisit(use: Use, route: Route, at: number): Visit {
    const key = `${route.service} ${use.session?.id ?? ""} ${use.peer} ${use.kind}`;
    const found = this.#visits.get(key);
    if (found !== undefined) return found;
    const head = use.head === null ? {} : { host: use.head.host };
    const entry: AuditEntry = { ...entryOf(use, route), ...head, event: "start", id: newId(), start: at };
    this.#deps.sink.record(entry);
    return this.#keep({ ...newVisit(key, at), entry, idleMs: this.#deps.detail.visitIdleMs, counts: "all" });
  }

  #keep(visit: Visit): Visit {
    const [first] = this.#visits.size >= MOST_VISITS ? this.#visits.values() : [];
    if (first !== undefined) this.#end(first);
    this.#visits.set(visit.key, visit);
    this.#timer ??= this.#deps.clock.after(SWEEP_MS, () => this.#sweep());
    return visit;
  }

  #sweep(): void {
    this.#timer = null;
    const now = this.#deps.clock.now();
    for (const visit of [...this.#visits.values()]) {
      const { open, start, last, idleMs } = visit;
      const over = visit.counts === "more" ? now - start >= idleMs : open === 0 && now - last >= idleMs;
      if (over || now - start >= LONGEST_VISIT_MS) this.#end(visit);
    }
    if (this.#visits.size > 0) this.#timer = this.#deps.clock.after(SWEEP_MS, () => this.#sweep());
  }

  #end(visit: Visit): void {
    this.#visits.delete(visit.key);
    visit.ended = true;
    const { entry, start, last, requests, errors, bytesIn, bytesOut } = visit;
    if (visit.counts === "all") {
      this.#deps.sink.record({ ...entry, event: "end", end: last, requests, errors, bytesIn, bytesOut });
    } else if (requests > 0) {
      this.#deps.sink.record({ ...entry, start, end: last, requests });
    }
  }
}

function newVisit(key: string, at: number) {
  return { key, start: at, last: at, open: 0, requests: 0, errors: 0, bytesIn: 0, bytesOut: 0, ended: false };
}

function isSame({ entry }: Visit, { kind, peer }: Use): boolean {
  return entry.kind === kind && entry.peer === peer;
}

function addTo(visit: Visit, use: Use, end: number): void {
  visit.open -= 1;
  if (visit.ended) return;
  visit.last = end;
  visit.requests += 1;
  if (use.status >= 400) visit.errors += 1;
  visit.bytesIn += use.bytesIn;
  visit.bytesOut += use.bytesOut;
}

function entryOf(use: Use, route: Route): AuditEntry {
  const { kind, peer, session } = use;
  const { service, owner, id } = route;
  return {
    ...{ kind, event: "once", outcome: "allowed", peer, service, route: id },
    task: taskKeyOf(service),
    ...(owner === null ? {} : { owner: whoText(owner) }),
    ...(session === null ? {} : whoOf(session)),
  };
}

/** Who a session is of, as an entry says it. */
export function whoOf({ id, principal, proof }: Pick<Session, "id" | "principal" | "proof">) {
  const { realm, name } = principal;
  return { realm, user: name, credential: rootOf(id), ...(proof === undefined ? {} : { proof }) };
}

function pathOf({ head }: Use): Partial<AuditEntry> {
  return head === null ? {} : { method: head.method, host: head.host, path: plainPath(head.path) };
}

/** Queries hold tokens. */
function plainPath(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query + 1);
}

function outcomeOf({ cutFor, code, status }: Use): Pick<AuditEntry, "outcome" | "code"> {
  if (cutFor !== null) return { outcome: "cut", code: cutFor };
  if (code === null) return { outcome: "allowed" };
  return { outcome: status >= 400 && status < 500 ? "refused" : "failed", code };
}

function newId(): string {
  return randomBytes(9).toString("base64url");
}
