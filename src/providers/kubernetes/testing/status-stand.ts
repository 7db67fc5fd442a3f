import { expect, onTestFinished, vi } from "vitest";
import type { Problem, TaskStatus, Told } from "../../../model/index.ts";
import { FakeApiServer } from "../../../platform/kubernetes/testing/fake-api-server.ts";
import { recordSource } from "../../provider.contract.ts";
import type { KubernetesProviderDeps } from "../kubernetes-provider.ts";
import { podOf, podsOf, type PodSpec } from "./objects.ts";
import { provider, WAIT } from "./stand.ts";

/** Soon enough for a test, and as often as it likes. */
const FAST = { perSecond: 10_000, burst: 1000, settleMs: 1, firstPauseMs: 1, mostPauseMs: 20, rowMs: 50 };

/** A status as the gate tells it: the address of each service, and what is wrong. */
export function statusOf(urls: Readonly<Record<string, string>>, problems: readonly Problem[] = []): TaskStatus {
  const services = Object.entries(urls).map(([name, url]) => [name, { urls: [url], health: "healthy" }] as const);
  return { services: Object.fromEntries(services), problems };
}

/** A cluster in memory, a provider that watches it, and what the gate tells that provider. */
export async function statusStand(config: object = {}, more: Partial<KubernetesProviderDeps> = {}) {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const record = recordSource();
  const source = provider(server, config, { statusBounds: FAST, ...more });
  let leading = new AbortController();
  const watch = await source.start(record.publish, new AbortController().signal);
  onTestFinished(async () => {
    leading.abort();
    await watch[Symbol.asyncDispose]();
  });
  await vi.waitFor(() => expect(record.updates.length).toBe(1), WAIT);
  const say = (tasks: Readonly<Record<string, TaskStatus | null>>, problems = record.problems) =>
    source.tell?.({ tasks: new Map(Object.entries(tasks)), problems } satisfies Told, leading.signal);
  return {
    ...{ server, record, watch, say },
    put(...specs: readonly PodSpec[]): void {
      for (const spec of specs) server.put(podsOf(spec.namespace ?? "team"), podOf(spec));
    },
    /** Another election; `isEnded`: of the one before, this gate has heard that it ended. */
    elect(isEnded = true): void {
      if (isEnded) leading.abort();
      leading = new AbortController();
    },
    resign: () => leading.abort(),
    /** Waits until the source has that many tasks. */
    tasks: (count: number) => vi.waitFor(() => expect(record.tasks.size).toBe(count), WAIT),
    /** Waits until the pod carries exactly these annotations of ours, `enabled` and the rest of what was asked apart. */
    async carries(name: string, expected: Readonly<Record<string, unknown>>, path = podsOf("team")): Promise<void> {
      await vi.waitFor(() => expect(carriedBy(server, name, path)).toEqual(expected), WAIT);
    },
    events: () => server.list("/apis/events.k8s.io/v1/namespaces/team/events"),
    /** Calls that write. */
    writes: () => server.requests.filter(({ method }) => method !== "GET"),
  };
}

export type StatusStand = Awaited<ReturnType<typeof statusStand>>;

/** `problems` read as JSON. */
export function carriedBy(
  server: FakeApiServer,
  name: string,
  path = podsOf("team"),
): Readonly<Record<string, unknown>> {
  const { annotations = {} } = server.get(path, name)?.metadata ?? {};
  const own = ["address", "addresses", "problems"].flatMap((each) => {
    const text = annotations[`taskgate.dev/${each}`];
    return text === undefined ? [] : [[each, each === "address" ? text : (JSON.parse(text) as unknown)]];
  });
  return Object.fromEntries(own) as Readonly<Record<string, unknown>>;
}

/** Long enough for anything that is going to happen by itself. */
export function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 150));
}
