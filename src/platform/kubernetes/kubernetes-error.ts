import { GatewayError, type ErrorCode } from "../../model/index.ts";

const MOST_MESSAGE = 500;

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  401: "unauthenticated",
  403: "denied",
  404: "not_found",
  405: "unsupported",
  409: "conflict",
  410: "conflict",
  413: "too_large",
  415: "bad_request",
  422: "bad_request",
  429: "rate_limited",
};

export interface KubernetesFailure {
  /** What was asked for: method and path, without query. */
  readonly asked: string;
  /** HTTP status; 0: no answer came. */
  readonly status: number;
  /** `metav1.Status.reason`, such as Conflict, AlreadyExists, Expired; empty: none. */
  readonly reason: string;
  readonly message: string;
  readonly code?: ErrorCode;
  readonly retryAfterS?: number;
  /** The server has surely not done it. */
  readonly undone?: boolean;
  readonly cause?: unknown;
}

/** A call that failed. The message says what was asked for and what the server said of it; nothing that was sent is in it. */
export class KubernetesError extends GatewayError {
  readonly status: number;
  readonly reason: string;
  readonly undone: boolean;

  constructor(failure: KubernetesFailure) {
    const { asked, status, reason, message, cause, retryAfterS } = failure;
    const answer = [status === 0 ? "" : String(status), reason].filter((part) => part !== "").join(" ");
    super(
      failure.code ?? CODES[status] ?? "unavailable",
      `${asked}: ${[answer, message].filter((part) => part !== "").join(": ")}`.slice(0, MOST_MESSAGE),
      { ...(cause === undefined ? {} : { cause }), ...(retryAfterS === undefined ? {} : { retryAfterS }) },
    );
    this.status = status;
    this.reason = reason;
    this.undone = failure.undone ?? false;
  }

  /** What was asked to go on from is no longer known there: list anew. */
  get isExpired(): boolean {
    return this.status === 410;
  }
}

/** Whether a call failed with that `reason`. */
export function hasReason(error: unknown, reason: string): error is KubernetesError {
  return error instanceof KubernetesError && error.reason === reason;
}

/** Whether a call failed because a right is missing that would let it; others may refuse one object for what it is. */
export function isMissingRight(error: unknown): boolean {
  // As the authorizers of the API server say it; admission, quotas and namespaces that end refuse by 403 too, in other words.
  return error instanceof KubernetesError && error.status === 403 && / cannot \S+ resource /.test(error.message);
}

/** The error that a `metav1.Status` stands for, as an answer's body or in an event of a watch. */
export function statusError(asked: string, status: number, body: unknown, more: Partial<KubernetesFailure> = {}) {
  const said = (typeof body === "object" && body !== null ? body : {}) as Readonly<Record<string, unknown>>;
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return new KubernetesError({ asked, status, reason: text(said.reason), message: text(said.message), ...more });
}
