/** This gate in Proxy-Status. */
const NAME = "taskgate";

/** Error types of RFC 9209 §2.3 by the gate's own codes, where status alone does not tell. */
const TYPES: Readonly<Record<string, string>> = Object.freeze({
  unknown_host: "destination_not_found",
  not_found: "destination_not_found",
  starting: "destination_unavailable",
  stopped: "destination_unavailable",
  crashed: "destination_unavailable",
  unreachable: "connection_refused",
  timeout: "http_response_timeout",
  bad_answer: "http_protocol_error",
  loop: "proxy_loop_detected",
  unauthenticated: "http_request_denied",
  denied: "http_request_denied",
  cross_origin: "http_request_denied",
  forward_refused: "http_request_denied",
  rate_limited: "http_request_denied",
  overloaded: "http_request_denied",
});

/** Proxy-Status of an answer that is the gate's own (RFC 9209 §2.1): the type of error is the RFC's, the code ours. */
export function proxyStatus({ status, code }: { readonly status: number; readonly code: string }): string {
  const type = TYPES[code] ?? (status < 500 ? "http_request_error" : "proxy_internal_error");
  return `${NAME}; error=${type}; details="${code.replace(/[^a-z0-9_]/g, "_")}"`;
}

/** Whether a job's Proxy-Status says something in this gate's name. Then nothing in it can be trusted to be from where it says. */
export function speaksForGate(value: string): boolean {
  return value.toLowerCase().includes(NAME);
}
