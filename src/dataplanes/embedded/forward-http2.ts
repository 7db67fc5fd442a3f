import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { Fields } from "./exchange.ts";
import {
  ANSWERED,
  beginAnswer,
  failed,
  upstreamHead,
  upstreamPath,
  type Call,
  type Failure,
  type Outcome,
} from "./forward.ts";
import { lowerNames, toObject } from "./http2-exchange.ts";
import { requestTrailers } from "./request-fields.ts";
import { responseTrailers } from "./response-fields.ts";
import { DEADLINE_EXCEEDED, readDeadline } from "./grpc-deadline.ts";
import type { Target } from "./target.ts";
import { HTTP2 } from "../../platform/node-http2.ts";

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } =
  HTTP2;

/** Carries a call to a job that speaks HTTP/2 in the clear (gRPC), as one stream of a shared session. */
export async function forwardHttp2(call: Call, target: Target): Promise<Outcome> {
  if (target.forbidden !== null) return failed("connect_failed");
  const lease = await target.sessions.acquire();
  if (typeof lease === "string") return failed(lease, "other");
  const stream = call.exchange.gone.aborted ? "reset" : openStream(lease.session, call, target);
  if (typeof stream === "string") {
    lease.release(false);
    return failed(stream, stream === "reset" ? "same" : "no");
  }
  target.active += 1;
  stream.once("close", () => {
    target.active -= 1;
    lease.release(stream.rstCode !== NGHTTP2_NO_ERROR);
  });
  return new Promise((resolve) => new Attempt({ call, target, stream, resolve }).start());
}

/** "reset": the session said goodbye between being picked and being used, and nothing was sent. */
function openStream(session: ClientHttp2Session, call: Call, target: Target): ClientHttp2Stream | Failure {
  const { exchange } = call;
  const { fields, host } = upstreamHead(call, target);
  const length = exchange.framing.kind === "length" ? ["content-length", exchange.framing.length] : [];
  const pseudo = [":method", exchange.head.method, ":scheme", "http", ":authority", host, ":path", upstreamPath(call)];
  const endStream = exchange.framing.kind === "none";
  try {
    return session.request([...pseudo, ...lowerNames(fields), ...length], { endStream, waitForTrailers: !endStream });
  } catch {
    return session.destroyed || session.closed ? "reset" : "bad_request";
  }
}

interface AttemptInput {
  readonly call: Call;
  readonly target: Target;
  readonly stream: ClientHttp2Stream;
  readonly resolve: (outcome: Outcome) => void;
}

/** One try at one endpoint: sent → answered or failed. */
class Attempt {
  readonly #input: AttemptInput;
  #answered = false;
  #ended = false;
  #trailers: Fields = [];
  #failure: Failure = "reset";
  #deadline: Disposable | null = null;

  constructor(input: AttemptInput) {
    this.#input = input;
  }

  start(): void {
    const { call, stream } = this.#input;
    const { exchange } = call;
    const gone = () => stream.close(NGHTTP2_CANCEL);
    exchange.gone.addEventListener("abort", gone, { once: true });
    const deadline = readDeadline(exchange.head.header("grpc-timeout"));
    if (deadline !== null) this.#deadline = call.context.clock.after(deadline, () => this.#late());
    stream.setTimeout(call.idleMs, () => this.#giveUp("idle_timeout"));
    stream.on("error", () => undefined); // `close` follows and tells whole from broken
    stream.on("continue", () => exchange.proceed());
    stream.on("headers", (headers, _flags, raw: string[]) => exchange.inform(Number(headers[":status"]), raw));
    stream.on("trailers", (_headers, _flags, raw: string[]) => (this.#trailers = raw));
    stream.on("response", (headers, flags, raw: string[]) => this.#answer(Number(headers[":status"]), flags, raw));
    stream.once("close", () => {
      exchange.gone.removeEventListener("abort", gone);
      this.#deadline?.[Symbol.dispose]();
      this.#close();
    });
    this.#send();
    if (exchange.gone.aborted) gone();
  }

  #send(): void {
    const { call, stream } = this.#input;
    const { exchange, flow } = call;
    if (exchange.framing.kind === "none") return;
    stream.on("wantTrailers", () => this.#sendTrailers());
    exchange.body.on("data", (chunk: Buffer) => (flow.bytesIn += chunk.length));
    exchange.body.pipe(stream);
  }

  #sendTrailers(): void {
    const { call, stream } = this.#input;
    try {
      stream.sendTrailers(toObject(requestTrailers(call.exchange.trailers(), call.exchange, call.allowed)));
    } catch {
      stream.close(NGHTTP2_INTERNAL_ERROR); // trailers that HTTP/2 forbids: without them the request would seem whole
    }
  }

  #answer(status: number, flags: number, raw: Fields): void {
    const { call, target, stream, resolve } = this.#input;
    const { exchange, flow } = call;
    if (this.#answered) return;
    const only = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    let out;
    try {
      out = beginAnswer(call, target, { status, message: "", fields: raw, trailers: !only, only });
    } catch {
      return this.#giveUp("bad_answer");
    }
    this.#answered = true;
    resolve(ANSWERED);
    stream.on("data", (chunk: Buffer) => (flow.bytesOut += chunk.length));
    stream.once("end", () => {
      if (this.#ended || stream.rstCode !== NGHTTP2_NO_ERROR) return;
      this.#ended = true;
      exchange.finish(responseTrailers(this.#trailers));
    });
    stream.pipe(out, { end: false });
  }

  /** Its visitor waits no longer, and a job that does not look at deadlines need not go on. */
  #late(): void {
    const { call, stream, resolve } = this.#input;
    const { exchange, flow } = call;
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#answered) {
      this.#answered = true;
      flow.refused(504, "timeout");
      const fields = ["content-type", "application/grpc", ...DEADLINE_EXCEEDED];
      exchange.begin({ status: 200, message: "", fields, only: true });
      exchange.finish([]);
      resolve(ANSWERED);
    } else exchange.finish(DEADLINE_EXCEEDED);
    stream.close(NGHTTP2_CANCEL);
  }

  #giveUp(failure: Failure): void {
    this.#failure = failure;
    this.#input.stream.close(NGHTTP2_CANCEL);
  }

  #close(): void {
    const { call, stream, resolve } = this.#input;
    const { exchange } = call;
    exchange.body.unpipe(stream);
    if (!this.#answered) {
      // The job never looked at it (RFC 9113 §8.7): here, or by the visitor, it can be sent again.
      const refused = stream.rstCode === NGHTTP2_REFUSED_STREAM && this.#failure === "reset";
      const again = exchange.framing.kind === "none" ? "same" : "no";
      return resolve(refused ? failed("refused", again) : failed(this.#failure));
    }
    if (!this.#ended) exchange.abort(stream.rstCode === NGHTTP2_NO_ERROR ? NGHTTP2_INTERNAL_ERROR : stream.rstCode);
    else exchange.discard();
  }
}
