/** A resource as Envoys get it. */
export interface StoredResource {
  /**
   * Field `resources` of a response with this one in it: the fields of several in a row are a response with all of them. Bytes as characters
   * (latin1): a small Buffer takes half a KiB more than what is in it, and there is one of these for each resource there is.
   */
  readonly entry: string;
  /** Of its content. */
  readonly version: string;
  readonly subject: string;
  /** Name of what an Envoy has to be told again when this changed: see `toldAgain`. */
  readonly again: string | undefined;
}

/**
 * All resources of one type, and numbers for their names: what streams remember of each is then a bit. A number is used again when nobody
 * refers to its name any more.
 */
export class ResourceType {
  /** `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
  readonly url: string;
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  /** Streams that hold the name, counted as often as they do. */
  readonly #holders: number[] = [];
  readonly #free: number[] = [];
  readonly #general: (StoredResource | undefined)[] = [];
  /** By number, then fleet: what stands in place of the general one there. */
  readonly #special = new Map<number, Map<string, StoredResource>>();
  /** By number: the version that an Envoy brought along of what is not there yet. */
  readonly #expected = new Map<number, string>();

  constructor(url: string) {
    this.url = url;
  }

  /** The last part of its name: `Cluster`. */
  get shortName(): string {
    return this.url.slice(this.url.lastIndexOf(".") + 1);
  }

  knownId(name: string): number | undefined {
    return this.#ids.get(name);
  }

  idOf(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#free.pop() ?? this.#names.length;
    this.#ids.set(name, id);
    this.#names[id] = name;
    this.#holders[id] = 0;
    this.#general[id] = undefined;
    return id;
  }

  nameOf(id: number): string {
    return this.#names[id] ?? "";
  }

  /** What Envoys of the fleet get by that name. */
  find(id: number, fleet: string): StoredResource | undefined {
    return (this.#special.size > 0 ? this.#special.get(id)?.get(fleet) : undefined) ?? this.#general[id];
  }

  /** Numbers of what Envoys of the fleet get. */
  *idsFor(fleet: string): Generator<number, void> {
    for (let id = 0; id < this.#general.length; id += 1) {
      if (this.find(id, fleet) !== undefined) yield id;
    }
  }

  /** What stands there now, for the fleet alone, or (null) for all that have none of their own. */
  get(id: number, fleet: string | null): StoredResource | undefined {
    return fleet === null ? this.#general[id] : this.#special.get(id)?.get(fleet);
  }

  put(id: number, fleet: string | null, resource: StoredResource | undefined): void {
    if (fleet === null) {
      this.#general[id] = resource;
      return;
    }
    const fleets = this.#special.get(id) ?? new Map<string, StoredResource>();
    if (resource === undefined) fleets.delete(fleet);
    else fleets.set(fleet, resource);
    if (fleets.size > 0) this.#special.set(id, fleets);
    else this.#special.delete(id);
  }

  /**
   * Notes what an Envoy has of something that is not there yet: after a restart it may come, unchanged. All Envoys have the same version as a
   * rule, so that it is kept once; false: this one has another.
   */
  expect(id: number, version: string): boolean {
    if (!this.#expected.has(id)) this.#expected.set(id, version);
    return this.expects(id, version);
  }

  expects(id: number, version: string): boolean {
    return this.#expected.get(id) === version;
  }

  /** All that could come is there. */
  expectNoMore(): void {
    this.#expected.clear();
  }

  hold(id: number): void {
    this.#holders[id] = (this.#holders[id] ?? 0) + 1;
  }

  release(id: number): void {
    this.#holders[id] = (this.#holders[id] ?? 1) - 1;
    this.sweep(id);
  }

  /** Forgets the name where it means nothing to anybody. */
  sweep(id: number): void {
    const name = this.nameOf(id);
    const inUse = (this.#holders[id] ?? 0) > 0 || this.#general[id] !== undefined || this.#special.has(id);
    if (inUse || this.#ids.get(name) !== id) return;
    this.#ids.delete(name);
    this.#expected.delete(id);
    this.#names[id] = "";
    this.#free.push(id);
  }
}
