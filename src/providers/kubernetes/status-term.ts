import { hostname } from "node:os";
import { setImmediate } from "node:timers/promises";
import { GatewayError, isCode, type Problem } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { FairQueue } from "../../platform/fair-queue.ts";
import { pauseMs } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { isMissingRight } from "../../platform/kubernetes/kubernetes-error.ts";
import { recordEvent, type EventSpec } from "../../platform/kubernetes/record-event.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import { PODS, SERVICES, type Resource } from "../../platform/kubernetes/resource.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { TokenBucket } from "../../platform/token-bucket.ts";
import { OWNERS } from "./owners.ts";
import { MissingRights, type Right } from "./missing-rights.ts";
import { readRef, type ObjectRef } from "./object-ref.ts";
import { readShown, shownAnnotations, shownText, withoutConflicts, type Shown } from "./status-annotations.ts";
import { planStatus, type Note, type StatusObject, type StatusObjects } from "./status-plan.ts";
import type { ToldStatus } from "./told-status.ts";
import { WriteRecord } from "./write-record.ts";

/** Who owns the annotations, as the API server keeps it. All gates are the same: the next one goes on. */
export const FIELD_MANAGER = "taskgate";

/** Kinds that carry a status; of what is wrong with others Events tell alone: nobody gives the right to change a Deployment for that. */
const RESOURCES = new Map<string, Resource<KubernetesObject>>([PODS, SERVICES].map((each) => [each.kind, each]));

/** How much is asked of an API server: a small part of what one does, however much there is to write. */
export interface StatusBounds {
  /** Calls in the long run, and at once after a rest. */
  readonly perSecond: number;
  readonly burst: number;
  /** Objects at a time. */
  readonly workers: number;
  /** Until something is written after an election: what was not heard yet is not to be taken away. */
  readonly settleMs: number;
  /** Between two writes of one object; from the sixth in a row each doubles. Who was left alone for `rowMs` begins a new row. */
  readonly firstPauseMs: number;
  readonly mostPauseMs: number;
  readonly rowMs: number;
  /** Until a right that was missing is tried again. */
  readonly rightsMs: number;
}

const BOUNDS: StatusBounds = Object.freeze({
  ...{ perSecond: 50, burst: 100, workers: 4, settleMs: 2000 },
  ...{ firstPauseMs: 1000, mostPauseMs: 300_000, rowMs: 600_000, rightsMs: 600_000 },
});

const TELL = "create and update events";
/** Characters: what an Event takes. */
const MOST_INSTANCE = 128;
/** After failures of the server's, or on the way to it. */
const FAILURES = { firstPauseMs: 1000, mostPauseMs: 60_000 };
/** Objects that are looked at in one turn of the event loop. */
const TURN = 500;
/** Errors by which the server says that this write will not do, now and later. */
const DEFINITE: ReadonlySet<string> = new Set([
  "bad_request",
  "conflict",
  "denied",
  "not_found",
  "too_large",
  "unsupported",
]);

export interface StatusTermDeps {
  /** One that tries nothing again by itself. */
  readonly client: KubernetesClient;
  /** Name of the provider. */
  readonly provider: string;
  readonly objects: StatusObjects;
  readonly told: ToldStatus;
  /** All objects that carry something or should. */
  readonly all: () => Iterable<ObjectRef>;
  /** What an object carries. */
  readonly shownOn: (ref: ObjectRef) => Shown;
  /** What an object carries since it was written. */
  readonly wrote: (ref: ObjectRef, shown: Shown) => void;
  /** `problem` may be another now. */
  readonly problemChanged: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: those of this module. */
  readonly bounds?: Partial<StatusBounds>;
}

/** `left`: the server does not take it, now and later. `missing`: the gate has no right to it. */
type Outcome = "done" | "left" | "missing";

interface Write {
  readonly resource: Resource<KubernetesObject>;
  readonly shown: Shown;
  readonly attempt: string;
}

/** What is to be done about one object. */
interface Job {
  readonly ref: ObjectRef;
  readonly object: StatusObject;
  readonly record: WriteRecord;
  readonly events: readonly Note[];
  /** null: the annotations are as they should be, or cannot be helped. */
  readonly write: Write | null;
}

/** One time of leading: looks at objects in turn, and writes on those that differ from what they should carry. */
export class StatusTerm implements AsyncDisposable {
  readonly #deps: StatusTermDeps;
  readonly #bounds: StatusBounds;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #queue = new FairQueue<ObjectRef>();
  readonly #bucket: TokenBucket;
  readonly #records = new Map<ObjectRef, WriteRecord>();
  readonly #missing = new MissingRights();
  readonly #working: Promise<unknown>;
  /** Of workers that have nothing to do. */
  #idle: PromiseWithResolvers<undefined> | null = null;
  /** In a row, wherever. */
  #failures = 0;
  /** Namespaces in which it failed last, and until when nothing is tried there: what fails may be theirs alone, such as a webhook. */
  readonly #troubled = new Map<string, { readonly failures: number; readonly until: number }>();
  /** Settles when the server may be asked again. */
  #held: Promise<void>;
  #again: Disposable | null = null;

  constructor(deps: StatusTermDeps, leading: AbortSignal) {
    this.#deps = deps;
    this.#bounds = { ...BOUNDS, ...deps.bounds };
    this.#signal = AbortSignal.any([leading, this.#stop.signal]);
    this.#signal.addEventListener("abort", () => this.#wake(), { once: true });
    this.#bucket = new TokenBucket(deps.clock, this.#bounds);
    this.#held = pause(deps.clock, this.#bounds.settleMs, this.#signal);
    this.#lookAtAll();
    this.#working = Promise.all(Array.from({ length: this.#bounds.workers }, () => this.#work()));
  }

  get problem(): Problem | null {
    return this.#signal.aborted ? null : this.#missing.problem(this.#deps.provider);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#again?.[Symbol.dispose]();
    await this.#working;
    for (const record of this.#records.values()) record[Symbol.dispose]();
  }

  /** Something of it may have changed. What was there before this gate led waits apart, so that it keeps nothing new waiting. */
  look(ref: ObjectRef, as: "news" | "backlog" = "news"): void {
    const { key } = readRef(ref);
    this.#queue.add(`${as} ${key.slice(0, key.indexOf("/"))}`, ref);
    this.#wake();
  }

  #lookAtAll(): void {
    for (const ref of this.#deps.all()) this.look(ref, "backlog");
  }

  #wake(): void {
    this.#idle?.resolve(undefined);
    this.#idle = null;
  }

  async #work(): Promise<void> {
    for (let looked = 0; ; looked += 1) {
      await this.#held;
      await this.#bucket.ready(this.#signal);
      if (this.#signal.aborted) return;
      const ref = this.#queue.take();
      if (ref === undefined) {
        this.#idle ??= Promise.withResolvers();
        await this.#idle.promise;
        continue;
      }
      const job = this.#jobOf(ref);
      if (job !== null) await this.#do(job);
      else if (looked % TURN === 0) await setImmediate();
    }
  }

  /** null: nothing is to be done about it, or not now. */
  #jobOf(ref: ObjectRef): Job | null {
    const { objects, clock } = this.#deps;
    const object = objects.find(ref);
    const record = this.#records.get(ref) ?? new WriteRecord(this.#bounds);
    if (object === undefined || object.isLeaving === true) {
      record[Symbol.dispose]();
      this.#records.delete(ref);
      return null;
    }
    const job = record.isBusy ? null : this.#difference(ref, object, record);
    if (job === null) return null;
    this.#records.set(ref, record);
    const now = clock.now();
    const waitMs = Math.max(record.waitMs(now), (this.#troubled.get(object.namespace)?.until ?? now) - now);
    if (waitMs <= 0) return job;
    record.wakeAfter(clock, waitMs, () => this.look(ref));
    return null;
  }

  /** null: there is none, or none that the gate has the right to mend. */
  #difference(ref: ObjectRef, object: StatusObject, record: WriteRecord): Job | null {
    const { shownOn } = this.#deps;
    const wanted = planStatus(ref, object, this.#deps);
    if (wanted === null) return null;
    const { namespace, uid } = object;
    const may = (what: string): boolean => this.#missing.mayAsk({ what, namespace });
    const shown = shownOn(ref);
    const events = may(TELL) ? record.untold(wanted.events, shown.problems ?? "") : [];
    const attempt = record.attempt(uid, shownText(shown), shownText(wanted.shown));
    const resource = RESOURCES.get(readRef(ref).kind);
    const isDue = attempt !== null && resource !== undefined && may(`patch ${resource.plural}`);
    const write = isDue ? { resource, shown: wanted.shown, attempt } : null;
    return events.length === 0 && write === null ? null : { ref, object, record, events, write };
  }

  async #do({ ref, object, record, events, write }: Job): Promise<void> {
    const { clock } = this.#deps;
    record.isBusy = true;
    try {
      for (const note of events) if ((await this.#tell(ref, object, note)) !== "missing") record.told(note);
      if (write !== null && (await this.#write(ref, object, write)) === "left") record.refused(write.attempt);
      record.wrote(clock.now());
      this.#failures = 0;
      this.#troubled.delete(object.namespace);
    } catch (err) {
      if (!this.#signal.aborted) this.#failed(object.namespace, err);
    } finally {
      record.isBusy = false;
      this.look(ref);
    }
  }

  #failed(namespace: string, err: unknown): void {
    const { clock, logger } = this.#deps;
    const failures = (this.#troubled.get(namespace)?.failures ?? 0) + 1;
    if (failures === 1) logger.warn({ err, namespace }, "status cannot be written; it is tried again");
    this.#troubled.set(namespace, { failures, until: clock.now() + pauseMs(failures, FAILURES) });
    this.#failures += 1;
    const toldMs = err instanceof GatewayError ? (err.retryAfterS ?? 0) * 1000 : 0;
    if (toldMs === 0 && this.#failures <= this.#bounds.workers) return;
    const waitMs = Math.max(toldMs, pauseMs(Math.max(1, this.#failures - this.#bounds.workers), FAILURES));
    this.#held = pause(clock, Math.min(waitMs, FAILURES.mostPauseMs), this.#signal);
  }

  #write(ref: ObjectRef, { namespace, name, uid }: StatusObject, { resource, shown }: Write): Promise<Outcome> {
    const { client, shownOn, wrote } = this.#deps;
    const apply = (annotations: Readonly<Record<string, string>>, signal: AbortSignal): Promise<KubernetesObject> => {
      // With its uid a later object of that name is a conflict, and one that is gone is not made.
      const object = { metadata: { namespace, name, uid, annotations } };
      return client.apply(resource, object, { fieldManager: FIELD_MANAGER, signal });
    };
    return this.#call({ what: `patch ${resource.plural}`, namespace }, 1, async (signal) => {
      let after: KubernetesObject;
      try {
        after = await apply(shownAnnotations(shown), signal);
      } catch (err) {
        if (!isCode(err, "conflict")) throw err;
        const rest = withoutConflicts(shown, err.message);
        if (rest === null) throw err;
        // What somebody else says in place of one is theirs, and no reason to keep the others back.
        const carried = shownOn(ref);
        if (shownText(rest) === shownText(withoutConflicts(carried, err.message) ?? carried)) return "left";
        this.#bucket.spend();
        after = await apply(shownAnnotations(rest), signal);
      }
      const now = readShown(after.metadata.annotations);
      // The watch tells it, too, but later than what may come before that.
      wrote(ref, now);
      return shownText(now) === shownText(shown) ? "done" : "left";
    });
  }

  #tell(ref: ObjectRef, object: StatusObject, { problem }: Note): Promise<Outcome> {
    const { client, clock } = this.#deps;
    const { namespace, name, uid } = object;
    const { kind } = readRef(ref);
    const { apiVersion } = OWNERS.find((each) => each.kind === kind) ?? PODS;
    const event: EventSpec = {
      regarding: { apiVersion, kind, namespace, name, uid },
      type: "Warning",
      // Nothing on the object says whether that was told before this gate led.
      once: !RESOURCES.has(kind),
      ...{ action: "Publish", reason: reasonOf(problem.code), note: problem.message },
      ...{ instance: hostname().slice(0, MOST_INSTANCE), now: clock.now() },
    };
    return this.#call({ what: TELL, namespace }, 2, async (signal) => {
      await recordEvent(client, event, signal);
      return "done";
    });
  }

  /** Throws what may pass. */
  async #call(right: Right, calls: number, work: (signal: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
    const { problemChanged, logger } = this.#deps;
    this.#signal.throwIfAborted();
    this.#bucket.spend(calls);
    try {
      const outcome = await work(this.#signal);
      if (this.#missing.had(right)) problemChanged();
      return outcome;
    } catch (err) {
      if (isMissingRight(err)) {
        this.#missed(right, err);
        return "missing";
      }
      if (!(err instanceof GatewayError) || !DEFINITE.has(err.code)) throw err;
      if (this.#missing.had(right)) problemChanged();
      logger.debug({ err }, "status is not taken; it is left as it is");
      return "left";
    }
  }

  #missed(right: Right, err: unknown): void {
    const { clock, problemChanged, logger } = this.#deps;
    const { rightsMs } = this.#bounds;
    if (this.#missing.missed(right)) {
      logger.warn({ err, namespace: right.namespace }, "status cannot be written: a right is missing");
      problemChanged();
    }
    this.#again ??= clock.after(rightsMs * (1 + Math.random() / 5), () => {
      this.#again = null;
      this.#missing.tryAll();
      this.#lookAtAll();
    });
  }
}

/** A code as Events have reasons: `name_taken` is NameTaken. */
function reasonOf(code: string): string {
  return code.replace(/(?:^|_)([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
}
