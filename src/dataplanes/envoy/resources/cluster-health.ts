import type { LimitsConfig } from "../../../config/schema.ts";
import type { ActiveHealth, Route } from "../../../model/index.ts";
import type { OutlierDetection } from "../proto/tables/cluster.ts";
import type { HealthCheck } from "../proto/tables/endpoint.ts";
import { seconds } from "./envoy-json.ts";

/** So many in a row before a verdict turns. */
const THRESHOLD = 2;
const LONGEST_ANSWER_MS = 5000;
/** How often Envoy looks whom it may use again: more would cost every Envoy a timer's turn for each cluster, whatever goes on there. */
const SWEEP_MS = 5000;
/** Below a half: of a service's endpoint and the gate behind it, of which Envoy counts two, the endpoint is never passed over. */
const SHARE_MAX = 49;

/**
 * What traffic says of endpoints: only that they cannot be reached, or break off. An answer of 5xx is the service's own affair. undefined:
 * nothing is to be learned from it.
 */
export function outlierDetection(limits: LimitsConfig, sticky: boolean): OutlierDetection | undefined {
  const { ejectFirst, ejectLongest, ejectShare } = limits;
  // A visitor who stays would be sent there again and again: the first failure lets it go to another one.
  const ejectAfter = sticky ? 1 : limits.ejectAfter;
  if (ejectShare === 0) return undefined;
  return {
    enforcingConsecutive5xx: 0,
    // One that cannot be reached or breaks off before its answer counts as a gateway that failed; answers never do: see the protocol options.
    // Not split by whose fault it was: a connection that is made and then broken off would begin the count anew.
    consecutiveGatewayFailure: ejectAfter,
    enforcingConsecutiveGatewayFailure: 100,
    enforcingSuccessRate: 0,
    interval: seconds(SWEEP_MS),
    baseEjectionTime: seconds(ejectFirst),
    maxEjectionTime: seconds(Math.max(ejectFirst, ejectLongest)),
    maxEjectionPercent: Math.min(ejectShare, SHARE_MAX),
  };
}

/** How Envoy asks endpoints whether they are well. HTTP asks by each endpoint's own name: see its health check's `hostname`. */
export function healthChecks(ask: ActiveHealth | undefined, { protocol }: Pick<Route, "protocol">): HealthCheck[] {
  if (ask === undefined) return [];
  const { path, everyMs } = ask;
  return [
    {
      interval: seconds(everyMs),
      // Its own default for services that nobody uses is a minute.
      noTrafficInterval: seconds(everyMs),
      timeout: seconds(Math.min(everyMs, LONGEST_ANSWER_MS)),
      intervalJitterPercent: 10,
      unhealthyThreshold: THRESHOLD,
      healthyThreshold: THRESHOLD,
      ...kindOf(path, protocol),
    },
  ];
}

function kindOf(path: string | undefined, protocol: Route["protocol"]): HealthCheck {
  if (protocol === "grpc") return { grpcHealthCheck: {} };
  if (protocol !== "http" || path === undefined) return { tcpHealthCheck: {} };
  return { httpHealthCheck: { path, expectedStatuses: [{ start: 200, end: 400 }] } };
}
