import type { sendUnaryData, ServerReadableStream } from "@grpc/grpc-js";
import type { Route } from "../../../model/index.ts";
import { peerOf } from "../grpc-server.ts";
import { LOCAL_FLEET } from "../names.ts";
import { grpcMethod } from "../proto/grpc-method.ts";
import type { Book } from "./book.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import { type Common, type HttpEntry, LogAnswer, LogMessage, type TcpEntry } from "./entry-messages.ts";
import { endOf, type Facts, factsOfConnection, factsOfRequest } from "./facts.ts";
import { isGate, textOf } from "./log-address.ts";
import { LOGS } from "./loggers.ts";
import type { Tally } from "./tally.ts";
import { dialFailure } from "./verdict.ts";

export interface LogServiceDeps {
  readonly book: Book;
  readonly health: EndpointHealth;
  readonly tally: Tally;
  readonly routeOf: (cluster: string) => Route | undefined;
}

/** What entries of one Envoy are read into. */
interface Reader extends LogServiceDeps {
  /** Which of its logs it is. */
  readonly log: string;
  readonly envoy: string;
}

type Call = ServerReadableStream<LogMessage, Record<string, never>>;

/**
 * envoy.service.accesslog.v3.AccessLogService: entries of all Envoys, in batches. Nobody waits for it: what Envoy cannot send it drops, and
 * counts by itself.
 */
export function logService(deps: LogServiceDeps) {
  const path = { service: "envoy.service.accesslog.v3.AccessLogService", name: "StreamAccessLogs" };
  const definition = { log: grpcMethod(path, { request: LogMessage, response: LogAnswer }, { request: true }) };
  const log = (call: Call, answer: sendUnaryData<Record<string, never>>) => {
    let reader: Reader = { ...deps, log: "", envoy: LOCAL_FLEET };
    call.on("data", (message: LogMessage) => {
      if (message.identifier !== undefined) reader = { ...reader, ...writerOf(call, message) };
      for (const entry of message.http?.entries ?? []) readRequest(reader, entry);
      for (const entry of message.tcp?.entries ?? []) readConnection(reader, entry);
    });
    call.on("end", () => answer(null, {}));
    call.on("error", () => undefined); // an Envoy that is gone says it so
  };
  return { definition, implementation: { log } };
}

/** One that takes over from another on this machine is asked at the same socket, and is the same. */
function writerOf(call: Call, { identifier = {} }: LogMessage): Pick<Reader, "log" | "envoy"> {
  const { logName: log = "", node = {} } = identifier;
  return { log, envoy: peerOf(call).kind === "unix" ? LOCAL_FLEET : (node.id ?? "") };
}

function readRequest(deps: Reader, entry: HttpEntry): void {
  if (deps.log === LOGS.tries) {
    readFailedTry(deps, entry.common ?? {});
    return;
  }
  const facts = factsOfRequest(entry);
  deps.book.seen(facts);
  if (facts.source === "app" && facts.status > 0) noteAnswer(deps, facts);
}

function readConnection(deps: Reader, entry: TcpEntry): void {
  const { common = {} } = entry;
  const facts = factsOfConnection(entry);
  deps.book.seen(facts);
  if (common.flags?.upstreamConnectionFailure === true) readFailedTry(deps, common);
  else noteAnswer(deps, facts);
}

function noteAnswer({ envoy, health, routeOf }: Reader, { cluster, endpoint, endedAt }: Facts): void {
  const route = endpoint === null ? undefined : routeOf(cluster);
  if (route === undefined || endpoint === null) return;
  health.answered({ envoy, upstream: route.upstream, address: endpoint }, endedAt);
}

/** One try at an endpoint, whether or not another one followed. */
function readFailedTry({ envoy, health, tally, routeOf }: Reader, common: Common): void {
  const { cluster = "", upstream, flags = {}, transportFailure = "" } = common;
  const address = textOf(upstream);
  const route = routeOf(cluster);
  if (route === undefined || address === null || isGate(upstream)) return;
  health.failed({ envoy, upstream: route.upstream, address }, endOf(common));
  if (flags.upstreamConnectionFailure === true) tally.dialFailed(route.service, dialFailure(transportFailure));
}
