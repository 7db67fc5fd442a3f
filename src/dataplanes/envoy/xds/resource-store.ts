import { hash } from "node:crypto";
import { GatewayError } from "../../../model/index.ts";
import { rawAny, tableOf, typeUrl } from "../proto/kit.ts";
import "../proto/tables.ts";
import { DeltaDiscoveryResponse } from "../proto/tables/discovery.ts";
import { Writer } from "../proto/writer.ts";
import type { Resource, ResourceChange, ResourceKey } from "../resource.ts";
import { toldAgain } from "./order.ts";
import { ResourceType, type StoredResource } from "./resource-type.ts";

/** Envoys may ask for types that nobody here knows, but not without end. */
const MAX_TYPES = 256;
/** 72 bits of the content's hash, in base64url: no two contents of one resource ever have the same. */
const VERSION_LENGTH = 12;

/** One resource that changed, came or went. */
export interface ResourceEvent {
  readonly type: ResourceType;
  readonly id: number;
  readonly fleet: string | null;
}

/** A resource that cannot be told to Envoys, and why. */
export interface Unencodable {
  readonly resource: Resource;
  readonly message: string;
}

/** What Envoys are to have: each resource once, as the bytes that they get. */
export class ResourceStore {
  readonly #types = new Map<string, ResourceType>();
  readonly #unencodable = new Map<string, Unencodable>();
  #seq = 0;
  #wholeSeq = 0;
  #isSettled = false;

  /** Of the last change, as whoever makes them counts. */
  get seq(): number {
    return this.#seq;
  }

  /** Of the last change of which no part is still to come. */
  get wholeSeq(): number {
    return this.#wholeSeq;
  }

  get unencodable(): Iterable<Unencodable> {
    return this.#unencodable.values();
  }

  /** A type that an Envoy asks for. Throws `too_large` where others did for too many that do not exist. */
  askedType(url: string): ResourceType {
    if (this.#types.size >= MAX_TYPES && !this.#types.has(url))
      throw new GatewayError("too_large", "too many types of resources were asked for");
    return this.#typeOf(url);
  }

  /** Whether Envoys of the fleet get any of the type. */
  hasAny(url: string, fleet: string): boolean {
    const first = this.#types.get(url)?.idsFor(fleet).next();
    return first?.done === false;
  }

  /**
   * Takes a change, and gives what it comes to; equal content is no change. What cannot be encoded is left as it was. Call `sweep` with the
   * result when all have heard of it. `isLast` false: more of the same `seq` is to come.
   */
  apply(change: ResourceChange, seq: number, isLast: boolean): ResourceEvent[] {
    this.#seq = Math.max(this.#seq, seq);
    if (isLast) this.#wholeSeq = Math.max(this.#wholeSeq, seq);
    const events: ResourceEvent[] = [];
    for (const resource of change.set) {
      const event = this.#set(resource);
      if (event !== null) events.push(event);
    }
    for (const key of change.removed) {
      const event = this.#remove(key);
      if (event !== null) events.push(event);
    }
    return events;
  }

  sweep(events: readonly ResourceEvent[]): void {
    for (const { type, id } of events) type.sweep(id);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** All that there is has come. */
  settled(): void {
    this.#isSettled = true;
    for (const type of this.#types.values()) type.expectNoMore();
  }

  #typeOf(url: string): ResourceType {
    const known = this.#types.get(url);
    if (known !== undefined) return known;
    const type = new ResourceType(url);
    this.#types.set(url, type);
    return type;
  }

  #set(resource: Resource): ResourceEvent | null {
    const type = this.#typeOf(typeUrl({ name: resource.type }));
    const { fleet } = resource;
    const key = keyOf(resource);
    let stored: StoredResource;
    try {
      stored = encodeResource(resource);
      this.#unencodable.delete(key);
    } catch (error) {
      this.#unencodable.set(key, { resource, message: error instanceof Error ? error.message : String(error) });
      return null;
    }
    const id = type.idOf(resource.name);
    const before = type.get(id, fleet);
    if (before?.version === stored.version && before.subject === stored.subject) return null;
    type.put(id, fleet, stored);
    return before?.version === stored.version ? null : { type, id, fleet };
  }

  #remove(key: ResourceKey): ResourceEvent | null {
    this.#unencodable.delete(keyOf(key));
    const type = this.#typeOf(typeUrl({ name: key.type }));
    const id = type.idOf(key.name);
    if (type.get(id, key.fleet) === undefined) {
      type.sweep(id);
      return null;
    }
    type.put(id, key.fleet, undefined);
    return { type, id, fleet: key.fleet };
  }
}

function keyOf({ type, name, fleet }: ResourceKey): string {
  return JSON.stringify([type, name, fleet]);
}

const bodyWriter = new Writer();
const entryWriter = new Writer();

/** Allocates nothing but what is kept: there may be hundreds of thousands at once. */
function encodeResource({ type, name, body, subject }: Resource): StoredResource {
  const table = tableOf(type);
  if (table === undefined) throw new TypeError(`there is no table of ${type}`);
  try {
    table.writeBody(bodyWriter, body);
    const bytes = bodyWriter.view();
    const version = hash("sha256", bytes, "base64url").slice(0, VERSION_LENGTH);
    const response = { resources: [{ name, version, resource: rawAny(table, bytes) }] };
    DeltaDiscoveryResponse.writeBody(entryWriter, response);
    const entry = entryWriter.view().toString("latin1");
    return { entry, version, subject, again: toldAgain({ type, name, body }) };
  } finally {
    bodyWriter.reset();
    entryWriter.reset();
  }
}
