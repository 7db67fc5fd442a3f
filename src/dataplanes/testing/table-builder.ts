import {
  matchKey,
  type Address,
  type Changed,
  type Endpoint,
  type Endpoints,
  type Match,
  type Policy,
  type Protocol,
  type Route,
  type RouteTable,
  type TableDiff,
  type Upstream,
} from "../../model/index.ts";

export interface ServiceInput {
  /** `provider/task/service`. */
  readonly key: string;
  readonly protocol?: Protocol;
  readonly guard?: "gate" | "self";
  readonly policy?: Policy;
  readonly matches: readonly Match[];
  readonly endpoints: readonly (Address | Endpoint)[];
  /** Routes of one replica: they lead to its endpoints alone. */
  readonly replicas?: Readonly<Record<string, readonly Match[]>>;
}

const LISTENER = "main";

export const byHost = (host: string): Match => ({ by: "host", listener: LISTENER, host });
export const byPath = (host: string, prefix: string, strip = true): Match => ({
  by: "path",
  listener: LISTENER,
  host,
  prefix,
  strip,
});
export const byHeaders = (all: readonly (readonly [string, string])[]): Match => ({
  by: "headers",
  listener: LISTENER,
  all,
});
export const byServerName = (name: string): Match => ({ by: "serverName", listener: LISTENER, name });
export const byPort = (port: number): Match => ({ by: "port", port });

/** One kind of entry, and what became of it since the last commit. */
class Kept<T> {
  readonly all = new Map<string, T>();
  #set = new Map<string, T>();
  #removed = new Set<string>();

  set(key: string, value: T): void {
    if (JSON.stringify(this.all.get(key)) === JSON.stringify(value)) return;
    this.all.set(key, value);
    this.#set.set(key, value);
    this.#removed.delete(key);
  }

  delete(key: string): void {
    if (!this.all.delete(key)) return;
    this.#set.delete(key);
    this.#removed.add(key);
  }

  take(): Changed<T> {
    const changed = { set: [...this.#set.values()], removed: [...this.#removed] };
    this.#set = new Map();
    this.#removed = new Set();
    return changed;
  }
}

/** A route table by hand, with the diffs that the core would publish. */
export class TableBuilder {
  readonly #routes = new Kept<Route>();
  readonly #upstreams = new Kept<Upstream>();
  readonly #endpoints = new Kept<Endpoints>();
  #seq = 0;

  service(input: ServiceInput): this {
    const { key, protocol = "http", policy = {} } = input;
    const list = input.endpoints.map(asEndpoint);
    this.#upstream(key, { protocol, policy, list });
    for (const match of input.matches) this.#route(input, match, key);
    for (const [replica, matches] of Object.entries(input.replicas ?? {})) {
      for (const match of matches) this.#route(input, match, key, replica);
    }
    return this;
  }

  endpoints(upstream: string, list: readonly (Address | Endpoint)[]): this {
    this.#endpoints.set(upstream, { upstream, list: list.map(asEndpoint) });
    return this;
  }

  removeRoute(match: Match): this {
    this.#routes.delete(matchKey(match));
    return this;
  }

  remove(key: string): this {
    for (const route of [...this.#routes.all.values()]) if (route.service === key) this.#routes.delete(route.id);
    this.#upstreams.delete(key);
    this.#endpoints.delete(key);
    return this;
  }

  commit(): { readonly table: RouteTable; readonly diff: TableDiff } {
    const from = { epoch: "test", seq: this.#seq };
    const to = { epoch: "test", seq: (this.#seq += 1) };
    const table: RouteTable = {
      revision: to,
      listeners: new Map(),
      certificates: new Map(),
      routes: this.#routes.all,
      upstreams: this.#upstreams.all,
      endpoints: this.#endpoints.all,
      keys: new Map(),
      problems: new Map(),
    };
    const diff: TableDiff = {
      from,
      to,
      routes: this.#routes.take(),
      upstreams: this.#upstreams.take(),
      endpoints: this.#endpoints.take(),
      problems: { set: [], removed: [] },
      rest: from.seq === 0,
    };
    return { table, diff };
  }

  #upstream(id: string, { list, ...rest }: { protocol: Protocol; policy: Policy; list: readonly Endpoint[] }): void {
    this.#upstreams.set(id, { id, ...rest });
    this.#endpoints.set(id, { upstream: id, list });
  }

  #route(input: ServiceInput, match: Match, upstream: string, replica?: string): void {
    const { key, protocol = "http", guard = "gate", policy = {} } = input;
    const id = matchKey(match);
    this.#routes.set(id, {
      ...{ id, match, service: key, protocol, guard, upstream, policy },
      owner: { realm: "local", name: "owner" },
      access: { grants: [], anyone: "nobody" },
      ...(replica === undefined ? {} : { replica }),
    });
  }
}

function asEndpoint(input: Address | Endpoint, index: number): Endpoint {
  return "address" in input ? input : { address: input, replica: String(index), weight: 1, health: "healthy" };
}
