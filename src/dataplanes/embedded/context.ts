import type { LimitsConfig } from "../../config/schema.ts";
import type { Gatekeeper, Site } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Explain } from "../dataplane.ts";
import type { Refusals } from "./http1/refusals.ts";
import type { Admission } from "./admission.ts";
import type { RouteIndex } from "../route-index.ts";
import type { Sticky } from "./sticky.ts";
import type { Traffic } from "./traffic.ts";
import type { Upstreams } from "./upstreams.ts";

/** What every part that handles traffic needs. */
export interface PlaneContext {
  readonly limits: LimitsConfig;
  readonly site: Site;
  readonly gatekeeper: Gatekeeper;
  readonly explain: Explain;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly refusals: Refusals;
  readonly index: RouteIndex;
  readonly upstreams: Upstreams;
  readonly sticky: Sticky;
  readonly traffic: Traffic;
  readonly admission: Admission;
  /** This gate's name in Via, of this life: a request that carries it already has come round in a circle. */
  readonly via: string;
}
