import { GATE_PROVIDER, type Identity, type Site, type Task } from "../model/index.ts";
import type { Provider } from "../providers/provider.ts";

export interface GateProviderDeps {
  readonly site: Site;
  /** Unix socket of the API. */
  readonly apiSocket: string;
  readonly owner: Identity;
  /** Epoch ms. */
  readonly startedAt: number;
}

/** The gate's own page and API as a built-in task, so that every plane routes them by the same rules. */
export function createGateProvider(deps: GateProviderDeps): Provider {
  return {
    name: GATE_PROVIDER,
    start: (publish) => {
      publish({ kind: "whole", tasks: [gateTask(deps)], problems: [] });
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  };
}

function gateTask({ site, apiSocket, owner, startedAt }: GateProviderDeps): Task {
  const label = site.gateHost.split(".")[0] ?? site.gateHost;
  return {
    id: "taskgate",
    name: "taskgate",
    kind: "gate",
    owner,
    namespace: "",
    labels: {},
    state: "running",
    startedAt,
    services: [
      {
        name: "api",
        protocol: "http",
        guard: "self",
        exposures: [{ by: "host", label, domain: site.gateHost.slice(label.length + 1) }],
        policy: {},
      },
    ],
    endpoints: { api: [{ address: { unix: apiSocket }, replica: "0", weight: 1, health: "healthy" }] },
    access: { grants: [], anyone: "nobody" },
  };
}
