import { CLAIMS } from "../authz/cel.ts";
import { FILTER, KNOWN_KEY, POLICY_KEY } from "../authz/names.ts";
import { ERROR_HEADER } from "../../pages.ts";
import { CONTROL_CLUSTER } from "../names.ts";
import { pack } from "../proto/kit.ts";
import {
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
  type CommonGrpcAccessLogConfig,
  type CustomTag,
} from "../proto/tables/access-log.ts";
import { HOLD_NAMESPACE } from "./hold-filters.ts";

/** Logs, by what their entries are about. */
export const LOGS = Object.freeze({ requests: "requests", connections: "connections", tries: "failed-tries" });

/** Rules that let a request pass by its session. */
export const SESSION_POLICIES = /^(a-session|b-due)/;

/** Tags of an entry: little texts in place of all that filters know of a request. */
export const TAGS = Object.freeze({
  /** Id of the session that Envoy verified. */
  session: "s",
  /** When it was issued: a renewed one has the same id. */
  issued: "i",
  /** By which rule Envoy let it pass without asking. */
  policy: "p",
  /** Claims of a session that Envoy knew again, base64url. */
  known: "k",
  /** What the gate decided, where it was asked. */
  use: "u",
  /** Id of the route that it decided about. */
  route: "r",
  /** Why the gate refused it. */
  why: "c",
  /** Under what the gate holds it. */
  hold: "h",
  /** How long connecting to the endpoint took, and when that was done, in µs from the request's first byte: `-` where it was before. */
  connect: "t",
});

/** Headers by which it is seen what kind of request it was, and of which trace. */
const REQUEST_HEADERS = Object.freeze([":method", "upgrade", "content-type", "traceparent"]);

/** What lasts is told of so often. */
export const PERIOD_MS = 5000;

/** Entries are sent together: when so much is there, or after so long. What Envoy cannot send it drops, and counts in `logs_dropped`. */
const BUFFER_BYTES = 65_536;
const FLUSH = "0.5s";

function metadataTag(tag: string, key: string, path: readonly string[]): CustomTag {
  return { tag, metadata: { kind: { request: {} }, metadataKey: { key, path: path.map((part) => ({ key: part })) } } };
}

const REQUEST_TAGS: readonly CustomTag[] = [
  metadataTag(TAGS.session, FILTER.session, [CLAIMS, "sid"]),
  metadataTag(TAGS.issued, FILTER.session, [CLAIMS, "iat"]),
  metadataTag(TAGS.policy, FILTER.pass, [POLICY_KEY]),
  metadataTag(TAGS.known, FILTER.known, [KNOWN_KEY]),
  metadataTag(TAGS.use, FILTER.ask, ["use"]),
  metadataTag(TAGS.route, FILTER.ask, ["route"]),
  metadataTag(TAGS.why, FILTER.ask, ["code"]),
  metadataTag(TAGS.hold, HOLD_NAMESPACE, ["id"]),
  { tag: TAGS.connect, value: "%COMMON_DURATION(US_CX_BEG:US_CX_END:us)% %COMMON_DURATION(DS_RX_BEG:US_CX_END:us)%" },
];

function common(logName: string, customTags: readonly CustomTag[]): CommonGrpcAccessLogConfig {
  return {
    logName,
    transportApiVersion: "V3",
    grpcService: { envoyGrpc: { clusterName: CONTROL_CLUSTER } },
    bufferFlushInterval: FLUSH,
    bufferSizeBytes: BUFFER_BYTES,
    customTags,
  };
}

/** Access logs of every request, every connection that speaks no HTTP, and (of the router) of tries at endpoints that failed. */
export function accessLogs(): { readonly http: object[]; readonly tcp: object[]; readonly upstream: object[] } {
  const name = "envoy.access_loggers.http_grpc";
  return {
    http: [
      {
        name,
        typedConfig: pack(HttpGrpcAccessLogConfig, {
          commonConfig: common(LOGS.requests, REQUEST_TAGS),
          additionalRequestHeadersToLog: REQUEST_HEADERS,
          additionalResponseHeadersToLog: [ERROR_HEADER],
        }),
      },
    ],
    tcp: [
      {
        name: "envoy.access_loggers.tcp_grpc",
        typedConfig: pack(TcpGrpcAccessLogConfig, { commonConfig: common(LOGS.connections, []) }),
      },
    ],
    upstream: [
      {
        name,
        filter: { responseFlagFilter: { flags: ["UF", "UC", "UR", "UPE"] } },
        typedConfig: pack(HttpGrpcAccessLogConfig, { commonConfig: common(LOGS.tries, []) }),
      },
    ],
  };
}

/** Of the connection manager: what lasts is told of while it does, so that what no gate holds is found, and use is seen. */
export const HTTP_LOG_OPTIONS = Object.freeze({ accessLogFlushInterval: `${PERIOD_MS / 1000}s` as const });
/** Of the TCP proxy: its connections are known from their first moment. */
export const TCP_LOG_OPTIONS = Object.freeze({ ...HTTP_LOG_OPTIONS, flushAccessLogOnConnected: true });
