import type { Principal, Task } from "../../model/index.ts";

export const OWNER: Principal = { realm: "local", name: "alice", groups: [], admin: true };

/** A running task of the owner's with one healthy HTTP service. */
export function webTask(id: string, more: Partial<Task> = {}): Task {
  return {
    id,
    name: id,
    kind: "web",
    owner: { realm: OWNER.realm, name: OWNER.name },
    namespace: "",
    labels: {},
    state: "running",
    startedAt: 1_700_000_000_000,
    services: [{ name: "web", protocol: "http", guard: "gate", exposures: [], policy: {} }],
    endpoints: { web: [{ address: { ip: "127.0.0.1", port: 9000 }, replica: "0", weight: 1, health: "healthy" }] },
    access: { grants: [], anyone: "nobody" },
    ...more,
  };
}
