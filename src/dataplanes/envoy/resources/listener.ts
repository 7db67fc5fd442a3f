import { HttpConnectionManager } from "../proto/tables/connection-manager.ts";
import { Router } from "../proto/tables/http-filters.ts";
import {
  ProxyProtocol,
  TlsInspector,
  type FilterChain,
  type Listener,
  type ListenerFilter,
} from "../proto/tables/listener.ts";
import type { Matcher } from "../proto/tables/xds-matcher.ts";
import { connectionManager } from "./connection-manager.ts";
import { quicSocket, tlsSocket } from "./downstream-tls.ts";
import { BUFFER_BYTES, extension, seconds } from "./envoy-json.ts";
import { bySource, byServerName, byTransport, chain } from "./matchers.ts";
import { tlsNeeded } from "./notice-replies.ts";
import { PASS_THROUGH, passThroughChain, tcpProxy } from "./raw-filters.ts";
import { passedNames } from "./passed-names.ts";
import type { FleetSettings, TranslateSettings } from "./settings.ts";

export const MAIN = "main";
export const QUIC = "main-quic";
/** Where connections go on that came through a proxy: in there they begin with a PROXY header. */
export const PROXIED = "main-proxied";
/** A proxy takes no part in what it passes on. */
const NO_POLICY = Object.freeze({});

/** The one port of a fleet, and what goes with it. Nothing of it follows from the table: a change would end connections. */
export function translateListeners(fleet: FleetSettings, settings: TranslateSettings): Listener[] {
  const { certificates, proxiesFrom } = settings;
  const main: Listener = {
    name: MAIN,
    address: addressOf(fleet, "TCP"),
    ...common(settings),
    listenerFilters: [TLS_INSPECTOR],
    filterChainMatcher: byFront(settings),
    filterChains: chains(settings),
  };
  if (proxiesFrom.length === 0) return certificates > 0 ? [main, quicListener(fleet, settings)] : [main];
  return [
    {
      ...main,
      filterChainMatcher: bySource(proxiesFrom, chain(PROXIED), byFront(settings)),
      filterChains: [...chains(settings), { name: PROXIED, filters: [tcpProxy(PROXIED, NO_POLICY, settings)] }],
    },
    {
      name: PROXIED,
      internalListener: {},
      ...common(settings),
      listenerFilters: [PROXY_PROTOCOL, TLS_INSPECTOR],
      filterChainMatcher: byFront(settings),
      filterChains: chains(settings),
    },
  ];
}

export function addressOf({ listen: { ip, port } }: FleetSettings, protocol: "TCP" | "UDP") {
  return { socketAddress: { protocol, address: ip, portValue: port, ...(ip === "::" && { ipv4Compat: true }) } };
}

/** HTTP/3, where there is TLS. Behind a proxy there is none: nothing would say who came. */
function quicListener(fleet: FleetSettings, settings: TranslateSettings): Listener {
  return {
    name: QUIC,
    address: addressOf(fleet, "UDP"),
    udpListenerConfig: { quicOptions: {}, downstreamSocketConfig: { preferGro: true } },
    filterChains: [
      {
        name: "http3",
        transportSocket: quicSocket(settings.certificates),
        filters: [connectionManager(settings, { http3: true })],
      },
    ],
  };
}

function common({ limits }: TranslateSettings): Listener {
  return { perConnectionBufferLimitBytes: BUFFER_BYTES, listenerFiltersTimeout: seconds(limits.headerTime) };
}

const TLS_INSPECTOR: ListenerFilter = extension("envoy.filters.listener.tls_inspector", TlsInspector, {});
const PROXY_PROTOCOL: ListenerFilter = extension("envoy.filters.listener.proxy_protocol", ProxyProtocol, {});

/** Names of the filter chains that take HTTP. */
interface ChainNames {
  readonly tls: string;
  readonly plain: string;
}

const OF_VISITORS: ChainNames = { tls: "tls", plain: "plain" };
const OF_FRONTS: ChainNames = { tls: "tls-of-fronts", plain: "plain-of-fronts" };

/** What fronts send is taken by chains of its own. */
function byFront(settings: TranslateSettings): Matcher {
  const { from } = settings.fronts;
  const visitors = matcher(settings, OF_VISITORS);
  if (from.length === 0) return visitors;
  return bySource(from, { matcher: matcher(settings, OF_FRONTS) }, visitors);
}

/** Whose TLS it is: see `isPassedThrough`. Without TLS of the gate's own all of it is. */
function matcher({ certificates, site }: TranslateSettings, names: ChainNames): Matcher {
  const passed = chain(PASS_THROUGH);
  if (certificates === 0) return byTransport({ tls: passed, plain: chain(names.plain) });
  const cases = passedNames(site).map((is) => ({ is, then: passed }));
  return byTransport({ tls: { matcher: byServerName(cases, chain(names.tls)) }, plain: chain(OF_VISITORS.plain) });
}

function chains(settings: TranslateSettings): FilterChain[] {
  const { certificates, fronts } = settings;
  const ofFronts = fronts.from.length === 0 ? [] : [httpChain(settings, OF_FRONTS, { fronts: true })];
  return [
    httpChain(settings, OF_VISITORS, {}),
    ...ofFronts,
    ...(certificates === 0 ? [] : [{ name: OF_VISITORS.plain, filters: [onlyTls(settings)] }]),
    passThroughChain(settings),
  ];
}

function httpChain(
  settings: TranslateSettings,
  { tls, plain }: ChainNames,
  from: { readonly fronts?: boolean },
): FilterChain {
  const filters = [connectionManager(settings, from)];
  if (settings.certificates === 0) return { name: plain, filters };
  return {
    name: tls,
    transportSocket: tlsSocket(settings.certificates),
    transportSocketConnectTimeout: seconds(settings.limits.headerTime),
    filters,
  };
}

/** Says to who speaks HTTP without TLS that this is not spoken here. */
function onlyTls({ accessLog }: TranslateSettings) {
  return extension("envoy.filters.network.http_connection_manager", HttpConnectionManager, {
    statPrefix: "plain",
    serverHeaderTransformation: "PASS_THROUGH",
    routeConfig: { name: "tls-needed", virtualHosts: [tlsNeeded()] },
    httpFilters: [extension("envoy.filters.http.router", Router, {})],
    accessLog: [...accessLog.http],
  });
}
