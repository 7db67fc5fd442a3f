/** Every way an operation can fail, with its HTTP status. Codes are never reused; docs/errors.md lists them, and a test compares. */
const HTTP_STATUS = {
  bad_request: 400,
  unauthenticated: 401,
  denied: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  rate_limited: 429,
  unsupported: 501,
  unavailable: 503,
  internal: 500,
} as const;

export type ErrorCode = keyof typeof HTTP_STATUS;

export const ERROR_CODES = Object.freeze(Object.keys(HTTP_STATUS)) as readonly ErrorCode[];

/** A failed operation. `message` may reach a caller; `cause` is for logs only. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: ErrorCode;
  /** When another try makes sense, in whole seconds from now, where that is known. */
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly retryAfterS?: number }) {
    super(message, options);
    this.code = code;
    this.retryAfterS = options?.retryAfterS;
  }

  get httpStatus(): number {
    return HTTP_STATUS[this.code];
  }
}

/** Whether `error` is a GatewayError of that code. */
export function isCode(error: unknown, code: ErrorCode): error is GatewayError {
  return error instanceof GatewayError && error.code === code;
}
