/** Static clusters that every bootstrap has: all that an Envoy knows before it has heard the gate. */

/** gRPC over HTTP/2: whatever is asked or told, and resources where there is one gate. */
export const CONTROL_CLUSTER = "taskgate-control";
/** gRPC over HTTP/2: resources, where there are several gates; the one that these come from tells at which address the others are its own. */
export const RESOURCES_CLUSTER = "taskgate-resources";
/** HTTP/1.1: the gate's own pages and API, and why a job does not answer. */
export const GATE_CLUSTER = "taskgate-gate";

/** Internal listener of every bootstrap that leads to `GATE_CLUSTER`: the endpoint that a service falls back to, the same in all fleets. */
export const GATE_LISTENER = "taskgate-gate";

/** Fleet of the Envoy that the gate starts itself. */
export const LOCAL_FLEET = "local";

/** Static clusters of bootstraps of fleets: the Envoy's own admin, and the Envoy itself, which asks itself by it what the gate wants to know. */
export const ADMIN_CLUSTER = "taskgate-admin";
export const RELAY_CLUSTER = "taskgate-relay";
