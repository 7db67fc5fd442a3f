import type { Target } from "../target.ts";
import type { ClientSession } from "./client-session.ts";
import { CODE } from "./frames.ts";
import type { Piece } from "./frame-reader.ts";
import type { Http2Stream, StreamUser } from "./stream.ts";

/** An empty HealthCheckRequest (the whole server), in gRPC's frame: no compression, length 0. */
const REQUEST = Buffer.alloc(5);
/** HealthCheckResponse { status: SERVING }: field 1, varint 1. */
const SERVING = Buffer.from([0x08, 0x01]);
const FRAME_BYTES = 5;
const LONGEST_ANSWER_BYTES = 1024;

/** Asks grpc.health.v1.Health/Check (https://github.com/grpc/grpc/blob/master/doc/health-checking.md): true only for SERVING. */
export async function grpcHealth(target: Target, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const session = target.sessions.ready();
    if (session !== null) return new Check(session, target.key).answer(signal);
    if ((await target.sessions.room()) !== null) return false;
  }
  return false;
}

class Check implements StreamUser {
  readonly #stream: Http2Stream;
  readonly #over = Promise.withResolvers<boolean>();
  #answer = Buffer.alloc(0);

  constructor(session: ClientSession, authority: string) {
    const head = [
      ...[":method", "POST", ":scheme", "http", ":path", "/grpc.health.v1.Health/Check", ":authority", authority],
      ...["content-type", "application/grpc", "te", "trailers"],
    ];
    this.#stream = session.request(this, head, { last: false, idleMs: Infinity });
    this.#stream.write({ bytes: REQUEST, at: 0, end: REQUEST.length }, true);
  }

  answer(signal: AbortSignal): Promise<boolean> {
    const giveUp = () => this.#stream.reset(CODE.cancel);
    signal.addEventListener("abort", giveUp, { once: true });
    return this.#over.promise.finally(() => signal.removeEventListener("abort", giveUp));
  }

  section(): void {
    // Whatever it says: only the message counts.
  }

  data({ bytes, at, end }: Piece): void {
    this.#answer = Buffer.concat([this.#answer, bytes.subarray(at, end)]);
    this.#stream.consumed(end - at);
    if (this.#answer.length > LONGEST_ANSWER_BYTES) this.#stream.reset(CODE.cancel);
  }

  sent(): void {
    // Nothing waits for it.
  }

  silent(): void {
    // Its own deadline comes first.
  }

  closed(): void {
    this.#over.resolve(this.#answer.subarray(FRAME_BYTES, FRAME_BYTES + SERVING.length).equals(SERVING));
  }
}
