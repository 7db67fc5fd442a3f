import { INTERIM_MAX, type Fields } from "../exchange.ts";
import { ANSWERED, failed, type Call, type Failure, type Outcome } from "../forward.ts";
import { requestTrailers } from "../request-fields.ts";
import { responseTrailers } from "../response-fields.ts";
import type { Target } from "../target.ts";
import type { ClientSession } from "./client-session.ts";
import type { Piece } from "./frame-reader.ts";
import { CODE } from "./frames.ts";
import { DEADLINE_EXCEEDED, readDeadline } from "./grpc-deadline.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { Http2Exchange, type PieceTaker } from "./http2-exchange.ts";
import { readAnswer } from "./read-answer.ts";
import { readTrailers } from "./read-trailers.ts";
import { requestToJob } from "./request-to-job.ts";
import type { Http2Stream, StreamUser } from "./stream.ts";

/** Carries a call to a job that speaks HTTP/2 in the clear (gRPC), as one stream of a shared session. */
export async function forwardHttp2(call: Call, target: Target): Promise<Outcome> {
  if (target.forbidden !== null) return failed("connect_failed");
  const { exchange } = call;
  if (!(exchange instanceof Http2Exchange)) return failed("bad_request");
  for (;;) {
    if (exchange.left) return failed("reset");
    const session = target.sessions.ready();
    if (session !== null)
      return new Promise((resolve) => new Attempt({ call, exchange, target, resolve }).start(session));
    const failure = await target.sessions.room();
    if (failure !== null) return failed(failure, "other");
  }
}

interface AttemptInput {
  readonly call: Call;
  readonly exchange: Http2Exchange;
  readonly target: Target;
  readonly resolve: (outcome: Outcome) => void;
}

/** One try at one endpoint: sent → answered or failed. */
class Attempt implements StreamUser, PieceTaker {
  readonly #input: AttemptInput;
  #stream: Http2Stream | null = null;
  #answered = false;
  #ended = false;
  #interim = 0;
  #failure: Failure = "reset";
  #deadline: Disposable | null = null;

  constructor(input: AttemptInput) {
    this.#input = input;
  }

  start(session: ClientSession): void {
    const { call, exchange, target, resolve } = this.#input;
    const head = requestToJob(call, exchange, target);
    if (head === null) return resolve(failed("bad_request"));
    target.active += 1;
    const whole = exchange.framing.kind === "none";
    this.#stream = session.request(this, head, { last: whole, idleMs: call.idleMs });
    const deadline = readDeadline(exchange.head.header("grpc-timeout"));
    if (deadline !== null) this.#deadline = call.context.clock.after(deadline, () => this.#late());
    exchange.watchPieces(this);
    if (!whole) exchange.startBody();
  }

  // The visitor's side.

  piece(piece: Piece, last: boolean): void {
    const { call, exchange } = this.#input;
    call.flow.bytesIn += piece.end - piece.at;
    const went = this.#stream?.write(piece, last) ?? piece.end - piece.at;
    exchange.consumed(went);
  }

  trailers(fields: Fields): void {
    const { call } = this.#input;
    const kept = requestTrailers(fields, call.exchange, call.allowed);
    this.#stream?.end(kept);
  }

  /** What had to wait for the visitor is on its way. */
  answerSent(bytes: number): void {
    this.#stream?.consumed(bytes);
  }

  left(): void {
    this.#stream?.reset(CODE.cancel);
  }

  // The job's side.

  section(block: FieldBlock, last: boolean): void {
    if (this.#ended) return;
    if (this.#answered) return this.#trailersCame(block, last);
    const { call, exchange, target, resolve } = this.#input;
    const answer = readAnswer(block);
    if (answer === null) return this.#giveUp("bad_answer");
    const { status, fields, length } = answer;
    if (status < 200) return this.#inform(status, fields, last);
    if (length !== null && exchange.head.method !== "HEAD" && !this.#expects(length, status, last)) {
      return this.#giveUp("bad_answer");
    }
    if (!exchange.answerWith(call, target, { status, fields, last })) return this.#giveUp("bad_answer");
    call.flow.answered(status);
    this.#answered = true;
    this.#ended = last;
    resolve(ANSWERED);
  }

  data(piece: Piece, last: boolean): void {
    const { call, exchange } = this.#input;
    const length = piece.end - piece.at;
    if (!this.#answered) return this.#giveUp("bad_answer");
    call.flow.bytesOut += length;
    if (last) this.#ended = true;
    this.#stream?.consumed(exchange.writePiece(piece, last));
  }

  /** What had to wait for the job is on its way. */
  sent(bytes: number): void {
    this.#input.exchange.consumed(bytes);
  }

  closed(code: number): void {
    const { exchange, target, resolve } = this.#input;
    target.active -= 1;
    this.#deadline?.[Symbol.dispose]();
    exchange.unwatch();
    if (!this.#answered) {
      // The job never looked at it (RFC 9113 §8.7): here, or by the visitor, it can be sent again.
      const refused = code === CODE.refused && this.#failure === "reset";
      const again = exchange.framing.kind === "none" ? "same" : "no";
      return resolve(refused ? failed("refused", again) : failed(this.#failure));
    }
    if (!this.#ended) exchange.abort(code === CODE.none ? CODE.internal : code);
  }

  silent(): void {
    this.#giveUp("idle_timeout");
  }

  /** false: so long an answer does not come any more. */
  #expects(length: number, status: number, last: boolean): boolean {
    if (status === 304) return true; // the length of what is not sent again
    if (last) return length === 0;
    if (this.#stream !== null) this.#stream.expected = length;
    return true;
  }

  #inform(status: number, fields: Fields, last: boolean): void {
    const { exchange } = this.#input;
    this.#interim += 1;
    if (last || this.#interim > INTERIM_MAX) this.#giveUp("bad_answer");
    else if (status === 100) exchange.proceed();
    else exchange.inform(status, fields);
  }

  #trailersCame(block: FieldBlock, last: boolean): void {
    const trailers = readTrailers(block, last);
    if (trailers === null) return this.#giveUp("bad_answer");
    this.#ended = true;
    this.#input.exchange.end(responseTrailers(trailers));
  }

  /** Its visitor waits no longer, and a job that does not look at deadlines need not go on. */
  #late(): void {
    const { call, exchange, resolve } = this.#input;
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#answered) {
      this.#answered = true;
      call.flow.refused(504, "timeout");
      const fields = ["content-type", "application/grpc", ...DEADLINE_EXCEEDED];
      exchange.begin({ status: 200, message: "", fields, only: true });
      resolve(ANSWERED);
    } else exchange.end(DEADLINE_EXCEEDED);
    this.#stream?.reset(CODE.cancel);
  }

  #giveUp(failure: Failure): void {
    this.#failure = failure;
    this.#stream?.reset(CODE.cancel);
  }
}
