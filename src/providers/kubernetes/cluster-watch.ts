import type { KubernetesKind } from "../../config/provider-config.ts";
import type { SourceUpdate } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { Mirror } from "../../platform/kubernetes/mirror.ts";
import { objectKey, type KubernetesObject } from "../../platform/kubernetes/objects.ts";
import {
  ENDPOINT_SLICES,
  NAMESPACES,
  PODS,
  SERVICES,
  type Resource,
  type Scope,
} from "../../platform/kubernetes/resource.ts";
import type { Logger } from "../../platform/logger.ts";
import { AnnotationReader } from "./annotations.ts";
import type { BuildContext } from "./build-task.ts";
import { keepPod, keepService, keepSlice, type KeptPod, type KeptService, type KeptSlice } from "./kept-objects.ts";
import { recognizer } from "./known-kinds.ts";
import { keepNamespace, type KeptNamespace } from "./namespace-rights.ts";
import { readRef, refOf, type ObjectRef } from "./object-ref.ts";
import { keepOwner, OWNERS, type KeptOwner } from "./owners.ts";
import { StatusWriter, type StatusWriterDeps } from "./status-writer.ts";
import { TaskBook, type Changes } from "./task-book.ts";

export interface ClusterWatchDeps {
  readonly client: KubernetesClient;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** Label selector of pods and Services. */
  readonly selector?: string;
  /** Whose pods are tasks without an annotation. */
  readonly kinds: readonly KubernetesKind[];
  /** Whether annotations of what makes pods count for these. */
  readonly owners: boolean;
  /** Whether annotations of Namespaces give rights. */
  readonly rightsFromNamespaces: boolean;
  readonly context: BuildContext;
  /** null: nothing is written. */
  readonly status: Pick<StatusWriterDeps, "client" | "told" | "bounds"> | null;
  readonly publish: (update: SourceUpdate) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Watching extends AsyncDisposable {
  readonly isListed: boolean;
}

/**
 * Watches the objects of a cluster and publishes what becomes of them: whole once all were read, then each turn of the event loop what
 * changed in it. While any of them cannot be read the source is stale, though what is heard of the others counts.
 */
export class ClusterWatch implements AsyncDisposable {
  readonly #deps: ClusterWatchDeps;
  readonly #book: TaskBook;
  readonly #status: StatusWriter | null;
  readonly #watching: Watching[] = [];
  /** Of what cannot be read just now, by what it is. */
  readonly #lost = new Map<string, { readonly since: number; readonly error: Error }>();
  #isWhole = false;
  #due: NodeJS.Immediate | null = null;
  #isEnded = false;

  constructor(deps: ClusterWatchDeps) {
    this.#deps = deps;
    const { namespaces, selector } = deps;
    const scopes: readonly Scope[] = namespaces.length === 0 ? [{}] : namespaces.map((namespace) => ({ namespace }));
    const selected = selector === undefined ? {} : { labelSelector: selector };
    const reader = new AnnotationReader();
    const reading = { reader, recognize: recognizer(deps.kinds) };
    const all = scopes.map((scope) => ({
      namespace: scope.namespace,
      pods: this.#mirror(
        PODS,
        { ...scope, ...selected },
        (pod) => {
          this.#saw("Pod", pod);
          return keepPod(pod, reading);
        },
        (key) => this.#book.podChanged(key),
      ),
      services: this.#mirror(
        SERVICES,
        { ...scope, ...selected },
        (service) => {
          this.#saw("Service", service);
          return keepService(service, reader);
        },
        (key) => this.#book.serviceChanged(key),
      ),
      slices: this.#mirror(ENDPOINT_SLICES, scope, keepSlice, (key) => this.#book.sliceChanged(key)),
      namespaces: deps.rightsFromNamespaces ? this.#namespaces(scope) : null,
      owners: new Map(
        (deps.owners ? OWNERS : []).map((resource) => [resource.kind, this.#owners(resource, scope, reader)]),
      ),
    }));
    const byNamespace = new Map(all.map((mirrors) => [mirrors.namespace, mirrors]));
    const of = (key: string) => byNamespace.get(undefined) ?? byNamespace.get(key.slice(0, key.indexOf("/")));
    const owner = (ref: ObjectRef): KeptOwner | undefined => {
      const { kind, key } = readRef(ref);
      return of(key)?.owners.get(kind)?.objects.get(key);
    };
    this.#book = new TaskBook(
      {
        pod: (key): KeptPod | undefined => of(key)?.pods.objects.get(key),
        service: (key): KeptService | undefined => of(key)?.services.objects.get(key),
        slice: (key): KeptSlice | undefined => of(key)?.slices.objects.get(key),
        ...(deps.owners ? { owner } : {}),
        namespace: (name) => of(`${name}/`)?.namespaces?.objects.get(`/${name}`),
      },
      deps.context,
      reader,
    );
    this.#status = this.#startStatus();
  }

  /** Nothing is published once this has begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    if (this.#due !== null) clearImmediate(this.#due);
    await this.#status?.[Symbol.asyncDispose]();
    await Promise.all(this.#watching.map((each) => each[Symbol.asyncDispose]()));
  }

  #startStatus(): StatusWriter | null {
    const { context, status, clock, logger } = this.#deps;
    if (status === null) return null;
    const problemChanged = () => this.#flush(true);
    return new StatusWriter({
      ...{ ...status, provider: context.provider, objects: this.#book, problemChanged, clock, logger },
    });
  }

  /** An object as it is read: it may be that nothing changed but what we wrote ourselves. */
  #saw(kind: string, object: KubernetesObject): void {
    if (this.#status?.saw(refOf(kind, objectKey(object)), object.metadata) === true) this.#flushSoon();
  }

  /** Who may read one Namespace alone is asked for no other. */
  #namespaces({ namespace }: Scope): Mirror<KubernetesObject, KeptNamespace> {
    const scope = namespace === undefined ? {} : { fieldSelector: `metadata.name=${namespace}` };
    return this.#mirror(NAMESPACES, scope, keepNamespace, (key) => this.#book.namespaceChanged(key.slice(1)));
  }

  #owners(
    resource: Resource<KubernetesObject>,
    scope: Scope,
    reader: AnnotationReader,
  ): Mirror<KubernetesObject, KeptOwner> {
    const { kind } = resource;
    const keep = (object: KubernetesObject) => keepOwner(kind, object, reader);
    return this.#mirror(resource, scope, keep, (key) => this.#book.ownerChanged(refOf(kind, key)));
  }

  #mirror<T extends KubernetesObject, V>(
    resource: Resource<T>,
    scope: Scope,
    keep: (object: T) => V | null,
    changed: (key: string) => void,
  ): Mirror<T, V> {
    const { client, clock, logger } = this.#deps;
    const what = `${scope.namespace ?? ""}/${resource.plural}/${scope.fieldSelector ?? ""}`;
    const mirror = new Mirror({
      ...{ client, resource, scope, keep, clock, logger },
      changed: (keys) => {
        for (const key of keys) changed(key);
        this.#flushSoon();
      },
      lost: (since, error) => {
        this.#lost.set(what, { since, error });
        this.#publishStale();
      },
      found: () => {
        if (this.#lost.delete(what) && this.#lost.size === 0) this.#flush(true);
      },
    });
    this.#watching.push(mirror);
    return mirror;
  }

  #flushSoon(): void {
    if (!this.#isEnded) this.#due ??= setImmediate(() => this.#flush(false));
  }

  /** `isFound`: say something though nothing changed, as what was stale no longer is. */
  #flush(isFound: boolean): void {
    if (this.#due !== null) clearImmediate(this.#due);
    this.#due = null;
    if (this.#isEnded || !this.#watching.every(({ isListed }) => isListed)) return;
    const { set, removed, problems, isNews } = this.#takeChanges();
    const { publish } = this.#deps;
    if (!this.#isWhole) {
      this.#isWhole = true;
      publish({ kind: "whole", tasks: set, problems });
    } else if (isNews || isFound) publish({ kind: "change", set, removed, problems });
    else return;
    this.#publishStale();
  }

  #takeChanges(): Omit<Changes, "touched"> {
    const { touched, problems, ...changes } = this.#book.takeChanges();
    for (const ref of touched) this.#status?.changed(ref);
    this.#status?.built();
    const problem = this.#status?.problem ?? null;
    return { ...changes, problems: problem === null ? problems : [...problems, problem] };
  }

  #publishStale(): void {
    const [first] = [...this.#lost.values()].sort((a, b) => a.since - b.since);
    if (first !== undefined && !this.#isEnded) this.#deps.publish({ kind: "stale", ...first });
  }
}
