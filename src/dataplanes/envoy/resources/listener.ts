import { isIPv6 } from "node:net";
import type { FilterChain, Listener, ListenerFilter } from "../proto/tables/listener.ts";
import { TlsInspector } from "../proto/tables/listener.ts";
import { connectionManager } from "./connection-manager.ts";
import { extension, seconds } from "./envoy-json.ts";
import type { FleetSettings, TranslateSettings } from "./settings.ts";

export const MAIN_LISTENER = "main";
/** What one connection may hold each way before whoever sends is made to wait. */
const BUFFER_BYTES = 256 * 1024;

/** The one port of a fleet. Nothing of it follows from the table: a change would end connections. */
export function translateListener(fleet: FleetSettings, settings: TranslateSettings): Listener {
  return {
    name: MAIN_LISTENER,
    address: listenAddress(fleet.listen),
    perConnectionBufferLimitBytes: BUFFER_BYTES,
    listenerFilters: [TLS_INSPECTOR],
    listenerFiltersTimeout: seconds(settings.limits.headerTime),
    filterChains: [plainChain(settings)],
  };
}

const TLS_INSPECTOR: ListenerFilter = extension("envoy.filters.listener.tls_inspector", TlsInspector, {});

function plainChain(settings: TranslateSettings): FilterChain {
  return { name: "plain", filters: [connectionManager(settings, { http3: false })] };
}

export function listenAddress({ ip, port }: FleetSettings["listen"]) {
  return { socketAddress: { address: ip, portValue: port, ...(ip === "::" && isIPv6(ip) && { ipv4Compat: true }) } };
}
