import type { Fields } from "../exchange.ts";
import type { Call } from "../forward.ts";
import type { Target } from "../target.ts";
import type { ResponseFraming, ResponseHeadRead } from "./read-head.ts";

/** Who carries a request to a job, told of what its visitor does. */
export interface VisitorEvents {
  /** Bytes of the request's body. false: no more before `resumeBody`. */
  body(chunk: Buffer): boolean;
  bodyEnded(trailers: Fields): void;
  /** There is room for more of the answer, after `write` gave false. */
  roomAgain(): void;
  /** The visitor left before its answer was whole. */
  left(): void;
}

/** The visitor's side of one exchange, as an HTTP/1.1 job's answer is passed on to it. */
export interface Visitor {
  /** From now on, until `unwatch`. */
  watch(events: VisitorEvents): void;
  unwatch(): void;
  /** Starts to give the body. Only while watched. */
  startBody(): void;
  resumeBody(): void;
  /** Some of the body was given already. */
  readonly bodyTaken: boolean;
  /** Sends the head of the answer. false: it cannot be said to this visitor, and nothing was. */
  answer(
    call: Call,
    target: Target,
    answer: { readonly head: ResponseHeadRead; readonly framing: ResponseFraming },
  ): boolean;
  /** false: no more before `roomAgain`. */
  write(chunk: Buffer): boolean;
  /** Sends what was held back to go out with what follows. */
  flush(): void;
  end(trailers: Fields): void;
}
