import type { Endpoint, Service, SourceUpdate, Task } from "../../model/index.ts";
import { createTableState } from "../create-table-state.ts";
import type { TableOptions, TableState } from "../table-state.ts";

export const OPTIONS: TableOptions = {
  domain: "localhost",
  gateHost: "taskgate.localhost",
  pathHost: "paths.localhost",
  listener: "main",
  tcp: { ports: { from: 20_000, to: 20_009 }, services: {} },
  ceiling: "public",
  epoch: "e1",
};

/** A table that knows the sources `local` and `k8s`, which are pending. */
export function makeState(
  options: Partial<TableOptions> = {},
  claims: Parameters<typeof createTableState>[1] = [],
): TableState {
  const state = createTableState({ ...OPTIONS, ...options }, claims);
  for (const source of ["local", "k8s"]) state.addSource(source);
  return state;
}

export function makeService(name: string, fields: Partial<Service> = {}): Service {
  return { name, protocol: "http", guard: "gate", exposures: [], policy: {}, ...fields };
}

export function makeEndpoint(port: number, replica = "0", fields: Partial<Endpoint> = {}): Endpoint {
  return { address: { ip: "10.0.0.1", port }, replica, weight: 1, health: "healthy", ...fields };
}

/** A running task of one http service `web` with one endpoint, owned by main/alice. */
export function makeTask(id: string, fields: Partial<Task> = {}): Task {
  return {
    id,
    name: id,
    kind: "job",
    owner: { realm: "main", name: "alice" },
    namespace: "",
    labels: {},
    state: "running",
    services: [makeService("web")],
    endpoints: { web: [makeEndpoint(8000)] },
    access: { grants: [], anyone: "nobody" },
    ...fields,
  };
}

export function whole(...tasks: readonly unknown[]): SourceUpdate {
  return { kind: "whole", tasks: tasks as readonly Task[], problems: [] };
}

export function change(set: readonly unknown[], removed: readonly string[] = []): SourceUpdate {
  return { kind: "change", set: set as readonly Task[], removed, problems: [] };
}
