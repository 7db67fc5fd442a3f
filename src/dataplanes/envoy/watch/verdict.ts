import type { DIAL_SLOTS, Source } from "../../figures.ts";
import { ERROR_HEADER } from "../../pages.ts";
import type { Common, Flags, HttpEntry } from "./entry-messages.ts";
import { isGate } from "./log-address.ts";
import { TAGS } from "./loggers.ts";

/** How connecting to an endpoint failed. */
export type DialFailure = keyof typeof DIAL_SLOTS;

/** By what went wrong, the codes of docs/errors.md; the first that holds. */
const BY_FLAG: readonly (readonly [flag: keyof Flags, code: string])[] = [
  ["noClusterFound", "unknown_host"],
  ["noRouteFound", "unknown_host"],
  ["upstreamConnectionFailure", "unreachable"],
  ["noHealthyUpstream", "unreachable"],
  ["upstreamOverflow", "overloaded"],
  ["overloadManager", "overloaded"],
  ["upstreamRequestTimeout", "timeout"],
  ["upstreamMaxStreamDurationReached", "timeout"],
  ["upstreamProtocolError", "bad_answer"],
  ["upstreamConnectionTermination", "bad_answer"],
  ["upstreamRemoteReset", "bad_answer"],
];

/** Where no flag says more. */
const BY_STATUS: Readonly<Record<number, string>> = Object.freeze({
  400: "bad_request",
  404: "unknown_host",
  408: "request_timeout",
  413: "body_too_large",
  414: "target_too_long",
  426: "bad_version",
  429: "rate_limited",
  431: "header_too_large",
  502: "unreachable",
  503: "overloaded",
  504: "timeout",
  505: "bad_version",
});

/** Whose answer it was, and of the gate's own why. Envoy's own answers are the gate's. */
export function codeOf(entry: HttpEntry): { source: Source; code: string | null } {
  const { common = {}, answer = {} } = entry;
  const { details = "", code, headers } = answer;
  const status = code?.value ?? 0;
  if (isGate(common.upstream)) return { source: "gate", code: headers?.[ERROR_HEADER] ?? null };
  if (isOpenedTunnel(entry)) return { source: "gate", code: null };
  if (isJobs(details) || status === 0) return { source: "app", code: null };
  return { source: "gate", code: ownCode(status, details, common) };
}

function ownCode(status: number, details: string, { tags = {}, flags = {} }: Common): string | null {
  const told = tags[TAGS.why];
  if (told !== undefined) return told;
  if (status < 400) return null;
  if (isOfCheck(details)) return BY_CHECK[status] ?? "unavailable";
  return BY_FLAG.find(([flag]) => flags[flag] === true)?.[1] ?? BY_STATUS[status] ?? "internal";
}

const BY_CHECK: Readonly<Record<number, string>> = Object.freeze({ 401: "unauthenticated", 403: "denied" });

/** Answered by the gate when it was asked about the request. What came of that it has told itself. */
export function isOfCheck(details: string): boolean {
  return details.startsWith("ext_authz");
}

/** The gate opens tunnels: a job behind one knows nothing of HTTP. */
function isOpenedTunnel({ request, answer }: HttpEntry): boolean {
  return request?.headers?.[":method"] === "CONNECT" && answer?.code?.value === 200;
}

/** The head of the answer was the job's, whatever became of the rest. */
function isJobs(details: string): boolean {
  return (
    details === "via_upstream" ||
    details.startsWith("upstream_reset_after_response_started") ||
    details.startsWith("downstream_")
  );
}

/** How a connection that speaks no HTTP came to nothing; null: it did not. */
export function failureOf({ flags = {}, transportFailure = "" }: Common): DialFailure | "no_endpoint" | null {
  if (flags.upstreamConnectionFailure === true) return dialFailure(transportFailure);
  return flags.noHealthyUpstream === true ? "no_endpoint" : null;
}

/** By what Envoy says of it. */
export function dialFailure(reason: string): DialFailure {
  if (/tls|certificate|ssl/i.test(reason)) return "tls_failed";
  return /time/i.test(reason) ? "connect_timeout" : "connect_failed";
}
