import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { keepInstallationId } from "../src/app/installation-id.ts";
import { clearFormerReaches, recordReach } from "../src/app/reach-records.ts";
import { KubernetesProviderConfig } from "../src/config/provider-config.ts";
import { systemClock as clock } from "../src/platform/clock.ts";
import type { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { silentLogger as logger } from "../src/platform/logger.ts";
import { podTask } from "../src/reach/gateway-api/testing/scripted-provider.ts";
import { startEmbeddedStore } from "../src/store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../src/store/embedded/sole-leadership.ts";
import type { Store } from "../src/store/store.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER } from "./support/cluster.ts";
import { startController, startGatewayCluster } from "./support/gateway-cluster.ts";
import {
  clientOf,
  eventually,
  GATEWAY_NAMESPACE,
  gatewayOf,
  leadsTo,
  leftovers,
  startReach,
  whole,
  type TestReach,
} from "./support/gateway-stand.ts";

/** What the gate was configured with once, and is no more: a real API server. */
describe.skipIf(NO_OWN_CLUSTER !== null)("what is left at Gateways that are configured no more", () => {
  let cluster: Cluster;
  let client: KubernetesClient;
  let scope: AsyncDisposableStack;
  let store: Store;
  let installation: string;
  const everything = new AsyncDisposableStack();

  beforeAll(async () => {
    cluster = await startGatewayCluster("w");
    client = everything.use(await clientOf(cluster.kubeconfig));
    everything.use(startController(client));
  }, 180_000);
  afterAll(async () => {
    await everything.disposeAsync();
    await cluster[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    scope = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "taskgate-former-"));
    scope.defer(() => rm(folder, { recursive: true }));
    store = scope.use(await startEmbeddedStore({ file: join(folder, "gate.db"), clock, logger }));
    installation = await keepInstallationId(store);
    await cluster.apply([gatewayOf("gw"), gatewayOf("other")]);
  });
  afterEach(() => scope.disposeAsync());

  const left = (): Promise<readonly string[]> => leftovers((args) => cluster.kubectl(args), `${installation}-far`);
  const recorded = async (): Promise<unknown> => (await store.get("reach", "far"))?.value;
  const configured = (...gateways: readonly string[]): KubernetesProviderConfig =>
    KubernetesProviderConfig.parse({
      ...{ type: "kubernetes", name: "far", kubeconfig: cluster.kubeconfig, reach: "gateway-api" },
      gateway: { gateways: gateways.map((name) => ({ name, namespace: GATEWAY_NAMESPACE, address: "127.0.0.1" })) },
    });
  const start = async (config: KubernetesProviderConfig): Promise<TestReach> =>
    startReach({
      ...{ kubeconfig: cluster.kubeconfig, installation, record: recordReach(store, config) },
      gateway: { gateways: [...(config.gateway?.gateways ?? [])] },
    });

  async function serveOne(config: KubernetesProviderConfig): Promise<TestReach> {
    const reach = await start(config);
    reach.say(whole(podTask("one", "team", [{ pod: "one-0", ip: "10.9.0.1" }])));
    await leadsTo(reach, { one: "10.9.0.1" });
    return reach;
  }

  test("goes with its provider: whichever gate starts next takes it away, and then knows nothing of it", async () => {
    await (await serveOne(configured("gw")))[Symbol.asyncDispose]();
    expect(await left()).not.toEqual([]);
    const leadership = startSoleLeadership({ store, clock, logger });
    const deps = { store, leadership, clock, logger };
    const stays = await clearFormerReaches({ ...deps, config: { providers: [configured("gw")] } });
    await stays[Symbol.asyncDispose]();
    expect(await left()).not.toEqual([]);
    scope.use(await clearFormerReaches({ ...deps, config: { providers: [] } }));
    await eventually(async () => {
      expect(await left()).toEqual([]);
      expect(await recorded()).toBeUndefined();
    });
    const names = ["get", "gateway", "gw", "-n", GATEWAY_NAMESPACE, "-o", "jsonpath={.spec.listeners[*].name}"];
    expect(await cluster.kubectl(names)).toBe("placeholder");
  });

  test("goes from a Gateway that another one has followed, and the tasks are reached there", async () => {
    await (await serveOne(configured("gw")))[Symbol.asyncDispose]();
    const reach = scope.use(await serveOne(configured("other")));
    await eventually(async () => {
      const ports = (await left()).filter((name) => name.includes("taskgate.dev/port-"));
      expect(ports).toEqual([expect.stringMatching(/^other /)]);
      expect(await recorded()).toMatchObject({ gateways: [{ name: "other" }] });
    });
    await leadsTo(reach, { one: "10.9.0.1" });
  });

  test("holds nothing up where the former Gateway is gone", async () => {
    await (await serveOne(configured("gw")))[Symbol.asyncDispose]();
    await cluster.kubectl(["delete", "gateway", "gw", "-n", GATEWAY_NAMESPACE]);
    const reach = scope.use(await serveOne(configured("other")));
    await eventually(async () => expect(await recorded()).toMatchObject({ gateways: [{ name: "other" }] }));
    expect(reach.problems).toEqual([]);
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
  });
});
