import type { Route } from "../../../model/index.ts";
import { steadyRequestHead, upstreamPath, type Call } from "../forward.ts";
import { areSayable } from "../http1/say.ts";
import type { Allowed } from "../request-fields.ts";
import type { Target } from "../target.ts";
import type { Http2Exchange } from "./http2-exchange.ts";
import type { RequestRead } from "./read-request.ts";

/** What one visitor's head became for one endpoint, and all that this follows from besides it and its connection. */
interface Made {
  readonly allowed: Allowed;
  readonly route: Route;
  readonly target: Target;
  readonly prefix: string | null;
  readonly head: readonly string[];
}

/** Of heads that come again and again on a connection. */
const made = new WeakMap<RequestRead, Made>();

/** The head of a request as a job gets it that speaks HTTP/2; null: it cannot be said. */
export function requestToJob(call: Call, exchange: Http2Exchange, target: Target): string[] | null {
  const steady = steadyHead(call, exchange, target);
  if (steady === null) return null;
  const head = [...steady, ...call.flow.upstreamFields];
  if (exchange.framing.kind === "length") head.push("content-length", exchange.framing.length);
  return head;
}

function steadyHead(call: Call, { read }: Http2Exchange, target: Target): readonly string[] | null {
  const { allowed, route, prefix } = call;
  const before = read.repeated ? made.get(read) : undefined;
  if (before?.allowed === allowed && before.route === route && before.target === target && before.prefix === prefix) {
    return before.head;
  }
  if (!areSayable(allowed.set)) return null; // what the reader took is sayable
  const { fields, host } = steadyRequestHead(call, target);
  const { method } = call.exchange.head;
  const pseudo = [":method", method, ":scheme", "http", ":authority", host, ":path", upstreamPath(call)];
  const head = [...pseudo, ...fields];
  if (read.repeated) made.set(read, { allowed, route, target, prefix, head });
  return head;
}
