import type { Failure } from "./forward.ts";

/** What is known of a try that brought the visitor nothing. */
export interface FailedTry {
  readonly failure: Failure;
  /** Bytes of the request were given to the endpoint's connection. */
  readonly sent: boolean;
  /** The endpoint itself says that it did not look at the request: REFUSED_STREAM, or a GOAWAY below the stream (RFC 9113 §8.7). */
  readonly unprocessed: boolean;
  /** The connection had carried an earlier request. */
  readonly reused: boolean;
  /** Something came back, be it an interim answer. */
  readonly answering: boolean;
  readonly method: string;
  /** Some of the request's body was read and is no longer there to be sent again. */
  readonly bodyTaken: boolean;
}

/** `other`: at another endpoint. `same`: once more at this one, on a fresh connection. `no`: the visitor is told. */
export type Again = "other" | "same" | "no";

/** Repeating them changes nothing (RFC 9110 §9.2.2). CONNECT and unknown ones may do anything. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Nothing of the request can have got there. */
const UNREACHED: ReadonlySet<string> = new Set(["connect_failed", "connect_timeout", "tls_failed"]);

/**
 * Whether a failed try is made again. Only where nothing can have happened twice: the endpoint was never reached, or says that it did not
 * look at the request; or a kept connection died under it, which says nothing of the endpoint, and nothing was sent yet or the method is
 * idempotent. Never once a part of the body is gone, or any of an answer came.
 */
export function decideRetry(tried: FailedTry): Again {
  const { failure, sent, unprocessed, reused, answering, method, bodyTaken } = tried;
  if (answering || bodyTaken) return "no";
  if (UNREACHED.has(failure)) return "other";
  if (unprocessed) return "same";
  if (failure !== "reset") return "no"; // silence, an unusable answer, a request that cannot be sent: asking again would not help
  if (!sent) return reused ? "same" : "other";
  return reused && IDEMPOTENT.has(method) ? "same" : "no";
}
