/** What a Gateway's controller cannot do, beyond what its objects say. */
export interface ControllerRules {
  /** For people. */
  readonly name: string;
  /** Whether it would listen on a port of a Gateway that has these already. */
  readonly takes: (port: number, held: { has(port: number): boolean }) => boolean;
  /** Where its proxies listen for a port of a Gateway (1025 and up), in their pods. */
  readonly boundPort: (port: number) => number;
  /** Why it does not take some, for people; null: it takes all. */
  readonly portsText: string | null;
  readonly listenerSets: boolean;
  /** Whether its proxy refuses connections to a listener that no route leads on from: that one is taken then tells that a route does. */
  readonly refusesUnrouted: boolean;
}

const UNKNOWN: ControllerRules = {
  name: "its controller",
  takes: () => true,
  boundPort: (port) => port,
  portsText: null,
  listenerSets: true,
  refusesUnrouted: false,
};

/** Contour listens on the port plus 8000; past 65535 on what is left over, and where that is below 1024 on 1023 more: what another one has. */
const CONTOUR: ControllerRules = {
  name: "Contour",
  takes: (port, held) => {
    const twin = port < WRAPPED_LOW + CLASH_DISTANCE ? port + CLASH_DISTANCE : port - CLASH_DISTANCE;
    return port < WRAPPED_LOW || port >= WRAPPED_LOW + 2 * CLASH_DISTANCE || !held.has(twin);
  },
  boundPort: (port) => {
    const rest = port + 8000 - LAST_PORT;
    if (rest <= 0) return port + 8000;
    return rest < FIRST_UNPRIVILEGED ? rest + CLASH_DISTANCE : rest;
  },
  portsText: "Contour takes 57536-58558 and the ports 1023 above them for the same",
  listenerSets: false,
  refusesUnrouted: true,
};
const LAST_PORT = 65_535;
const FIRST_UNPRIVILEGED = 1024;
const WRAPPED_LOW = 57_536;
const CLASH_DISTANCE = 1023;

/** Its Envoys have these themselves, and Programmed says nothing of it. */
const ENVOY_GATEWAY_OWN: ReadonlySet<number> = new Set([19_000, 19_001, 19_003]);
const ENVOY_GATEWAY: ControllerRules = {
  name: "Envoy Gateway",
  takes: (port) => !ENVOY_GATEWAY_OWN.has(port),
  boundPort: (port) => port,
  portsText: "its Envoys have 19000, 19001 and 19003 for themselves",
  listenerSets: true,
  refusesUnrouted: false,
};

/** By what its GatewayClass says of who it is. Of one that is not known here nothing is assumed. */
export function rulesOf(controllerName: string | undefined): ControllerRules {
  if (controllerName?.startsWith("projectcontour.io/") === true) return CONTOUR;
  if (controllerName?.startsWith("gateway.envoyproxy.io/") === true) return ENVOY_GATEWAY;
  return UNKNOWN;
}
