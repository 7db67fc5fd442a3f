import type { LimitsConfig } from "../../../config/schema.ts";
import type { Route, Site } from "../../../model/index.ts";
import type { Fronts } from "../../visitor-of.ts";
import type { DialRules } from "../../forbidden-target.ts";
import type { Struct } from "../proto/kit.ts";
import type { AccessLog } from "../proto/tables/access-log.ts";
import type { HttpFilter } from "../proto/tables/connection-manager.ts";
import type { HeaderMutationRule } from "../proto/tables/route.ts";

/** Envoys that get the same. */
export interface FleetSettings {
  /** `node.cluster` of its Envoys. */
  readonly name: string;
  readonly listen: { readonly ip: string; readonly port: number };
  /** Only services of these providers; absent: all. */
  readonly providers?: readonly string[];
}

/** All that resources follow from, beside the table. Never changes while the gate runs. */
export interface TranslateSettings {
  readonly site: Site;
  readonly limits: LimitsConfig;
  /** Who does not have it cannot tell which replica a cookie names. Never logged. */
  readonly secret: string;
  readonly fleets: readonly FleetSettings[];
  /** Id of the table's listener that hosts, paths, headers and server names are of. */
  readonly listener: string;
  /** How many certificates there are: 0 is plain HTTP; the first is for who names no server that another one is for. */
  readonly certificates: number;
  readonly requestId: "keep" | "replace";
  /** Addresses and networks whose connections begin with a PROXY header. */
  readonly proxiesFrom: readonly string[];
  readonly fronts: Fronts;
  readonly dialRules: DialRules;
  /** This gate in Via: what comes back with it goes round in circles. */
  readonly via: string;
  /** What is done to a request's fields before anything looks at them, beside what every gate does. */
  readonly early: readonly HeaderMutationRule[];
  /** The same for what a front sends. */
  readonly earlyOfFronts: readonly HeaderMutationRule[];
  /** In order; the router comes after them. */
  readonly filters: readonly HttpFilter[];
  readonly accessLog: {
    readonly http: readonly AccessLog[];
    readonly tcp: readonly AccessLog[];
    /** Of each try at an endpoint. */
    readonly upstream: readonly AccessLog[];
  };
  /** What filters know of a service: content of `filter_metadata.taskgate` of its clusters. */
  metadata(route: Route): Struct;
}
