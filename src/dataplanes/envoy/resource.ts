/** One object of Envoy's configuration, as its own JSON has it. */
export interface Resource {
  /** Message: `envoy.config.cluster.v3.Cluster`. */
  readonly type: string;
  readonly name: string;
  /** Whose Envoys get it; null: all. */
  readonly fleet: string | null;
  readonly body: object;
  /** Key of the route, upstream or service that it is of, by which a problem with it is told; `envoy`: nobody's. */
  readonly subject: string;
}

/** Names one resource. */
export type ResourceKey = Pick<Resource, "type" | "name" | "fleet">;

/** What became of resources. */
export interface ResourceChange {
  readonly set: readonly Resource[];
  readonly removed: readonly ResourceKey[];
}

/** Nothing. */
export const NO_CHANGE: ResourceChange = Object.freeze({ set: [], removed: [] });
