import type { Route } from "../../../model/index.ts";
import { Listener, type Listener as EnvoyListener } from "../proto/tables/listener.ts";
import { clusterName } from "./cluster-name.ts";
import { BUFFER_BYTES } from "./envoy-json.ts";
import { addressOf } from "./listener.ts";
import { tcpProxy } from "./raw-filters.ts";
import type { FleetSettings } from "./settings.ts";
import type { BookDeps, Turn } from "./turn.ts";

const PREFIX = "port ";

/** Listeners of raw ports: each is one service's alone, at the address of the fleet. */
export class PortBook {
  readonly #deps: BookDeps;

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  set(route: Route, { changes }: Turn): void {
    const { match, upstream, id } = route;
    if (match.by !== "port") return;
    const { settings, fleets } = this.#deps;
    const whose = fleets.each(upstream);
    for (const fleet of settings.fleets) {
      const key = { name: nameOf(id), fleet: fleet.name };
      if (!whose.includes(fleet.name)) changes.remove(Listener, key);
      else changes.set(Listener, { ...key, body: this.#listener(route, match.port, fleet), subject: route.service });
    }
  }

  remove(id: string, { changes }: Turn): void {
    if (!id.startsWith(PREFIX)) return;
    for (const fleet of this.#deps.settings.fleets) changes.remove(Listener, { name: nameOf(id), fleet: fleet.name });
  }

  #listener(route: Route, port: number, fleet: FleetSettings): EnvoyListener {
    const { settings } = this.#deps;
    return {
      name: nameOf(route.id),
      address: addressOf({ ...fleet, listen: { ...fleet.listen, port } }, "TCP"),
      perConnectionBufferLimitBytes: BUFFER_BYTES,
      filterChains: [{ filters: [tcpProxy(clusterName(route, settings.site), route.policy, settings)] }],
    };
  }
}

/** `port/20001` */
function nameOf(id: string): string {
  return `port/${id.slice(PREFIX.length)}`;
}
