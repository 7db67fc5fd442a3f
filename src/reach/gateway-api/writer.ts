import { setImmediate } from "node:timers/promises";
import { isCode } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { GATEWAYS } from "../../platform/kubernetes/gateway-objects.ts";
import { hasReason, isMissingRight, KubernetesError } from "../../platform/kubernetes/kubernetes-error.ts";
import { objectKey, type KubernetesObject } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import type { Logger } from "../../platform/logger.ts";
import { TokenBucket } from "../../platform/token-bucket.ts";
import { isMarked } from "./marks.ts";
import type { Step } from "./plan-input.ts";

export interface WriterBounds {
  /** Calls in the long run, and at once after a rest. */
  readonly perSecond: number;
  readonly burst: number;
  /** Objects at a time. */
  readonly workers: number;
  /** Steps until it is planned anew: what came meanwhile does not wait for all that there was. */
  readonly row: number;
  /** Between two writes of one Gateway: what comes meanwhile is written together. */
  readonly gatewayMs: number;
}

const BOUNDS: WriterBounds = Object.freeze({ perSecond: 100, burst: 400, workers: 8, row: 64, gatewayMs: 250 });
const FAILURES = { firstPauseMs: 500, mostPauseMs: 60_000 };
/** Somebody else wrote it meanwhile: read anew, it can be written. */
const CONFLICTS = { firstPauseMs: 5, mostPauseMs: 500 };

/** Conflicts of one object that are answered at once; after that it waits. */
const ROW = 10;

/** What a write is told to, and what is read where it fails. */
export interface WrittenTo {
  answered(resource: Resource<KubernetesObject>, object: KubernetesObject): void;
  removed(resource: Resource<KubernetesObject>, object: KubernetesObject): void;
  isTaken(resource: Resource<KubernetesObject>, object: KubernetesObject): void;
}

export interface WriterDeps {
  /** One that tries nothing again by itself. */
  readonly client: KubernetesClient;
  readonly to: WrittenTo;
  readonly mark: string;
  /** What is to be done by now about the object of a step that somebody else was before; null: nothing. */
  readonly anew: (step: Step) => Step | null;
  /** What was offered is done: it is to be looked at again. */
  readonly done: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: those of this module. */
  readonly bounds?: Partial<WriterBounds>;
}

interface Failure {
  readonly count: number;
  /** Epoch ms until which it is left alone. */
  readonly until: number;
  readonly error: unknown;
  readonly step: Step;
}

/**
 * Does the steps of plans, several at a time. What fails is left alone for a growing time: an object that is not taken, a right that is missing in a
 * namespace, a server that is away; all else goes on.
 */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #bounds: WriterBounds;
  readonly #bucket: TokenBucket;
  /** By what they keep waiting: `failureKeys`. */
  readonly #failures = new Map<string, Failure>();
  /** By key of the object: until when it is not written again, epoch ms. */
  readonly #written = new Map<string, number>();
  #working: Promise<void> | null = null;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#bounds = { ...BOUNDS, ...deps.bounds };
    this.#bucket = new TokenBucket(deps.clock, this.#bounds);
  }

  /** What the gate has no right to, as people say it. */
  get forbidden(): readonly string[] {
    const missing = [...this.#failures.values()].filter(({ error }) => isMissingRight(error));
    return [...new Set(missing.map(({ step }) => rightOf(step)))].sort();
  }

  /** By unit: what the API server does not take of what is for it, in words. */
  get notTaken(): ReadonlyMap<string, string> {
    const all = new Map<string, string>();
    for (const { step, error } of this.#failures.values()) {
      if (isCode(error, "conflict") || !(error instanceof Error)) continue;
      for (const unit of step.units) all.set(unit, error.message);
    }
    return all;
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    await this.#working;
  }

  /** Does what is not to be left alone just now; when to offer the rest again, epoch ms, null: never. Steps that come while others are done are left. */
  offer(steps: readonly Step[], signal: AbortSignal): number | null {
    if (this.#working !== null || signal.aborted) return null;
    const now = this.#deps.clock.now();
    this.#forgetBut(steps);
    const due = steps.filter((step) => this.#until(step) <= now);
    if (due.length > 0) {
      this.#working = this.#doAll(due.slice(0, this.#bounds.row), signal).finally(() => {
        this.#working = null;
        this.#deps.done();
      });
    }
    const later = steps.map((step) => this.#until(step)).filter((until) => until > now);
    return later.length === 0 ? null : Math.min(...later);
  }

  /** What nobody wants any more is not wrong. */
  #forgetBut(steps: readonly Step[]): void {
    const wanted = new Set(steps.flatMap(failureKeys));
    for (const key of this.#failures.keys()) if (!wanted.has(key)) this.#failures.delete(key);
    const now = this.#deps.clock.now();
    for (const [key, until] of this.#written) if (until <= now) this.#written.delete(key);
  }

  #until(step: Step): number {
    const waits = failureKeys(step).map((key) => this.#failures.get(key)?.until ?? 0);
    return Math.max(...waits, step.action === "replace" ? (this.#written.get(stepKey(step)) ?? 0) : 0);
  }

  async #doAll(steps: readonly Step[], signal: AbortSignal): Promise<void> {
    const queue = steps.values();
    const work = async (): Promise<void> => {
      for (const step of queue) {
        await this.#bucket.ready(signal);
        if (signal.aborted) return;
        // What failed meanwhile may keep this one waiting, too.
        if (this.#until(step) > this.#deps.clock.now()) continue;
        this.#bucket.spend();
        await this.#do(step, signal);
      }
    };
    await setImmediate();
    await Promise.all(Array.from({ length: Math.min(this.#bounds.workers, steps.length) }, work));
  }

  /** Somebody may write the same object again and again: with what was just read there is a chance between two of their writes. */
  async #do(step: Step, signal: AbortSignal): Promise<void> {
    let current: Step | null = step;
    for (let turn = 0; current !== null && turn < ROW && !signal.aborted; turn += 1) {
      if (!(await this.#try(current, signal)) || current.action !== "replace") return;
      current = this.#deps.anew(current);
    }
  }

  /** Whether it is to be planned anew, as somebody else was first. */
  async #try(step: Step, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#write(step, signal);
      for (const key of failureKeys(step)) this.#failures.delete(key);
      if (step.resource.apiVersion.startsWith("gateway.") && step.resource.kind !== "TCPRoute") {
        this.#written.set(stepKey(step), this.#deps.clock.now() + this.#bounds.gatewayMs);
      }
      return false;
    } catch (error) {
      if (signal.aborted) return false;
      return await this.#failed(step, error, signal).catch((err: unknown) => {
        if (!signal.aborted) this.#note(step, err);
        return false;
      });
    }
  }

  async #write({ action, resource, object }: Step, signal: AbortSignal): Promise<void> {
    const { client, to } = this.#deps;
    if (action === "create") to.answered(resource, await client.create(resource, object, signal));
    else if (action === "replace") to.answered(resource, await client.replace(resource, object, signal));
    else {
      const { namespace, name, uid, resourceVersion } = object.metadata;
      const which = {
        ...{ name, ...(namespace === undefined ? {} : { namespace }) },
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      };
      await client.remove(resource, which, signal);
      to.removed(resource, object);
    }
  }

  async #failed(step: Step, error: unknown, signal: AbortSignal): Promise<boolean> {
    const isGone = isCode(error, "not_found") && step.action !== "create";
    const isOther = isCode(error, "conflict") || isGone;
    if (isOther) await this.#readAnew(step, error, signal);
    else this.#note(step, error);
    return isOther;
  }

  /** Somebody else wrote, made or removed it: what is there now decides. */
  async #readAnew(step: Step, error: unknown, signal: AbortSignal): Promise<void> {
    const { client, mark, to } = this.#deps;
    const { resource, object } = step;
    const { namespace, name } = object.metadata;
    this.#bucket.spend();
    const found = await client.get(resource, { name, ...(namespace === undefined ? {} : { namespace }) }, signal);
    const isOurs = found !== null && (resource.plural === GATEWAYS.plural || isMarked(found, mark));
    if (isOurs) to.answered(resource, found);
    else if (step.action !== "create") to.removed(resource, object);
    else if (found !== null && hasReason(error, "AlreadyExists")) to.isTaken(resource, object);
    const key = stepKey(step);
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const until = this.#deps.clock.now() + pauseMs(count, CONFLICTS);
    this.#failures.set(key, { count, until, error, step });
  }

  #note(step: Step, error: unknown): void {
    const { clock, logger } = this.#deps;
    const key = failureKey(step, error);
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    if (count === 1)
      logger.warn({ err: error, object: stepKey(step) }, "Gateways' objects cannot be written; it is tried again");
    this.#failures.set(key, { count, until: clock.now() + pauseMs(count, FAILURES), error, step });
  }
}

function stepKey({ resource, object }: Step): string {
  return `${resource.plural} ${objectKey(object)}`;
}

/** What a failure of this step could keep waiting, and it with that. */
function failureKeys(step: Step): readonly string[] {
  return [stepKey(step), rightOf(step), `namespace ${step.object.metadata.namespace ?? ""}`];
}

function failureKey(step: Step, error: unknown): string {
  const [object, right, namespace] = failureKeys(step) as [string, string, string];
  if (isMissingRight(error)) return right;
  const isOfObject = error instanceof KubernetesError && [400, 405, 409, 413, 422].includes(error.status);
  return isOfObject ? object : namespace;
}

const VERBS = { create: "create", replace: "update", remove: "delete" } as const;

function rightOf({ action, resource, object }: Step): string {
  const { namespace } = object.metadata;
  return `${VERBS[action]} ${resource.plural}${namespace === undefined ? "" : ` in namespace ${namespace}`}`;
}
