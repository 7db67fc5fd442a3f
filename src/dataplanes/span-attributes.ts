import { type LoggedFlow, pathOf, protocolOf } from "./describe-flow.ts";

/** What semantic conventions for HTTP take as a method; others are `_OTHER`, so that nobody makes up names without end. */
const METHODS = new Set(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"]);

function methodOf({ asked }: LoggedFlow): string {
  const method = asked?.head.method ?? "";
  return METHODS.has(method) ? method : "_OTHER";
}

/** `METHOD SERVICE`: few enough to group by. */
export function spanName(flow: LoggedFlow): string {
  const method = methodOf(flow) === "_OTHER" ? "HTTP" : methodOf(flow);
  return flow.route === null ? method : `${method} ${flow.route.service}`;
}

/** By OpenTelemetry's semantic conventions for HTTP server spans (1.23 and later); what they have no word for begins with `taskgate`. */
export function spanAttributes(flow: LoggedFlow): Record<string, string | number> {
  if (flow.asked === null) return {};
  const { head } = flow.asked;
  return {
    "http.request.method": methodOf(flow),
    "url.scheme": head.secure ? "https" : "http",
    "url.path": pathOf(head.path, false),
    "server.address": head.host,
    "client.address": flow.peer,
    "network.protocol.name": "http",
    "network.protocol.version": protocolOf(flow).slice("HTTP/".length),
    "http.request.body.size": flow.bytesIn,
    "http.response.body.size": flow.bytesOut,
    "taskgate.request_id": flow.requestId,
    ...led(flow),
    ...answered(flow),
  };
}

function answered({ status, source, code, aborted }: LoggedFlow): Record<string, string | number> {
  const attributes: Record<string, string | number> = {};
  if (status !== 0) Object.assign(attributes, { "http.response.status_code": status, "taskgate.source": source });
  if (code !== null) attributes["taskgate.code"] = code;
  if (status >= 500) attributes["error.type"] = code ?? String(status);
  else if (aborted) attributes["error.type"] = "aborted";
  return attributes;
}

function led({ route, tried, tries }: LoggedFlow): Record<string, string | number> {
  const attributes: Record<string, string | number> = {};
  if (route !== null) attributes["taskgate.service"] = route.service;
  if (tried !== null) attributes["taskgate.endpoint"] = tried.key;
  if (tries > 1) attributes["http.request.resend_count"] = tries - 1;
  return attributes;
}
