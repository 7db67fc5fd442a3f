import type { Target } from "./target.ts";
import { HTTP2 } from "../../platform/node-http2.ts";

/** An empty HealthCheckRequest (the whole server), in gRPC's frame: no compression, length 0. */
const REQUEST = Buffer.alloc(5);
/** HealthCheckResponse { status: SERVING }: field 1, varint 1. */
const SERVING = Buffer.from([0x08, 0x01]);
const FRAME_BYTES = 5;
const LONGEST_ANSWER_BYTES = 1024;

/** Asks grpc.health.v1.Health/Check (https://github.com/grpc/grpc/blob/master/doc/health-checking.md): true only for SERVING. */
export async function grpcHealth(target: Target, signal: AbortSignal): Promise<boolean> {
  const lease = await target.sessions.acquire();
  if (typeof lease === "string") return false;
  try {
    if (signal.aborted || lease.session.destroyed) return false;
    return await ask(lease.session, target.key, signal);
  } finally {
    lease.release(false);
  }
}

type Lease = Exclude<Awaited<ReturnType<Target["sessions"]["acquire"]>>, string>;

function ask(session: Lease["session"], authority: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let answer = Buffer.alloc(0);
    const giveUp = () => stream.close(HTTP2.NGHTTP2_CANCEL);
    signal.addEventListener("abort", giveUp, { once: true });
    stream.on("data", (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length > LONGEST_ANSWER_BYTES) giveUp();
    });
    stream.on("error", () => undefined); // `close` follows
    stream.once("close", () => {
      signal.removeEventListener("abort", giveUp);
      resolve(answer.subarray(FRAME_BYTES, FRAME_BYTES + SERVING.length).equals(SERVING));
    });
    stream.end(REQUEST);
  });
}
