import type { Socket } from "node:net";
import type { Route } from "../../model/index.ts";
import type { PlaneContext } from "./context.ts";
import type { ConnectionEnds } from "./proxy-protocol.ts";
import { reachTarget } from "./reach-target.ts";
import { splice } from "./splice.ts";

export interface RawConnection {
  /** Destroyed when it is over. */
  readonly near: Socket;
  readonly route: Route;
  readonly ends: ConnectionEnds;
}

/** Carries a connection byte by byte to an endpoint of its route, until it is over or the route goes. Never throws. */
export async function carryRaw(context: PlaneContext, { near, route, ends }: RawConnection): Promise<void> {
  const gone = new AbortController();
  const cut = () => near.resetAndDestroy();
  near.once("close", () => gone.abort());
  const flow = context.traffic.beginRaw(route.protocol === "tls" ? "tls" : "tcp", ends.source.ip);
  flow.enter(route, null, cut);
  try {
    const reached = await reachTarget(context, { route, flow, ends }, gone.signal);
    if (typeof reached === "string") {
      flow.refused(0, reached);
      cut();
      return;
    }
    const { socket: far, target } = reached;
    if (near.destroyed) return void far.destroy();
    target.active += 1;
    const idleMs = route.policy.idleTimeoutMs ?? context.limits.idleTime;
    await splice({ near, far, idleMs, counted: flow });
    target.active -= 1;
  } catch (error) {
    context.logger.error({ err: error }, "connection failed in the gate");
    cut();
  } finally {
    flow.close();
  }
}
