import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import type { Problem, SourceUpdate, Task } from "../../src/model/index.ts";
import { systemClock as clock } from "../../src/platform/clock.ts";
import { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { GATEWAYS, type Gateway } from "../../src/platform/kubernetes/gateway-objects.ts";
import { loadKubeconfig } from "../../src/platform/kubernetes/kubeconfig.ts";
import { silentLogger as logger } from "../../src/platform/logger.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { gatewayApi, type GatewayApiDeps, type ReachRecord } from "../../src/reach/gateway-api/gateway-api.ts";
import { scriptedProvider } from "../../src/reach/gateway-api/testing/scripted-provider.ts";
import { startEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../../src/store/embedded/sole-leadership.ts";
import type { Leadership } from "../../src/store/leadership.ts";

/** For what a controller, or several looks, take their time for. */
export const WAIT = { timeout: 60_000, interval: 50 };
export const GATEWAY_NAMESPACE = "gateways";

export function gatewayOf(name: string, more: object = {}): object {
  return {
    ...{ apiVersion: GATEWAYS.apiVersion, kind: GATEWAYS.kind, metadata: { name, namespace: GATEWAY_NAMESPACE } },
    spec: {
      gatewayClassName: "scripted",
      listeners: [{ name: "placeholder", port: 1024, protocol: "TCP", allowedRoutes: { namespaces: { from: "All" } } }],
      ...more,
    },
  };
}

export interface ReachOptions {
  readonly kubeconfig: string;
  readonly gateway: Partial<GatewayConfig>;
  readonly installation: string;
  readonly namespaces?: readonly string[];
  readonly bounds?: GatewayApiDeps["bounds"];
  readonly leadership?: Leadership;
  readonly provider?: string;
  /** Default: nothing was made before. */
  readonly record?: ReachRecord;
}

/** A gate's part of a reach: what it published last, by task. */
export interface TestReach extends AsyncDisposable {
  say(update: SourceUpdate): void;
  readonly reached: Provider;
  readonly updates: readonly SourceUpdate[];
  readonly tasks: ReadonlyMap<string, Task>;
  readonly problems: readonly Problem[];
  /** Where services of tasks are, as `TASK IP:PORT`. */
  readonly places: readonly string[];
}

export function whole(...tasks: readonly Task[]): SourceUpdate {
  return { kind: "whole", tasks, problems: [] };
}

export function change(set: readonly Task[], removed: readonly string[] = []): SourceUpdate {
  return { kind: "change", set, removed, problems: [] };
}

/** One process's reach to a cluster. Leads unless it is given a leadership. */
export async function startReach(options: ReachOptions): Promise<TestReach> {
  await using scope = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "taskgate-reach-"));
  scope.defer(() => rm(folder, { recursive: true }));
  const store = scope.use(await startEmbeddedStore({ file: join(folder, "gate.db"), clock, logger }));
  const leadership = options.leadership ?? startSoleLeadership({ store, clock, logger });
  const inner = scriptedProvider(options.provider ?? "far");
  const reach = gatewayApi({
    gateway: {
      gateways: [{ name: "gw", namespace: GATEWAY_NAMESPACE, address: "127.0.0.1" }],
      ...{
        ports: { from: 12_000, to: 12_999 },
        listenerSets: "auto",
        networkPolicy: false,
        tls: "off",
        ...options.gateway,
      },
    },
    namespaces: options.namespaces ?? [],
    cluster: () => loadKubeconfig([options.kubeconfig], null, clock),
    installation: () => Promise.resolve(options.installation),
    record: options.record ?? { begin: () => Promise.resolve(null), cleared: () => Promise.resolve() },
    ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
    ...{ clock, logger },
  });
  const reached = reach(inner, { store, leadership });
  const updates: SourceUpdate[] = [];
  const tasks = new Map<string, Task>();
  let problems: readonly Problem[] = [];
  const take = (update: SourceUpdate): void => {
    updates.push(update);
    if (update.kind === "stale") return;
    problems = update.problems;
    if (update.kind === "whole") tasks.clear();
    for (const task of update.kind === "whole" ? update.tasks : update.set) tasks.set(task.id, task);
    if (update.kind === "change") for (const id of update.removed) tasks.delete(id);
  };
  const stop = new AbortController();
  scope.defer(() => stop.abort());
  scope.use(await reached.start(take, stop.signal));
  const stack = scope.move();
  return {
    ...{ say: (update) => inner.say(update), reached, updates, tasks },
    get problems() {
      return problems;
    },
    get places() {
      return [...tasks.values()].flatMap((task) =>
        Object.values(task.endpoints).flatMap((list) =>
          list.map(({ address }) => `${task.id} ${"unix" in address ? "?" : `${address.ip}:${String(address.port)}`}`),
        ),
      );
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

/** Connects to what was published as `TASK IP:PORT`; which pod answers, as `IP:PORT`. */
export async function whoAnswers(place: string): Promise<string> {
  const [, ip = "", port = ""] = /^\S+ (.*):(\d+)$/.exec(place) ?? [];
  const socket = connect({ host: ip, port: Number(port) });
  socket.setEncoding("utf8");
  try {
    const [greeting] = (await once(socket, "data")) as [string];
    return greeting.trim();
  } finally {
    socket.destroy();
  }
}

export async function clientOf(kubeconfig: string): Promise<KubernetesClient> {
  return new KubernetesClient({ cluster: await loadKubeconfig([kubeconfig], null, clock), clock });
}

/** All objects of a reach, and listeners of a Gateway, by name. */
export async function leftovers(
  kubectl: (args: readonly string[]) => Promise<string>,
  mark: string,
): Promise<readonly string[]> {
  const get = ["get", "services,endpointslices,tcproutes,listenersets", "-A", "-l", `taskgate.dev/gate=${mark}`];
  const made = (await kubectl([...get, "-o", "name"])).split("\n").filter((line) => line !== "");
  const { items } = JSON.parse(await kubectl(["get", "gateways", "-A", "-o", "json"])) as {
    readonly items: readonly Gateway[];
  };
  const marked = items.flatMap(({ metadata }) =>
    Object.entries(metadata.annotations ?? {}).flatMap(([key, value]) =>
      key.startsWith("taskgate.dev/port-") && value.startsWith(mark) ? [`${metadata.name} ${key}`] : [],
    ),
  );
  return [...made, ...marked];
}

export const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, WAIT);

/** Each task is published at one place, and leads to its own pod, of which `pods` has the address by task. */
export async function leadsTo(reach: TestReach, pods: Readonly<Record<string, string>>): Promise<void> {
  const ids = Object.keys(pods).sort();
  await eventually(async () => {
    const places = reach.places.toSorted();
    expect(places.map((place) => place.split(" ")[0])).toEqual(ids);
    expect(await Promise.all(places.map(whoAnswers))).toEqual(ids.map((id) => `${pods[id] ?? ""}:80`));
  });
}
