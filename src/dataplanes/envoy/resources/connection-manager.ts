import { Router } from "../proto/tables/http-filters.ts";
import {
  HttpConnectionManager,
  type HttpConnectionManager as HttpConnectionManagerValue,
  type HttpFilter,
  XffConfig,
} from "../proto/tables/connection-manager.ts";
import type { NetworkFilter } from "../proto/tables/listener.ts";
import { HTTP_LOG_OPTIONS } from "../watch/loggers.ts";
import { earlyMutations } from "./early-mutations.ts";
import { extension, FROM_GATE, seconds } from "./envoy-json.ts";
import { localReplies } from "./notice-replies.ts";
import { ROUTES } from "./route-configuration.ts";
import type { TranslateSettings } from "./settings.ts";
import { stickyCookieOfHosts, stickyReader } from "./sticky-subsets.ts";

/** Windows of one visitor's HTTP/2 and HTTP/3: what a slow job makes Envoy hold for one stream, and for all of a connection. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;
/** Protocols that a visitor may switch to: Envoy wants them by name. */
const UPGRADES = ["websocket", "tcp", "spdy/3.1"];
/** Offers that need not be taken: without them it is an ordinary request. */
const NO_UPGRADES = [{ prefix: "h2c" }, { prefix: "TLS/" }];

interface Taken {
  /** By QUIC, else by HTTP/1.1 and HTTP/2, which it tells apart by ALPN or the first bytes. */
  readonly http3?: boolean;
  /** From fronts, which say for whom they ask. */
  readonly fronts?: boolean;
}

/** What takes HTTP in. */
export function connectionManager(
  settings: TranslateSettings,
  { http3 = false, fronts = false }: Taken = {},
): NetworkFilter {
  const { limits, requestId, accessLog } = settings;
  return extension("envoy.filters.network.http_connection_manager", HttpConnectionManager, {
    statPrefix: "http",
    codecType: http3 ? "HTTP3" : "AUTO",
    rds: { configSource: FROM_GATE, routeConfigName: ROUTES },
    // The others take its cookie out of the request.
    httpFilters: [stickyReader(stickyCookieOfHosts(settings.site)), ...settings.filters, router(settings)],
    accessLog: [...accessLog.http],
    accessLogOptions: HTTP_LOG_OPTIONS,
    commonHttpProtocolOptions: {
      idleTimeout: seconds(limits.keepAlive),
      maxHeadersCount: limits.headerFields,
      headersWithUnderscoresAction: "ALLOW",
    },
    httpProtocolOptions: { acceptHttp10: true, enableTrailers: true, ignoreHttp11Upgrade: NO_UPGRADES },
    http2ProtocolOptions: {
      allowConnect: true,
      maxConcurrentStreams: limits.http2Streams,
      initialStreamWindowSize: STREAM_WINDOW,
      initialConnectionWindowSize: CONNECTION_WINDOW,
      maxOutboundControlFrames: limits.http2ControlFrames,
      // As many at once, and as many again every half a minute (CVE-2023-44487).
      streamResetBurst: limits.http2Resets,
      streamResetRate: Math.max(1, Math.round(limits.http2Resets / 30)),
    },
    ...(http3 && {
      http3ProtocolOptions: {
        allowExtendedConnect: true,
        quicProtocolOptions: {
          maxConcurrentStreams: limits.http2Streams,
          initialStreamWindowSize: STREAM_WINDOW,
          initialConnectionWindowSize: CONNECTION_WINDOW,
        },
      },
    }),
    maxRequestHeadersKb: Math.ceil(limits.headerBytes / 1024),
    requestHeadersTimeout: seconds(limits.headerTime),
    streamIdleTimeout: seconds(limits.idleTime),
    serverHeaderTransformation: "PASS_THROUGH",
    ...(fronts ? namedByFront(settings) : namedByConnection(settings)),
    skipXffAppend: true,
    generateRequestId: true,
    proxy100Continue: true,
    // What is cut is to be gone within the moment; who still reads has its bytes by then.
    delayedCloseTimeout: "0.3s",
    preserveExternalRequestId: requestId === "keep",
    // A job sees the path that its visitor sent, and no part of the gate resolves it: what was authorised is what is routed.
    normalizePath: false,
    mergeSlashes: false,
    pathWithEscapedSlashesAction: "KEEP_UNCHANGED",
    stripTrailingHostDot: true,
    upgradeConfigs: UPGRADES.map((upgradeType) => ({ upgradeType })),
    localReplyConfig: localReplies(settings.site.gateHost),
  });
}

/** The visitor's address is that of its connection, or what a PROXY header said of it. */
function namedByConnection({ early }: TranslateSettings): HttpConnectionManagerValue {
  return { useRemoteAddress: true, earlyHeaderMutationExtensions: [earlyMutations(early)] };
}

/** It is what fronts say of it: see `visitorOf`. */
function namedByFront({ fronts, earlyOfFronts }: TranslateSettings): HttpConnectionManagerValue {
  const detection = extension("envoy.http.original_ip_detection.xff", XffConfig, {
    // Of hops before the last one.
    xffNumTrustedHops: fronts.hops - 1,
    skipXffAppend: true,
  });
  return {
    originalIpDetectionExtensions: [detection],
    earlyHeaderMutationExtensions: [earlyMutations(earlyOfFronts)],
  };
}

function router({ accessLog }: TranslateSettings): HttpFilter {
  return extension("envoy.filters.http.router", Router, {
    suppressEnvoyHeaders: true,
    ...(accessLog.upstream.length > 0 && { upstreamLog: [...accessLog.upstream] }),
  });
}
