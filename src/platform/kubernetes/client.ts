import { isCode } from "../../model/index.ts";
import type { Clock } from "../clock.ts";
import { pause } from "../pause.ts";
import { BOUNDS, pauseMs, type KubernetesBounds } from "./bounds.ts";
import type { Cluster } from "./cluster.ts";
import { Connection, type Asked } from "./connection.ts";
import { JsonLines } from "./json-lines.ts";
import { KubernetesError, statusError } from "./kubernetes-error.ts";
import type { KubernetesObject } from "./objects.ts";
import { PodStream } from "./port-forward/pod-stream.ts";
import { collectionPath, objectPath, PODS, type ObjectName, type Resource, type Scope } from "./resource.ts";

/** One page of a list; `resourceVersion` is that of the whole list, the same on each page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

interface List<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}

/** As `metav1.APIResourceList`. */
interface ResourceList {
  readonly resources?: readonly { readonly name: string }[] | null;
}

/** SPDY within a WebSocket: API servers from 1.31 on take it. */
const FORWARD_PROTOCOL = "SPDY/3.1+portforward.k8s.io";

/** What a watch tells; `bookmark` says only how far it has come. */
export type WatchEvent<T> =
  | { readonly kind: "set" | "removed"; readonly object: T }
  | { readonly kind: "bookmark"; readonly resourceVersion: string };

export interface ApplyOptions {
  /** Who owns the fields that are given; those that it gave before and leaves out now are taken away. */
  readonly fieldManager: string;
  /** Take fields from other managers; otherwise that is a `conflict`. Default: false. */
  readonly force?: boolean;
  /** Such as `status`. */
  readonly subresource?: string;
}

export interface RemoveOptions {
  /** Only that very object; one of the same name that came later stays, which is a `conflict`. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: "Background" | "Foreground" | "Orphan";
}

export interface KubernetesClientDeps {
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** Default: `BOUNDS`. */
  readonly bounds?: Partial<KubernetesBounds>;
}

/**
 * A small client of one API server. Calls throw KubernetesError; what may be repeated without harm is, with growing pauses and no more often
 * than the bounds say. What the server asks to wait (Retry-After) is waited. Disposing ends its connections, and what is under way on them.
 */
export class KubernetesClient implements Disposable {
  readonly cluster: Cluster;
  readonly bounds: KubernetesBounds;
  readonly #clock: Clock;
  readonly #connection: Connection;

  constructor({ cluster, clock, bounds }: KubernetesClientDeps) {
    this.cluster = cluster;
    this.bounds = { ...BOUNDS, ...bounds };
    this.#clock = clock;
    this.#connection = new Connection(cluster, this.bounds);
  }

  /** null: there is none. */
  async get<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName,
    signal: AbortSignal,
  ): Promise<T | null> {
    try {
      return (await this.#call({ method: "GET", path: objectPath(resource, name) }, signal)) as T;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return null;
      throw error;
    }
  }

  /** Which resources of `GROUP/VERSION` are served, by their plural names; empty: none. */
  async served(apiVersion: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    try {
      const list = (await this.#call({ method: "GET", path: `/apis/${apiVersion}` }, signal)) as ResourceList;
      return new Set((list.resources ?? []).map(({ name }) => name));
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return new Set();
      throw error;
    }
  }

  /** All objects, page by page, as they were at one moment. A list that takes too long is `isExpired`: begin anew. */
  async *list<T extends KubernetesObject>(
    resource: Resource<T>,
    scope: Scope,
    signal: AbortSignal,
  ): AsyncGenerator<Page<T>, void, void> {
    const path = collectionPath(resource, scope.namespace);
    let limit = this.bounds.pageObjects;
    let from: string | undefined;
    for (;;) {
      const query = { ...selectors(scope), limit: String(limit), continue: from };
      let list: List<T>;
      try {
        list = (await this.#call({ method: "GET", path, query, ...accepting(resource, "List") }, signal)) as List<T>;
      } catch (error) {
        // Large objects: fewer of them fit.
        if (!isCode(error, "too_large") || limit === 1) throw error;
        limit = Math.ceil(limit / 8);
        continue;
      }
      yield { items: list.items ?? [], resourceVersion: list.metadata?.resourceVersion ?? "" };
      from = list.metadata?.continue;
      if (from === undefined || from === "") return;
    }
  }

  /**
   * What changes after `resourceVersion`, as it is told: the events of each piece that comes in. Ends when the server ends it, which is no
   * error: go on from the last `resourceVersion`. Throws what is `isExpired` where that is too old. Nothing is tried again.
   */
  async *watch<T extends KubernetesObject>(
    resource: Resource<T>,
    scope: Scope & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncGenerator<readonly WatchEvent<T>[], void, void> {
    const path = collectionPath(resource, scope.namespace);
    // Watches that began together are not to end together.
    const lastsMs = this.bounds.watchMs * (1 + Math.random());
    const query = {
      ...selectors(scope),
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: scope.resourceVersion,
      timeoutSeconds: String(Math.max(1, Math.round(lastsMs / 1000))),
    };
    const asked = `WATCH ${path}`;
    const silence = new Silence(this.#clock, this.bounds.stallMs);
    const within = AbortSignal.any([signal, silence.signal]);
    try {
      const answer = await this.#connection.stream({ method: "GET", path, query, ...accepting(resource) }, within);
      const lines = new JsonLines(asked, this.bounds.eventBytes);
      yield [];
      silence.begin();
      for await (const piece of answer as AsyncIterable<Buffer>) {
        silence.begin();
        const events = lines.push(piece).map((value) => readEvent<T>(asked, value));
        silence.end();
        if (events.length > 0) yield events;
        silence.begin();
      }
      if (lines.isPartial) throw cut(asked);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (silence.signal.aborted) throw stalled(asked, this.bounds.stallMs);
      throw error instanceof KubernetesError ? error : cut(asked, error);
    } finally {
      silence.end();
    }
  }

  /** Throws `conflict` (AlreadyExists) where one of that name is there. */
  async create<T extends KubernetesObject>(resource: Resource<T>, object: T, signal: AbortSignal): Promise<T> {
    const path = collectionPath(resource, object.metadata.namespace);
    const body = { type: "application/json", json: withType(resource, object) };
    return (await this.#call({ method: "POST", path, body }, signal)) as T;
  }

  /** Writes the whole object, if it is still as its `resourceVersion` says; otherwise throws `conflict`. */
  async replace<T extends KubernetesObject>(resource: Resource<T>, object: T, signal: AbortSignal): Promise<T> {
    if (object.metadata.resourceVersion === undefined) throw new TypeError("an object is replaced by its version");
    const body = { type: "application/json", json: withType(resource, object) };
    return (await this.#call({ method: "PUT", path: objectPath(resource, object.metadata), body }, signal)) as T;
  }

  /** Server-side apply: makes the object, or sets the fields that are given and leaves the others to their managers. */
  async apply<T extends KubernetesObject>(
    resource: Resource<T>,
    object: Partial<T> & KubernetesObject,
    options: ApplyOptions & { readonly signal: AbortSignal },
  ): Promise<T> {
    const { fieldManager, force = false, subresource, signal } = options;
    const below = subresource === undefined ? "" : `/${subresource}`;
    const asked: Asked = {
      method: "PATCH",
      path: `${objectPath(resource, object.metadata)}${below}`,
      query: { fieldManager, force: String(force) },
      // JSON is YAML; servers before 1.34 take apply patches under this name alone.
      body: { type: "application/apply-patch+yaml", json: withType(resource, object) },
    };
    return (await this.#call(asked, signal)) as T;
  }

  /** false: it is not there. */
  async remove<T extends KubernetesObject>(
    resource: Resource<T>,
    name: ObjectName & RemoveOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { uid, resourceVersion, propagation = "Background" } = name;
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const json = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: propagation, preconditions };
    const path = objectPath(resource, name);
    try {
      await this.#call({ method: "DELETE", path, body: { type: "application/json", json } }, signal);
      return true;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return false;
      throw error;
    }
  }

  /**
   * A connection to a port of a pod, through the API server; whoever gets it destroys it. Nothing is tried again. Throws `not_found` where there is
   * no such pod, `denied` without the rights `get` and `create` for `pods/portforward`; that nobody listens comes later, by the stream.
   */
  async forward(pod: ObjectName, port: number, signal: AbortSignal): Promise<PodStream> {
    const asked: Asked = { method: "GET", path: `${objectPath(PODS, pod)}/portforward` };
    return new PodStream(await this.#connection.webSocket(asked, FORWARD_PROTOCOL, signal), port);
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  async #call(asked: Asked, signal: AbortSignal): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#connection.call(asked, signal);
      } catch (error) {
        const waitMs = attempt < this.bounds.tries ? this.#waitMs(error, asked, attempt) : null;
        if (waitMs === null || signal.aborted) throw error;
        await pause(this.#clock, waitMs, signal);
        signal.throwIfAborted();
      }
    }
  }

  /** How long to wait for another try; null: none. */
  #waitMs(error: unknown, { method }: Asked, failures: number): number | null {
    if (!(error instanceof KubernetesError)) return null;
    const isPassing = error.code === "unavailable" || error.code === "rate_limited";
    // A PUT carries its version and an apply is the same twice; only what makes a new object may not happen twice.
    if (!isPassing || (method === "POST" && !error.undone)) return null;
    if (error.retryAfterS === undefined) return pauseMs(failures, this.bounds);
    const told = error.retryAfterS * 1000;
    return told > this.bounds.mostRetryAfterMs ? null : told + pauseMs(1, this.bounds);
  }
}

/** Aborts its signal once nothing was heard for a time. While what came is being used the time does not run. */
class Silence {
  readonly #clock: Clock;
  readonly #mostMs: number;
  readonly #controller = new AbortController();
  #timer: Disposable | null = null;

  constructor(clock: Clock, mostMs: number) {
    this.#clock = clock;
    this.#mostMs = mostMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  begin(): void {
    this.end();
    this.#timer = this.#clock.after(this.#mostMs, () => this.#controller.abort());
  }

  end(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}

/** Metadata alone, where that is wanted; servers that cannot leave the rest out (before 1.15) send it whole. */
function accepting({ metadataOnly = false }: Resource<KubernetesObject>, list = ""): Pick<Asked, "accept"> {
  const as = `as=PartialObjectMetadata${list};g=meta.k8s.io;v=v1`;
  return metadataOnly ? { accept: `application/json;${as},application/json` } : {};
}

function selectors({ labelSelector, fieldSelector }: Scope): Readonly<Record<string, string | undefined>> {
  return { labelSelector, fieldSelector };
}

function withType(resource: Resource<KubernetesObject>, object: KubernetesObject): KubernetesObject {
  return { ...object, apiVersion: resource.apiVersion, kind: resource.kind };
}

function readEvent<T extends KubernetesObject>(asked: string, value: unknown): WatchEvent<T> {
  const { type, object } = (value ?? {}) as {
    readonly type?: unknown;
    readonly object?: T & { readonly code?: unknown };
  };
  if (type === "ERROR") throw statusError(asked, typeof object?.code === "number" ? object.code : 500, object);
  const version = object?.metadata.resourceVersion;
  if (object === undefined || version === undefined) throw cut(asked);
  if (type === "BOOKMARK") return { kind: "bookmark", resourceVersion: version };
  return { kind: type === "DELETED" ? "removed" : "set", object };
}

function cut(asked: string, cause?: unknown): KubernetesError {
  return new KubernetesError({ asked, status: 0, reason: "", message: "the watch was cut", cause });
}

function stalled(asked: string, mostMs: number): KubernetesError {
  const message = `the watch said nothing for ${String(mostMs / 1000)} s`;
  return new KubernetesError({ asked, status: 0, reason: "Stalled", message });
}
