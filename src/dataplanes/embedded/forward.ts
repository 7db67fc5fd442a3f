import type { Route } from "../../model/index.ts";
import type { PlaneContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { steadyFields, upstreamHost, type Allowed, type RequestFieldsInput } from "./request-fields.ts";
import type { Target } from "./target.ts";
import type { Flow } from "./traffic.ts";

/** An exchange that was let in, on its way to a job. */
export interface Call {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly allowed: Allowed;
  /** Path mode: what is taken off the path. */
  readonly prefix: string | null;
  readonly idleMs: number;
  readonly context: PlaneContext;
  readonly flow: Flow;
}

export type Failure =
  | "connect_failed"
  | "connect_timeout"
  | "tls_failed"
  | "reset"
  | "idle_timeout"
  | "no_endpoint"
  | "refused"
  | "bad_answer"
  | "bad_request";

/**
 * What came of one try. `answered`: the visitor has its answer, or a visible break. `failed`: the visitor has nothing yet; `again` says
 * whether another try is safe: nothing was sent (`other` endpoint), or an idle connection died under an idempotent request (`same`).
 */
export type Outcome =
  | { readonly kind: "answered" }
  | { readonly kind: "failed"; readonly failure: Failure; readonly again: "other" | "same" | "no" };

export const ANSWERED: Outcome = Object.freeze({ kind: "answered" });

export function failed(failure: Failure, again: "other" | "same" | "no" = "no"): Outcome {
  return { kind: "failed", failure, again };
}

/** Path and query as the job gets them. */
export function upstreamPath({ exchange, prefix }: Call): string {
  const { path } = exchange.head;
  return prefix === null ? path : path.slice(prefix.length - 1);
}

/** What the fields follow from that the job at this endpoint gets. */
export function fieldsInput(call: Call, { address }: Target): RequestFieldsInput {
  const { exchange, route, allowed, prefix, context, flow } = call;
  return { exchange, route, allowed, prefix, flow, address, site: context.site, via: context.via };
}

/** Fields and Host as the job at this endpoint gets them, without what the flow adds. */
export function steadyRequestHead(call: Call, target: Target): { fields: string[]; host: string } {
  const input = fieldsInput(call, target);
  return { fields: steadyFields(input), host: upstreamHost(input) };
}
