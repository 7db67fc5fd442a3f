import type { Gateway, ListenerSet, TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type { EndpointSlice, KubernetesObject, KubernetesService } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import type { Allotment, GatewayRef, Unit } from "./unit.ts";

/** What a reach was told to do, and by whom. */
export interface PlanSettings {
  /** What is on all that this reach makes: `gateMark` of objects.ts. */
  readonly mark: string;
  /** Of the lead that is to write; higher in later ones. */
  readonly fence: number;
  /** In order: the first that has room is taken. */
  readonly gateways: readonly GatewayRef[];
  /** Numbers that may be taken, both included. */
  readonly ports: { readonly from: number; readonly to: number };
  readonly listenerSets: "auto" | "never" | "only";
}

/**
 * How things stand in the cluster, the answers to this gate's own writes included: a write that was answered and is not observed could be done
 * again with another outcome. Objects are as the API server has them, whole. Keys: `NAMESPACE/NAME`.
 */
export interface Observed {
  /** Those configured, and any other whose listeners may be ours. null: there is none of that name; absent: not known yet. */
  readonly gateways: ReadonlyMap<string, Gateway | null>;
  /** Everybody's, of those Gateways at the least. null: not served, or not to be read. */
  readonly listenerSets: ReadonlyMap<string, ListenerSet> | null;
  /** Those with our mark alone. */
  readonly services: ReadonlyMap<string, KubernetesService>;
  readonly slices: ReadonlyMap<string, EndpointSlice>;
  readonly routes: ReadonlyMap<string, TcpRoute>;
  /** `KIND NAMESPACE/NAME` of what could not be made since somebody else has one of that name. */
  readonly taken: ReadonlySet<string>;
  /** Name of the controller of a Gateway's class, by the Gateway's key; absent: not known. */
  readonly controllers: ReadonlyMap<string, string>;
  /** Labels of namespaces that Gateways are in; absent: not known. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly served: Served;
}

/** What the cluster's custom resources are like. */
export interface Served {
  readonly tcpRoutes: Resource<TcpRoute>;
  /** null: none of them. */
  readonly listenerSets: Resource<ListenerSet> | null;
  /** Fewest and most listeners of a Gateway, by its schema; `told`: of how many its status may tell. */
  readonly gatewayListeners: { readonly least: number; readonly most: number; readonly told?: number };
  /** Most of a ListenerSet. */
  readonly setListeners: number;
}

/** One write. Of a plan's steps none needs the outcome of another one, but they are best done in order. */
export interface Step {
  /**
   * `create` fails with a conflict where somebody else has one of that name (`Observed.taken`); `replace` is by the object's resourceVersion;
   * `remove` is by its uid and resourceVersion.
   */
  readonly action: "create" | "replace" | "remove";
  readonly resource: Resource<KubernetesObject>;
  /** Whole, as it is to be sent; of `remove`: as it was observed. */
  readonly object: KubernetesObject;
  /** Ids of the units that it is for: many of a Gateway and of a ListenerSet; none of what is only swept away. */
  readonly units: readonly string[];
}

/** What a unit has, as observed. */
export interface Held {
  readonly unit: Unit;
  /** Of a listener that is there, and leads to nobody else. */
  readonly allotment: Allotment;
  /** As observed; null: not there, or not yet as it should be. */
  readonly route: TcpRoute | null;
}

/** Why a unit cannot get a port: its Problem. */
export interface Refusal {
  readonly code: "gateway_full" | "gateway_missing";
  /** What ran out or is not there, and what to do. */
  readonly message: string;
}

export interface Plan {
  /** Empty: all is as it should be, or waits for somebody else. Looking again after them may find more. */
  readonly steps: readonly Step[];
  /** By unit; a unit that is not here has no listener. */
  readonly held: ReadonlyMap<string, Held>;
  /** By unit. */
  readonly refused: ReadonlyMap<string, Refusal>;
  /** Another lead, later than this one, has written: `steps` is empty, and this one writes no more. */
  readonly isSuperseded: boolean;
}

export interface PlanInput {
  readonly settings: PlanSettings;
  readonly observed: Observed;
  /** All that there are, by id. */
  readonly units: ReadonlyMap<string, Unit>;
  /** Whether `units` are known to be all: else nothing is removed. */
  readonly isWhole: boolean;
  readonly ports: KnownPorts;
}

/** What is remembered of ports, each of a Gateway (`NAMESPACE/NAME`): `PortMemory` of ports.ts. */
export interface KnownPorts {
  /** Whether it was given up a moment ago. */
  isCooling(gateway: string, port: number): boolean;
  /** Whether its proxy could not listen there a moment ago: whoever has it is to have another one. */
  isBlocked(gateway: string, port: number): boolean;
}
