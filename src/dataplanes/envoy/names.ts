/** Static clusters that every bootstrap has: all that an Envoy knows before it has heard the gate. */

/** gRPC over HTTP/2: resources, and whatever else is asked or told. */
export const CONTROL_CLUSTER = "taskgate-control";
/** HTTP/1.1: the gate's own pages and API, and why a job does not answer. */
export const GATE_CLUSTER = "taskgate-gate";

/** Fleet and node of the Envoy that the gate starts itself. */
export const LOCAL_FLEET = "local";
export const LOCAL_NODE = "local";
