import { decode, encode } from "../../proto/kit.ts";
import { StreamAccessLogsMessage } from "../../proto/tables/access-log-service.ts";
import { type HttpEntry, LogMessage, type TcpEntry } from "../entry-messages.ts";
import { factsOfConnection, factsOfRequest, type Facts } from "../facts.ts";

type Sent = NonNullable<NonNullable<StreamAccessLogsMessage["httpLogs"]>["logEntry"]>[number];
type SentConnection = NonNullable<NonNullable<StreamAccessLogsMessage["tcpLogs"]>["logEntry"]>[number];

/** Parts of an entry, as Envoy's own JSON has it, that differ from those of a small request that went well. */
export interface EntryInput {
  readonly common?: Sent["commonProperties"];
  readonly request?: Sent["request"];
  readonly response?: Sent["response"];
  readonly version?: Sent["protocolVersion"];
}

/** Of an entry that a real Envoy 1.40 sent. */
const COMMON: NonNullable<Sent["commonProperties"]> = {
  downstreamRemoteAddress: { socketAddress: { address: "192.0.2.7", portValue: 46856 } },
  startTime: "2026-11-22T09:09:15.904347Z",
  timeToFirstUpstreamRxByte: "0.025763297s",
  timeToFirstDownstreamTxByte: "0.025968038s",
  upstreamRemoteAddress: { socketAddress: { address: "127.0.0.1", portValue: 7001 } },
  upstreamCluster: "tg/app.localhost",
  duration: "0.026088931s",
  upstreamRequestAttemptCount: 1,
  streamId: "dae6b3f8-3e7a-43c8-a215-7d1a38060415",
  accessLogType: "DownstreamEnd",
};
const REQUEST: Sent["request"] = {
  requestMethod: "GET",
  scheme: "http",
  authority: "app.localhost",
  path: "/x?token=t",
  requestId: "dae6b3f8-3e7a-43c8-a215-7d1a38060415",
  requestHeaders: { ":method": "GET" },
};
const RESPONSE: Sent["response"] = { responseCode: 200, responseBodyBytes: 9, responseCodeDetails: "via_upstream" };

/** The entry as it is read here, after it went over the wire by Envoy's own tables. */
export function httpEntry(input: EntryInput = {}): HttpEntry {
  const entry: Sent = {
    commonProperties: { ...COMMON, ...input.common },
    protocolVersion: input.version ?? "HTTP11",
    request: { ...REQUEST, ...input.request },
    response: { ...RESPONSE, ...input.response },
  };
  const bytes = encode(StreamAccessLogsMessage, { httpLogs: { logEntry: [entry] } });
  return decode(LogMessage, bytes).http?.entries?.[0] ?? {};
}

export function tcpEntry(input: SentConnection): TcpEntry {
  const entry = { ...input, commonProperties: { ...COMMON, ...input.commonProperties } };
  const bytes = encode(StreamAccessLogsMessage, { tcpLogs: { logEntry: [entry] } });
  return decode(LogMessage, bytes).tcp?.entries?.[0] ?? {};
}

export function requestFacts(input: EntryInput = {}): Facts {
  return factsOfRequest(httpEntry(input));
}

export function connectionFacts(input: SentConnection): Facts {
  return factsOfConnection(tcpEntry(input));
}
