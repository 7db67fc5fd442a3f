import { objectKey, withoutManagers, type KubernetesObject } from "../../platform/kubernetes/objects.ts";

/** How long a watch may take to tell that something was removed; after that it counts as being there. */
const REMOVAL_MS = 10_000;

/**
 * Objects of a resource as they were last heard of: by a watch, or by the answer to a write, which comes sooner. Without the answers what was done a
 * moment ago would be done again.
 */
export class SeenObjects<T extends KubernetesObject> {
  readonly #objects = new Map<string, T>();
  /** Uids of what was removed, and until when a watch that shows it is taken to lag. */
  readonly #removed = new Map<string, number>();

  /** By `objectKey`; the same map at all times. */
  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** What a watch has of these keys now. `now`: epoch ms. */
  heard(keys: Iterable<string>, watched: ReadonlyMap<string, T>, now: number): void {
    for (const [uid, until] of this.#removed) if (until <= now) this.#removed.delete(uid);
    for (const key of keys) {
      const object = watched.get(key);
      if (object === undefined) this.#objects.delete(key);
      else if (!this.#isBehind(object)) this.#objects.set(key, object);
    }
  }

  /** What the server answered to a write or a read. */
  answered(object: T): void {
    if (!this.#isBehind(object)) this.#objects.set(objectKey(object), withoutManagers(object));
  }

  /** What the server says was removed, or is to go. */
  removed(object: T, now: number): void {
    const key = objectKey(object);
    const { uid } = object.metadata;
    if (uid !== undefined) this.#removed.set(uid, now + REMOVAL_MS);
    if (this.#objects.get(key)?.metadata.uid === uid) this.#objects.delete(key);
  }

  #isBehind(object: T): boolean {
    const { uid = "", deletionTimestamp } = object.metadata;
    if (this.#removed.has(uid) && deletionTimestamp === undefined) return true;
    const known = this.#objects.get(objectKey(object))?.metadata;
    return known?.uid === uid && isOlder(object.metadata.resourceVersion, known.resourceVersion);
  }
}

/** Versions of one object rise (KEP-5504); what is no number is newer, for it was heard later. */
function isOlder(version = "", than = ""): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(than)) return false;
  return BigInt(version) < BigInt(than);
}
