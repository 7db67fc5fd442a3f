import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { pause } from "../pause.ts";
import { pauseMs } from "./bounds.ts";
import type { KubernetesClient, WatchEvent } from "./client.ts";
import { hasReason, KubernetesError } from "./kubernetes-error.ts";
import { objectKey, type KubernetesObject } from "./objects.ts";
import type { Resource, Scope } from "./resource.ts";

/** After so many failures in a row to go on from where it was, all is listed anew: a server that was restored knows no such version. */
const FAILURES_UNTIL_LIST = 3;
/** A watch that ended sooner was no use, whatever it says. */
const SHORT_WATCH_MS = 1000;

export interface MirrorDeps<T extends KubernetesObject, V> {
  readonly client: KubernetesClient;
  readonly resource: Resource<T>;
  readonly scope: Scope;
  /** What is kept of an object: as little as is needed. null: nothing of it. */
  readonly keep: (object: T) => V | null;
  /** Of which objects what is kept changed, by `objectKey`; once after the first list, though that be empty, then whenever something did. */
  readonly changed: (keys: ReadonlySet<string>) => void;
  /** The server cannot be read, since epoch ms; what is known stays. Told again with each further failure. One broken watch is none. */
  readonly lost: (since: number, error: Error) => void;
  /** What is known is current (again). */
  readonly found: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What of a resource is wanted, kept as the server has it: listed once, then watched. A watch that ends, breaks or stalls goes on from
 * where it was; only where the server no longer knows that place is all listed anew, and what differs is told. It never gives up.
 */
export class Mirror<T extends KubernetesObject, V> implements AsyncDisposable {
  readonly #deps: MirrorDeps<T, V>;
  readonly #objects = new Map<string, V>();
  /** By key, to tell what a new list has changed. */
  readonly #versions = new Map<string, string>();
  /** Keys of what changed since it was last told. */
  #untold = new Set<string>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** Where the watch goes on; null: list first. */
  #version: string | null = null;
  #isListed = false;
  /** Epoch ms; null: current. */
  #lostSince: number | null = null;
  #failures = 0;

  constructor(deps: MirrorDeps<T, V>) {
    this.#deps = deps;
    this.#running = this.#run();
  }

  /** By `objectKey`; the same map at all times. */
  get objects(): ReadonlyMap<string, V> {
    return this.#objects;
  }

  /** Whether all was read at least once. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** Nothing is called once this has begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, client } = this.#deps;
    const { signal } = this.#stop;
    // Nothing is called before the constructor has returned.
    await Promise.resolve();
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list(signal);
        const began = clock.now();
        await this.#watch(this.#version, signal);
        if (clock.now() - began < SHORT_WATCH_MS) await pause(clock, SHORT_WATCH_MS, signal);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const waitMs = this.#failed(error instanceof Error ? error : new Error(String(error)));
        if (waitMs > 0) await pause(clock, Math.min(waitMs, client.bounds.mostRetryAfterMs), signal);
      }
    }
  }

  /** How long to wait, ms. */
  #failed(error: Error): number {
    const { client, clock, lost, logger, resource } = this.#deps;
    if (hasReason(error, "Stalled")) {
      logger.warn({ resource: resource.plural, err: error }, "watch stalled; another goes on from there");
      return 0;
    }
    this.#failures += 1;
    if (error instanceof KubernetesError && error.isExpired) {
      logger.info({ resource: resource.plural }, "watch was left behind; listing anew");
      this.#version = null;
      // Once is usual; a server that says so again and again is not to be asked without end.
      return this.#failures === 1 ? 0 : pauseMs(this.#failures, client.bounds);
    }
    if (this.#failures % FAILURES_UNTIL_LIST === 0) this.#version = null;
    this.#lostSince ??= clock.now();
    // A watch may break, as when a server is restarted: only where nothing goes on from there is anything unknown.
    if (this.#failures > 1 || !this.#isListed) lost(this.#lostSince, error);
    const toldMs = error instanceof KubernetesError ? (error.retryAfterS ?? 0) * 1000 : 0;
    return Math.max(toldMs, pauseMs(this.#failures, client.bounds));
  }

  #isCurrent(): void {
    if (this.#lostSince === null) return;
    this.#lostSince = null;
    this.#deps.found();
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, scope } = this.#deps;
    const seen = new Set<string>();
    let version = "";
    try {
      for await (const page of client.list(resource, scope, signal)) {
        signal.throwIfAborted();
        version = page.resourceVersion;
        for (const object of page.items) {
          const key = objectKey(object);
          seen.add(key);
          if (this.#versions.get(key) !== object.metadata.resourceVersion) this.#set(key, object);
        }
      }
      for (const key of this.#versions.keys()) if (!seen.has(key)) this.#remove(key);
    } finally {
      // Pages that came are true, whatever became of the rest.
      if (this.#isListed) this.#tell();
    }
    if (!this.#isListed) {
      this.#isListed = true;
      this.#deps.changed(this.#takeUntold());
    }
    this.#isCurrent();
    return version;
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { client, resource, scope } = this.#deps;
    for await (const events of client.watch(resource, { ...scope, resourceVersion: from }, signal)) {
      signal.throwIfAborted();
      this.#isCurrent();
      if (events.length === 0) continue;
      try {
        for (const event of events) this.#take(event);
      } finally {
        this.#tell();
      }
      // Only what was heard shows that the server can tell: some answer, and break off.
      this.#failures = 0;
    }
  }

  #take(event: WatchEvent<T>): void {
    if (event.kind === "bookmark") {
      this.#version = event.resourceVersion;
      return;
    }
    const key = objectKey(event.object);
    if (event.kind === "removed") this.#remove(key);
    else this.#set(key, event.object);
    this.#version = event.object.metadata.resourceVersion ?? this.#version;
  }

  #set(key: string, object: T): void {
    const { client, resource } = this.#deps;
    if (!this.#versions.has(key) && this.#versions.size >= client.bounds.mirrorObjects) {
      // Nothing goes on from here: a list says whether all fit again.
      this.#version = null;
      throw tooMany(resource, client.bounds.mirrorObjects);
    }
    this.#versions.set(key, object.metadata.resourceVersion ?? "");
    const kept = this.#keep(object);
    // Most changes are of what nobody here asks for.
    if (isDeepStrictEqual(kept, this.#objects.get(key) ?? null)) return;
    if (kept === null) this.#objects.delete(key);
    else this.#objects.set(key, kept);
    this.#untold.add(key);
  }

  /** An object that nobody foresaw is as none, and no reason to know nothing of the others. */
  #keep(object: T): V | null {
    const { keep, logger, resource } = this.#deps;
    try {
      return keep(object);
    } catch (error) {
      logger.error({ resource: resource.plural, object: objectKey(object), err: error }, "object cannot be read");
      return null;
    }
  }

  #remove(key: string): void {
    this.#versions.delete(key);
    if (this.#objects.delete(key)) this.#untold.add(key);
  }

  #tell(): void {
    if (this.#untold.size > 0 && !this.#stop.signal.aborted) this.#deps.changed(this.#takeUntold());
  }

  #takeUntold(): ReadonlySet<string> {
    const keys = this.#untold;
    this.#untold = new Set();
    return keys;
  }
}

function tooMany(resource: Resource<KubernetesObject>, most: number): KubernetesError {
  const message = `there are more than ${String(most)}; a narrower selector is needed`;
  return new KubernetesError({ asked: `LIST ${resource.plural}`, status: 0, reason: "", message, code: "too_large" });
}
