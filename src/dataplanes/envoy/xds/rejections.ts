import type { Problem } from "../../../model/index.ts";
import type { ResourceType, StoredResource } from "./resource-type.ts";

const MAX_MESSAGE = 500;
/** A port that another program has is asked for again after so long, then after twice that, and so on. */
const FIRST_TRY_MS = 1000;
const LONGEST_TRY_MS = 30_000;
/** At once: the others a moment later. */
const MAX_TRIES = 100;

export interface Refusal {
  readonly type: ResourceType;
  readonly id: number;
  readonly resource: StoredResource;
  /** Node id. */
  readonly node: string;
  readonly fleet: string;
  /** What the Envoy says. */
  readonly message: string;
}

interface Rejection extends Refusal {
  /** Of ports: when it is to be tried again, epoch ms (0: not thought of yet), and how long after the last time that is. */
  readonly next: { at: number; afterMs: number };
  /** Node ids of those that refused it and have taken no other since. */
  readonly nodes: Set<string>;
}

/** Which resources Envoys refused, each told once however many did. */
export class Rejections {
  /** By number of the name, then version. */
  readonly #all = new Map<ResourceType, Map<number, Map<string, Rejection>>>();
  /** By node id. */
  readonly #counts = new Map<string, number>();
  readonly #changed: () => void;

  /** `changed` is called when `problems` are others. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  has(type: ResourceType, id: number, version: string): boolean {
    return this.#all.size > 0 && this.#all.get(type)?.get(id)?.has(version) === true;
  }

  refused(refusal: Refusal): void {
    const { type, id, resource, node } = refusal;
    this.#drop(node, type, id, resource.version);
    const ofType = entry(this.#all, type, () => new Map<number, Map<string, Rejection>>());
    const versions = entry(ofType, id, () => new Map<string, Rejection>());
    const isNews = !versions.has(resource.version);
    const next = { at: 0, afterMs: 0 };
    const { nodes } = entry(versions, resource.version, () => ({ ...refusal, next, nodes: new Set<string>() }));
    if (!nodes.has(node)) this.#count(node, 1);
    nodes.add(node);
    if (isNews) this.#changed();
  }

  /** The Envoy took what the resource is now. */
  accepted(type: ResourceType, id: number, node: string): void {
    if (this.#all.size === 0 || this.#all.get(type)?.has(id) !== true) return;
    this.#drop(node, type, id);
  }

  /** There is no such resource any more. */
  removed(type: ResourceType, id: number): void {
    const ofType = this.#all.get(type);
    for (const { nodes } of ofType?.get(id)?.values() ?? []) for (const node of nodes) this.#count(node, -1);
    if (ofType?.delete(id) !== true) return;
    if (ofType.size === 0) this.#all.delete(type);
    this.#changed();
  }

  /** The Envoy is gone for good. */
  forget(node: string): void {
    for (const [type, ofType] of this.#all) for (const id of ofType.keys()) this.#drop(node, type, id);
  }

  /** What may be taken by now, though it is the same: ports that were another program's. To be called often; nothing is due twice. */
  *due(now: number): Generator<Pick<Rejection, "type" | "id" | "nodes">, void> {
    let tries = 0;
    for (const ofType of this.#all.values()) {
      for (const versions of ofType.values()) {
        for (const rejection of versions.values()) {
          if (!isTakenPort(rejection) || rejection.next.at > now) continue;
          const isFirst = rejection.next.at === 0;
          if (!isFirst && (tries += 1) > MAX_TRIES) return;
          const afterMs = isFirst ? FIRST_TRY_MS : Math.min(LONGEST_TRY_MS, rejection.next.afterMs * 2);
          Object.assign(rejection.next, { at: now + afterMs, afterMs });
          if (!isFirst) yield rejection;
        }
      }
    }
  }

  /** Of what it was given, how much this Envoy does not take. */
  countOf(node: string): number {
    return this.#counts.get(node) ?? 0;
  }

  *problems(): Generator<Problem, void> {
    for (const ofType of this.#all.values()) {
      for (const versions of ofType.values()) for (const rejection of versions.values()) yield problemOf(rejection);
    }
  }

  #count(node: string, by: number): void {
    const count = this.countOf(node) + by;
    if (count > 0) this.#counts.set(node, count);
    else this.#counts.delete(node);
  }

  #drop(node: string, type: ResourceType, id: number, except?: string): void {
    const versions = this.#all.get(type)?.get(id);
    for (const [version, { nodes }] of versions ?? []) {
      if (version === except || !nodes.delete(node)) continue;
      this.#count(node, -1);
      if (nodes.size > 0) continue;
      versions?.delete(version);
      if (versions?.size === 0) this.removed(type, id);
      else this.#changed();
    }
  }
}

/**
 * In which parts what was refused together goes out again, the last one first: names that the Envoy gives as its reasons are alone, the rest
 * together; else halves.
 */
export function triedAgain(type: ResourceType, ids: readonly number[], message: string): (readonly number[])[] {
  const blamed = new Set(ids.filter((id) => message.includes(type.nameOf(id))));
  if (blamed.size > 0 && blamed.size < ids.length) {
    return [...[...blamed].map((id) => [id]), ids.filter((id) => !blamed.has(id))];
  }
  const middle = Math.ceil(ids.length / 2);
  return [ids.slice(middle), ids.slice(0, middle)].filter((half) => half.length > 0);
}

/** How Envoy says that a port is another program's. */
function isTakenPort({ message }: Rejection): boolean {
  return /cannot\s+bind/i.test(message);
}

function problemOf(rejection: Rejection): Problem {
  const { type, id, resource, fleet, message } = rejection;
  const words = message.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  const shown = words.length > MAX_MESSAGE ? `${words.slice(0, MAX_MESSAGE)}…` : words;
  return {
    subject: resource.subject,
    code: isTakenPort(rejection) ? "port_unavailable" : "envoy_refused",
    message: `Envoy (fleet ${fleet}) refuses ${type.shortName} ${type.nameOf(id)}, and goes on with what it had: ${shown}`,
  };
}

function entry<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
