import type { Socket } from "node:net";
import type { Route } from "../../model/index.ts";
import type { PlaneContext } from "./context.ts";
import type { DialFailure } from "./dial.ts";
import type { ConnectionEnds } from "./proxy-protocol.ts";
import type { Target } from "./target.ts";
import type { Flow } from "./traffic.ts";

export interface ReachInput {
  readonly route: Route;
  readonly flow: Flow;
  /** Of the visitor that it is for. */
  readonly ends?: ConnectionEnds | null;
}

/** A raw connection to some endpoint that a route leads to, the best one first; else why there is none. Whoever gets it closes it. */
export async function reachTarget(
  context: PlaneContext,
  { route, flow, ends = null }: ReachInput,
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly target: Target } | DialFailure | "no_endpoint"> {
  const tried = new Set<Target>();
  const { tries } = context.limits;
  let failure: DialFailure | "no_endpoint" = "no_endpoint";
  for (;;) {
    const upstream = context.upstreams.get(route.upstream);
    const target = tried.size < tries ? upstream?.pick(route, { tried, now: context.clock.now() }) : null;
    if (target == null || signal.aborted) return failure;
    flow.attempt(target);
    const result = await target.dial(signal, ends);
    if (typeof result !== "string") {
      target.succeeded();
      return { socket: result, target };
    }
    if (isAborted(signal)) return result;
    target.failed();
    tried.add(target);
    failure = result;
  }
}

/** Read anew: it changes while something is awaited. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
