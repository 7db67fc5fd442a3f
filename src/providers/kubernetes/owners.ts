import type { KubernetesObject, OwnerReference } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import { ownTexts, NO_TEXTS, type AnnotationReader, type ReadAnnotations, type Texts } from "./annotations.ts";
import { controllerOf } from "./kept-objects.ts";
import { refOf, type ObjectRef } from "./object-ref.ts";

function metadataOf(apiVersion: string, kind: string): Resource<KubernetesObject> {
  return { apiVersion, kind, plural: `${kind.toLowerCase()}s`, namespaced: true, metadataOnly: true };
}

/** What makes pods, or what makes that: of each, the metadata alone is asked for. */
export const OWNERS: readonly Resource<KubernetesObject>[] = [
  metadataOf("apps/v1", "Deployment"),
  metadataOf("apps/v1", "ReplicaSet"),
  metadataOf("apps/v1", "StatefulSet"),
  metadataOf("apps/v1", "DaemonSet"),
  metadataOf("batch/v1", "Job"),
  metadataOf("batch/v1", "CronJob"),
];

/** A pod's controller, and that one's: `Pod → ReplicaSet → Deployment`, `Pod → Job → CronJob`. */
const MOST_LEVELS = 2;

/** Of a controller of pods, what it says of them. */
export interface KeptOwner {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: OwnerReference | null;
  readonly own: Texts;
  /** What is wrong with that; null: nothing. */
  readonly refusal: string | null;
}

/** null: it says nothing, and nothing behind it may. */
export function keepOwner(kind: string, { metadata }: KubernetesObject, reader: AnnotationReader): KeptOwner | null {
  const { namespace = "", name, uid = "" } = metadata;
  const controller = controllerOf(metadata);
  // Kubernetes copies a Deployment's annotations to its ReplicaSets, and takes back none of them.
  const isCopy = kind === "ReplicaSet" && controller?.kind === "Deployment";
  const own = isCopy ? NO_TEXTS : ownTexts(metadata.annotations);
  if (own === NO_TEXTS && controller === null) return null;
  return { ...{ kind, namespace, name, uid, controller, own }, refusal: refusalOf(own, reader) };
}

/** Whether that switches anything on, somebody else may say: it has to be right in any case. */
function refusalOf(own: Texts, reader: AnnotationReader): string | null {
  if (own === NO_TEXTS) return null;
  const read: ReadAnnotations = reader.read(own.enabled === undefined ? { ...own, enabled: "true" } : own);
  return read.kind === "bad" ? read.message : null;
}

/** What the controllers above say together, the nearest before those behind it; or that something is wrong with one of them. */
export function textsOfOwners(
  { namespace, controller }: { readonly namespace: string; readonly controller: OwnerReference | null },
  find: (ref: ObjectRef) => KeptOwner | undefined,
): Texts | "bad" {
  let texts = NO_TEXTS;
  let above = controller;
  for (let level = 0; level < MOST_LEVELS && above !== null; level += 1) {
    const owner = find(refOf(above.kind, `${namespace}/${above.name}`));
    // One of the same name that came later has not made these pods.
    if (owner?.uid !== above.uid) break;
    if (owner.refusal !== null) return "bad";
    if (owner.own !== NO_TEXTS) texts = { ...owner.own, ...texts };
    above = owner.controller;
  }
  return texts;
}

/** Which objects are below which controller, as they say themselves. */
export class OwnerTree {
  readonly #above = new Map<string, string>();
  readonly #below = new Map<string, Set<string>>();

  /** `above`: null: nothing is, or the object is gone. */
  place(key: string, above: string | null): void {
    const before = this.#above.get(key);
    if (before === (above ?? undefined)) return;
    if (before !== undefined) {
      const siblings = this.#below.get(before);
      siblings?.delete(key);
      if (siblings?.size === 0) this.#below.delete(before);
    }
    if (above === null) {
      this.#above.delete(key);
      return;
    }
    this.#above.set(key, above);
    const siblings = this.#below.get(above) ?? new Set<string>();
    this.#below.set(above, siblings.add(key));
  }

  /** Keys of all that is at most so many levels below, as they were placed. Ends, also where objects say to be above each other. */
  below(key: string, levels = MOST_LEVELS): readonly string[] {
    if (levels === 0) return [];
    return [...(this.#below.get(key) ?? [])].flatMap((each) => [each, ...this.below(each, levels - 1)]);
  }
}
