import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { allTables, type Field } from "../proto/kit.ts";
import { jsonName, officialProtos } from "../proto/testing/official-protos.ts";
import "./entry-messages.ts";

const LOG = "envoy.data.accesslog.v3";
const SERVICE = "envoy.service.accesslog.v3";

/** The official message of each of ours, and its names of the fields that we call otherwise. */
const OFFICIAL: Readonly<Record<string, readonly [string, Readonly<Record<string, string>>?]>> = {
  Time: ["google.protobuf.Duration"],
  SocketAddress: ["envoy.config.core.v3.SocketAddress"],
  Pipe: ["envoy.config.core.v3.Pipe"],
  InternalAddress: ["envoy.config.core.v3.EnvoyInternalAddress"],
  Address: ["envoy.config.core.v3.Address"],
  ResponseFlags: [`${LOG}.ResponseFlags`],
  AccessLogCommon: [
    `${LOG}.AccessLogCommon`,
    {
      remote: "downstreamRemoteAddress",
      tls: "tlsProperties",
      start: "startTime",
      firstAnswerByte: "timeToFirstUpstreamRxByte",
      firstByteSent: "timeToFirstDownstreamTxByte",
      upstream: "upstreamRemoteAddress",
      cluster: "upstreamCluster",
      flags: "responseFlags",
      transportFailure: "upstreamTransportFailureReason",
      tags: "customTags",
      tries: "upstreamRequestAttemptCount",
      type: "accessLogType",
    },
  ],
  HTTPRequestProperties: [`${LOG}.HTTPRequestProperties`, { bodyBytes: "requestBodyBytes", headers: "requestHeaders" }],
  HTTPResponseProperties: [
    `${LOG}.HTTPResponseProperties`,
    {
      code: "responseCode",
      bodyBytes: "responseBodyBytes",
      headers: "responseHeaders",
      details: "responseCodeDetails",
    },
  ],
  UInt32Value: ["google.protobuf.UInt32Value"],
  HTTPAccessLogEntry: [
    `${LOG}.HTTPAccessLogEntry`,
    { common: "commonProperties", version: "protocolVersion", answer: "response" },
  ],
  ConnectionProperties: [`${LOG}.ConnectionProperties`, { received: "receivedBytes", sent: "sentBytes" }],
  TCPAccessLogEntry: [`${LOG}.TCPAccessLogEntry`, { common: "commonProperties", connection: "connectionProperties" }],
  Node: ["envoy.config.core.v3.Node"],
  Identifier: [`${SERVICE}.StreamAccessLogsMessage.Identifier`],
  HTTPAccessLogEntries: [`${SERVICE}.StreamAccessLogsMessage.HTTPAccessLogEntries`, { entries: "logEntry" }],
  TCPAccessLogEntries: [`${SERVICE}.StreamAccessLogsMessage.TCPAccessLogEntries`, { entries: "logEntry" }],
  StreamAccessLogsMessage: [`${SERVICE}.StreamAccessLogsMessage`, { http: "httpLogs", tcp: "tcpLogs" }],
  StreamAccessLogsResponse: [`${SERVICE}.StreamAccessLogsResponse`],
  Metadata: ["envoy.config.core.v3.Metadata"],
};

const root = officialProtos();
const tables = [...allTables()].filter((table) => table.name.startsWith("taskgate.log."));

describe("what is read of the access log is where the official .proto files have it", () => {
  test.each(tables.map((table) => [table.name.slice("taskgate.log.".length), table.fields] as const))(
    "%s",
    (name, fields) => {
      const [officialName = "", renamed = {}] = OFFICIAL[name] ?? [];
      const official = new Map(root.lookupType(officialName).fieldsArray.map((field) => [jsonName(field.name), field]));
      for (const [key, field] of Object.entries(fields)) {
        const theirs = official.get(renamed[key] ?? key);
        expect([key, describeOurs(field)]).toEqual([key, theirs && describeTheirs(theirs)]);
      }
    },
  );
});

/** Messages read as bytes, enumerations as numbers, and what has no sign as such are the same on the wire. */
function describeOurs({ number, label, type }: Field<unknown>): string {
  const kind = type.name.startsWith("taskgate.") || type.name.startsWith("google.") ? "bytes" : type.name;
  return `${number} ${label} ${kind}`;
}

function describeTheirs(field: protobuf.Field): string {
  field.resolve();
  const label = field instanceof protobuf.MapField ? "map" : field.repeated ? "repeated" : "singular";
  const unsigned = field.type === "int32" || field.type === "int64" ? "uint32" : field.type;
  const kind =
    field.resolvedType instanceof protobuf.Enum ? "uint32" : field.resolvedType === null ? unsigned : "bytes";
  return `${field.id} ${label} ${kind}`;
}
