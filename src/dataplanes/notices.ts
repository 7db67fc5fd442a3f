import type { Decision, Match, Route } from "../model/index.ts";
import type { Notice } from "./pages.ts";

/** What the gate itself has to say, whatever the service. */
export const NOTICES = {
  misdirected: {
    status: 421,
    code: "misdirected",
    title: "Misdirected request",
    message: "Host and the service header name different services. Send one of them.",
  },
  other_certificate: {
    status: 421,
    code: "misdirected",
    title: "Misdirected request",
    message: "This connection was opened for a host with another certificate. Open one for the host that is asked for.",
  },
  not_found: { status: 404, code: "not_found", title: "Nothing is here", message: "The gate has no such page." },
  loop: {
    status: 502,
    code: "loop",
    title: "Going round in circles",
    message: "This request came back to the gate from the service that it was sent to.",
  },
  bad_answer: {
    status: 502,
    code: "bad_answer",
    title: "Unusable answer",
    message: "The service answered in a way that cannot be passed on.",
  },
  bad_request: {
    status: 400,
    code: "bad_request",
    title: "Bad request",
    message: "This request cannot be passed on to the service.",
  },
  grpc_only: {
    status: 501,
    code: "grpc_only",
    title: "A gRPC service",
    message: "This service speaks gRPC: use a gRPC client, which speaks HTTP/2.",
  },
  upgrade_grpc: {
    status: 501,
    code: "unsupported",
    title: "Not supported",
    message: "A gRPC service takes no protocol upgrades.",
  },
  not_heard: {
    status: 503,
    code: "gate_unreachable",
    title: "Not available just now",
    message: "The gate has just begun and does not know yet of everything that is here. Try again in a moment.",
    retryAfterSeconds: 2,
  },
  tls_needed: {
    status: 400,
    code: "tls_needed",
    title: "TLS needed",
    message: "This port speaks https only.",
  },
  came_plain: {
    status: 400,
    code: "tls_needed",
    title: "TLS needed",
    message: "This came to the front before the gate without TLS. Use https.",
  },
  no_tunnel: {
    status: 404,
    code: "unknown_host",
    title: "Nothing is here",
    message: "CONNECT leads to services by their host, nowhere else.",
  },
  tunnel_refused: {
    status: 403,
    code: "forward_refused",
    title: "Not allowed",
    message: "No tunnel leads to this service.",
  },
  internal: {
    status: 500,
    code: "internal",
    title: "Something went wrong",
    message: "The gate failed; its log says why.",
  },
} as const satisfies Record<string, Notice>;

/** What is wrong with the request itself. */
export function refusal(status: keyof typeof REFUSALS, message: string): Notice {
  return { ...REFUSALS[status], status, message };
}

const REFUSALS = {
  400: { code: "bad_request", title: "Bad request" },
  408: { code: "request_timeout", title: "Too slow" },
  413: { code: "body_too_large", title: "Body too large" },
  414: { code: "target_too_long", title: "Address too long" },
  431: { code: "header_too_large", title: "Header too large" },
  501: { code: "unsupported", title: "Not supported" },
  505: { code: "bad_version", title: "Unknown version" },
} as const;

/** A denial as a notice. */
export function denial(decision: Extract<Decision, { kind: "deny" }>): Notice {
  const { status, code, reason, challenge, retryAfterS } = decision;
  return {
    ...{ status, code, title: DENIED[status], message: reason },
    ...(challenge === undefined ? {} : { challenge }),
    ...(retryAfterS === undefined ? {} : { retryAfterSeconds: retryAfterS }),
  };
}

const DENIED = {
  400: "Bad request",
  401: "Login needed",
  403: "Not allowed",
  404: "Nothing is here",
  421: "Misdirected request",
  429: "Too many failed logins",
  503: "Not available just now",
} as const;

/** What no plane can carry to a service, and says so; null: it can. `version`: of the visitor's HTTP. */
export function unableNotice(
  { match, protocol }: Pick<Route, "match" | "protocol">,
  { upgrades, version }: { readonly upgrades: boolean; readonly version: "1.0" | "1.1" | "2" | "3" },
): Notice | null {
  if (protocol === "tcp" || protocol === "tls") return rawNotice(match, protocol);
  if (protocol === "grpc" && upgrades) return NOTICES.upgrade_grpc;
  return protocol === "grpc" && version !== "2" && version !== "3" ? NOTICES.grpc_only : null;
}

/** What a service that does not speak HTTP says to who does. */
export function rawNotice(match: Match, protocol: "tcp" | "tls"): Notice {
  const name = match.by === "host" ? (match.host.split(".")[0] ?? match.host) : "NAME";
  if (protocol === "tls") {
    const message = "This service speaks TLS of its own: connect to its server name with a TLS client.";
    return { status: 501, code: "tls_only", title: "A TLS service", message };
  }
  const message = `This service does not speak HTTP. Run \`taskgate forward ${name}\` and connect to the port that it prints.`;
  return { status: 501, code: "tcp_only", title: "A TCP service", message };
}
