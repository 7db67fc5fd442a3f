import type { Changed, Route } from "../model/index.ts";
import type { Wanted } from "./front.ts";

/** What routes want of a front, kept by change. There is nothing to close. */
export class FollowedRoutes {
  readonly #hosts = new Held<string>();
  readonly #serverNames = new Held<string>();
  readonly #ports = new Held<number>();

  /** The same maps at all times. */
  readonly wanted: Omit<Wanted, "isWhole"> = {
    hosts: this.#hosts.services,
    serverNames: this.#serverNames.services,
    ports: this.#ports.services,
  };

  /** Whether that made a difference. */
  apply({ set, removed }: Changed<Route>): boolean {
    let isOther = false;
    for (const id of removed) {
      for (const held of [this.#hosts, this.#serverNames, this.#ports]) isOther = held.release(id) || isOther;
    }
    for (const route of set) isOther = this.#follow(route) || isOther;
    return isOther;
  }

  #follow({ id, match, service }: Route): boolean {
    if (match.by === "host" || match.by === "path") return this.#hosts.hold(id, match.host, service);
    if (match.by === "serverName") return this.#serverNames.hold(id, match.name, service);
    return match.by === "port" && this.#ports.hold(id, match.port, service);
  }
}

/** Names that routes hold: several may hold one, as paths of a host do. */
class Held<K> {
  /** The service of the route that holds a name the longest. */
  readonly services = new Map<K, string>();
  /** By name, then route. */
  readonly #holders = new Map<K, Map<string, string>>();
  readonly #nameOf = new Map<string, K>();

  hold(id: string, name: K, service: string): boolean {
    const holders = this.#holders.get(name) ?? new Map<string, string>();
    this.#holders.set(name, holders.set(id, service));
    this.#nameOf.set(id, name);
    return this.#tell(name, holders);
  }

  release(id: string): boolean {
    const name = this.#nameOf.get(id);
    const holders = name === undefined ? undefined : this.#holders.get(name);
    if (name === undefined || holders === undefined) return false;
    this.#nameOf.delete(id);
    holders.delete(id);
    return this.#tell(name, holders);
  }

  #tell(name: K, holders: Map<string, string>): boolean {
    const [first] = holders.values();
    const before = this.services.get(name);
    if (first === before) return false;
    if (first === undefined) {
      this.#holders.delete(name);
      this.services.delete(name);
    } else this.services.set(name, first);
    return true;
  }
}
