import { h2load } from "./loads/h2load.ts";
import { cpuOf } from "./machine.ts";
import { compare, type Figure } from "./peers/compare.ts";
import type { Running } from "./peers/peer.ts";
import type { Suite } from "./suite.ts";

const HEADERS = [
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ["user-agent", "grpc-go/1.80.0"],
  ["grpc-timeout", "60S"],
] as const;
const MESSAGES = 200;
const MESSAGE_BYTES = 64;
const [UNARY, STREAM] = ["/grpc.testing.TestService/EmptyCall", "/grpc.testing.TestService/StreamingOutputCall"];

/** Calls without content, and calls answered by a stream of messages, to gRPC's interop server in Go. */
export const benchGrpc: Suite = (say, options) =>
  compare(say, options, {
    ...{ suite: "grpc", kinds: ["grpc"], rounds: 5, seconds: 2 },
    measure: async (running, _peer, seconds) => [
      ...(await calls(running, seconds, { path: UNARY, body: frame(Buffer.alloc(0)), streams: 16, messages: null })),
      ...(await calls(running, seconds, { path: STREAM, body: streamRequest(), streams: 4, messages: MESSAGES })),
    ],
  });

interface Call {
  readonly path: string;
  readonly body: Buffer;
  readonly streams: number;
  /** Of one answer; null: calls are counted. */
  readonly messages: number | null;
}

async function calls(running: Running, seconds: number, call: Call): Promise<readonly Figure[]> {
  const { path, body, streams, messages } = call;
  const target = { port: running.ports.grpc, authority: running.authority("grpc"), headers: HEADERS, path };
  const load = { ...target, protocol: "h2c" as const, connections: 8, streams, body, seconds };
  const { done, cpu } = await cpuOf(running.pid, () => h2load(load));
  const count = done.requests * (messages ?? 1);
  const what = messages === null ? "calls" : "messages";
  return [
    { of: messages === null ? "" : "streaming", value: count / done.seconds, unit: `${what}/s` },
    {
      of: messages === null ? "per CPU second" : "streaming, per CPU second",
      value: count / cpu,
      unit: `${what}/CPU-s`,
    },
  ];
}

/** StreamingOutputCallRequest (grpc/testing/messages.proto): field 2 once per message of the answer, in it field 1, the message's size. */
function streamRequest(): Buffer {
  return frame(Buffer.from(Array.from({ length: MESSAGES }, () => [0x12, 2, 0x08, MESSAGE_BYTES]).flat()));
}

/** Length-prefixed message: not compressed, four bytes of length. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
