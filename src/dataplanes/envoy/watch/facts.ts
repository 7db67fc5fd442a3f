import type { RequestHead, TrafficKind } from "../../../model/index.ts";
import type { Source } from "../../figures.ts";
import { TYPE, type Common, type HttpEntry, type TcpEntry, type Time } from "./entry-messages.ts";
import { isGate, textOf } from "./log-address.ts";
import { TAGS } from "./loggers.ts";
import { codeOf, failureOf, isOfCheck } from "./verdict.ts";

/** What one entry of Envoy's access log says, in this gate's words. Times are epoch ms. */
export interface Facts {
  /** It has ended; else it is open and this is how far it is. */
  readonly over: boolean;
  /** Envoy's id of the request or connection; of a request also its `X-Request-Id`. */
  readonly id: string;
  /** As `TAGS` name them. */
  readonly tags: Readonly<Record<string, string>>;
  /** core.v3.Metadata: what all filters know of it. */
  readonly metadata: Uint8Array | null;
  readonly cluster: string;
  readonly kind: TrafficKind;
  readonly peer: string;
  /** null: it speaks no HTTP. */
  readonly asked: { readonly version: string; readonly head: RequestHead } | null;
  /** 0: there was no answer, or none yet. */
  readonly status: number;
  readonly source: Source;
  readonly code: string | null;
  readonly aborted: boolean;
  /** The gate was asked, and answered itself: it has told of it. */
  readonly told: boolean;
  /** The job's, where it was led to one; null: it was led nowhere, or to the gate. */
  readonly endpoint: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tries: number;
  readonly startedAt: number;
  /** 0: nothing came. */
  readonly firstByteAt: number;
  /** Of what is open, the last that is known. */
  readonly endedAt: number;
  /** What connecting to the endpoint took; null: it was connected already. */
  readonly connectMs: number | null;
}

const VERSIONS: readonly string[] = ["1.1", "1.0", "1.1", "2", "3"];
const NOTHING: Readonly<Record<string, string>> = Object.freeze({});

export function factsOfRequest(entry: HttpEntry): Facts {
  const { common = {}, request = {}, answer = {} } = entry;
  const peer = peerOf(common);
  const head = headOf(entry, peer);
  const status = answer.code?.value ?? 0;
  return {
    ...factsOf(common),
    ...{ over: common.type === TYPE.end, kind: kindOf(head.method, request.headers ?? NOTHING, status), peer, status },
    asked: { version: VERSIONS[entry.version ?? 0] ?? "1.1", head },
    ...codeOf(entry),
    told: isOfCheck(answer.details ?? ""),
    aborted: hasLeft(common),
    bytesIn: Number(request.bodyBytes ?? 0),
    bytesOut: Number(answer.bodyBytes ?? 0),
  };
}

function hasLeft({ flags = {} }: Common): boolean {
  return flags.downstreamConnectionTermination === true || flags.downstreamRemoteReset === true;
}

function headOf({ request = {} }: HttpEntry, peer: string): RequestHead {
  const { authority = "", path = "/", scheme, headers = NOTHING } = request;
  return {
    method: headers[":method"] ?? "GET",
    host: authority.toLowerCase(),
    ...{ path, peer, secure: scheme === "https" },
    header: (name) => headers[name],
    names: () => Object.keys(headers),
  };
}

export function factsOfConnection({ common = {}, connection = {} }: TcpEntry): Facts {
  const { received = 0, sent = 0 } = connection;
  const code = failureOf(common);
  return {
    ...factsOf(common),
    ...{ over: common.type === TYPE.tcpEnd, kind: common.cluster?.startsWith("sni/") === true ? "tls" : "tcp" },
    ...{ peer: peerOf(common), asked: null, status: 0, aborted: false, told: false },
    ...{ source: code === null ? "app" : "gate", code },
    ...{ bytesIn: Number(received), bytesOut: Number(sent) },
  };
}

function peerOf({ remote }: Common): string {
  return remote?.socketAddress?.address ?? "";
}

function factsOf(common: Common) {
  const { start, firstAnswerByte, firstByteSent, tags = NOTHING, upstream } = common;
  const startedAt = start === undefined ? 0 : msOf(start);
  const first = firstAnswerByte ?? firstByteSent;
  return {
    id: common.streamId ?? "",
    tags,
    metadata: common.metadata === undefined ? null : bytesOf(common.metadata),
    cluster: common.cluster ?? "",
    endpoint: isGate(upstream) ? null : textOf(upstream),
    tries: common.tries ?? 0,
    startedAt,
    firstByteAt: first === undefined ? 0 : startedAt + msOf(first),
    endedAt: endOf(common),
    connectMs: connectMsOf(tags[TAGS.connect]),
  };
}

/** As the embedded plane names it, by what is known of the request. */
export function kindOf(method: string, headers: Readonly<Record<string, string>>, status: number): TrafficKind {
  if (method === "CONNECT") return "forward";
  const { upgrade = "", "content-type": contentType = "" } = headers;
  if (upgrade !== "" && (status === 101 || status === 200 || status === 0)) return "websocket";
  return contentType.startsWith("application/grpc") ? "grpc" : "http";
}

/** Epoch ms at which it ended; of what is open, at which it began. */
export function endOf({ start, duration }: Common): number {
  return (start === undefined ? 0 : msOf(start)) + (duration === undefined ? 0 : msOf(duration));
}

function msOf({ seconds = 0, nanos = 0 }: Time): number {
  return seconds * 1000 + nanos / 1e6;
}

function bytesOf(bytes: Uint8Array | string): Uint8Array {
  return typeof bytes === "string" ? Buffer.from(bytes, "base64") : bytes;
}

/** `TOOK DONE`, in µs; of a connection that was there before, `TOOK -`. */
function connectMsOf(tag: string | undefined): number | null {
  if (tag === undefined) return null;
  const [took = "", done = ""] = tag.split(" ");
  return /^\d+$/.test(took) && /^\d+$/.test(done) ? Number(took) / 1000 : null;
}
