import { expect, onTestFinished, vi } from "vitest";
import { KubernetesProviderConfig } from "../../../config/provider-config.ts";
import type { Task } from "../../../model/index.ts";
import { systemClock } from "../../../platform/clock.ts";
import { FakeApiServer } from "../../../platform/kubernetes/testing/fake-api-server.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { recordSource } from "../../provider.contract.ts";
import { createKubernetesProvider, type KubernetesProviderDeps } from "../kubernetes-provider.ts";
import { podOf, podsOf, type PodSpec } from "./objects.ts";

/** Who runs the gate. */
export const OWNER = { realm: "local", name: "operator" };
/** For `vi.waitFor`. */
export const WAIT = { timeout: 15_000, interval: 5 };
const FAST = { firstPauseMs: 5, mostPauseMs: 50, tries: 1 };

/** A provider of that cluster. */
export function provider(server: FakeApiServer, config: object = {}, more: Partial<KubernetesProviderDeps> = {}) {
  return createKubernetesProvider({
    config: KubernetesProviderConfig.parse({ type: "kubernetes", ...config }),
    owner: OWNER,
    environment: {},
    cluster: () => Promise.resolve(server.cluster()),
    bounds: FAST,
    clock: systemClock,
    logger: silentLogger,
    ...more,
  });
}

/** A cluster in memory with a provider that watches it; both end with the test. */
export async function stand(config: object = {}, more: Partial<KubernetesProviderDeps> = {}) {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const record = recordSource();
  const watch = await provider(server, config, more).start(record.publish, new AbortController().signal);
  onTestFinished(() => watch[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(record.updates.length).toBe(1), WAIT);
  const put = (...specs: readonly PodSpec[]): void => {
    for (const spec of specs) server.put(podsOf(spec.namespace ?? "team"), podOf(spec));
  };
  const task = async (id: string, check: (task: Task) => void): Promise<Task> => {
    return await vi.waitFor(() => {
      const found = record.tasks.get(id);
      if (found === undefined) throw new Error(`there is no task ${id}`);
      check(found);
      return found;
    }, WAIT);
  };
  const problem = (message: string) =>
    vi.waitFor(() => expect(record.problems.map((each) => each.message).join("\n")).toContain(message), WAIT);
  return { server, record, put, task, problem };
}

/** `IP:PORT REPLICA HEALTH` of each endpoint. */
export function endpoints(task: Task | undefined, service = "web"): readonly string[] {
  return (task?.endpoints[service] ?? []).map(({ address, replica, health }) =>
    "ip" in address ? `${address.ip}:${String(address.port)} ${replica} ${health}` : "unix",
  );
}
