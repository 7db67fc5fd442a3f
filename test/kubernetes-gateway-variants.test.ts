import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { GATEWAY_GROUP, type ListenerSet } from "../src/platform/kubernetes/gateway-objects.ts";
import type { ScriptedController } from "../src/reach/gateway-api/testing/scripted-controller.ts";
import { podTask } from "../src/reach/gateway-api/testing/scripted-provider.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER } from "./support/cluster.ts";
import { clearGateways, startController, startGatewayCluster } from "./support/gateway-cluster.ts";
import {
  clientOf,
  eventually,
  GATEWAY_NAMESPACE,
  gatewayOf,
  leadsTo,
  leftovers,
  startReach,
  whole,
  type ReachOptions,
  type TestReach,
} from "./support/gateway-stand.ts";
import type { WriterRun } from "./support/gateway-writer.ts";

const WRITER = fileURLToPath(new URL("support/gateway-writer.ts", import.meta.url));
const run = promisify(execFile);
const { signal } = new AbortController();
const ROUTES = "tcproutes.gateway.networking.k8s.io";
const OPEN = { allowedListeners: { namespaces: { from: "Same" } } };

type Pods = Readonly<Record<string, string>>;

/** A real API server; what differs is what its cluster serves, and which of several places a port comes to be at. */
describe.skipIf(NO_OWN_CLUSTER !== null)("a reach through Gateways of another kind", () => {
  let cluster: Cluster;
  let client: KubernetesClient;
  let scope: AsyncDisposableStack;
  let installations = 0;
  let installation: string;
  const everything = new AsyncDisposableStack();

  beforeAll(async () => {
    cluster = await startGatewayCluster("x");
    client = everything.use(await clientOf(cluster.kubeconfig));
  }, 180_000);
  afterAll(async () => {
    await everything.disposeAsync();
    await cluster[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    scope = new AsyncDisposableStack();
    installations += 1;
    installation = `test${String(installations).padStart(6, "0")}`;
  });
  afterEach(async () => {
    await scope.disposeAsync();
    await clearGateways(cluster);
  });

  const control = (version?: string): ScriptedController => scope.use(startController(client, version));
  const start = async (options: Partial<ReachOptions> = {}): Promise<TestReach> =>
    scope.use(await startReach({ kubeconfig: cluster.kubeconfig, gateway: {}, installation, ...options }));
  const left = (): Promise<readonly string[]> => leftovers((args) => cluster.kubectl(args), `${installation}-far`);
  const tasks = (pods: Pods) =>
    whole(...Object.entries(pods).map(([id, ip]) => podTask(id, "team", [{ pod: `${id}-0`, ip }])));

  /** Has the cluster serve TCPRoutes of these versions alone. */
  async function serve(...versions: readonly string[]): Promise<void> {
    const definition = JSON.parse(await cluster.kubectl(["get", "crd", ROUTES, "-o", "json"])) as {
      readonly spec: { readonly versions: readonly { readonly name: string }[] };
    };
    const patches = definition.spec.versions.map(({ name }, index) => ({
      ...{ op: "replace", path: `/spec/versions/${String(index)}/served`, value: versions.includes(name) },
    }));
    await cluster.kubectl(["patch", "crd", ROUTES, "--type=json", "-p", JSON.stringify(patches)]);
    await eventually(async () => {
      const found = await Promise.all(
        ["v1", "v1alpha2"].map((version) => client.served(`${GATEWAY_GROUP}/${version}`, signal)),
      );
      expect(["v1", "v1alpha2"].filter((_, at) => found[at]?.has("tcproutes"))).toEqual(versions);
    });
  }

  test("goes by v1alpha2 where nothing else is served, and by v1 once that is: what there is stays", async () => {
    await serve("v1alpha2");
    scope.defer(() => serve("v1", "v1alpha2"));
    await cluster.apply([gatewayOf("gw")]);
    control("v1alpha2");
    const reach = await start({ bounds: { discoverMs: 300 } });
    reach.say(tasks({ one: "10.9.0.1" }));
    await leadsTo(reach, { one: "10.9.0.1" });
    const heard = reach.updates.length;
    await serve("v1");
    control("v1");
    reach.say(tasks({ one: "10.9.0.1", two: "10.9.0.2" }));
    await leadsTo(reach, { one: "10.9.0.1", two: "10.9.0.2" });
    const since = reach.updates
      .slice(heard)
      .flatMap((update) => (update.kind === "stale" ? [] : "set" in update ? update.set : update.tasks));
    expect(since.filter(({ id }) => id === "one").every(({ endpoints }) => endpoints.web?.length === 1)).toBe(true);
    await serve("v1", "v1alpha2");
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
  });

  test("goes to the next Gateway where the first is full, and says so where all are", async () => {
    const theirs = (count: number, from: number): object[] =>
      Array.from({ length: count }, (_, at) => ({ name: `theirs-${String(at)}`, port: from + at, protocol: "TCP" }));
    await cluster.apply([gatewayOf("gw", { listeners: theirs(62, 2000) })]);
    await cluster.apply([gatewayOf("more", { listeners: theirs(61, 12_000) })]);
    control();
    const at = { namespace: GATEWAY_NAMESPACE, address: "127.0.0.1" };
    const reach = await start({
      gateway: {
        gateways: [
          { ...at, name: "gw" },
          { ...at, name: "more" },
        ],
      },
    });
    const pods = Object.fromEntries(["a", "b", "c", "d", "e"].map((id, index) => [id, `10.9.0.${String(index)}`]));
    reach.say(tasks(pods));
    await leadsTo(reach, pods);
    expect(reach.places.toSorted().map((place) => place.split(":")[1])).toEqual([
      "12000",
      "12001",
      "12061",
      "12062",
      "12063",
    ]);
    expect(reach.reached.report?.().gateways).toMatchObject([
      { gateway: "gateways/gw", room: 0, bound: "listeners", listeners: { own: 2, others: 62, most: 64 } },
      { gateway: "gateways/more", room: 0, listeners: { own: 3, others: 61, most: 64 } },
    ]);
    reach.say(tasks({ ...pods, f: "10.9.0.9" }));
    await eventually(() => {
      const [problem] = reach.problems;
      expect(problem).toMatchObject({ code: "gateway_full", subject: expect.stringContaining("/f") as string });
      expect(problem?.message).toContain("Gateway gateways/more has all 64 listeners that it may have");
    });
    await leadsTo(reach, pods);
    // Room that somebody leaves is taken.
    const others = Object.fromEntries(Object.entries(pods).filter(([id]) => id !== "a"));
    reach.say(tasks({ ...others, f: "10.9.0.9" }));
    await leadsTo(reach, { ...others, f: "10.9.0.9" });
    expect(reach.problems).toEqual([]);
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
  });

  test("goes by ListenerSets alone where that is wanted, and leaves nothing when it is killed at any of its writes", async () => {
    await cluster.apply([gatewayOf("gw", { ...OPEN })]);
    control();
    const gateway = { listenerSets: "only" } as const;
    const writer = (options: Partial<WriterRun>): Promise<{ readonly stdout: string }> => {
      const all: WriterRun = { kubeconfig: cluster.kubeconfig, installation, pods: {}, kill: 0, gateway, ...options };
      return run(process.execPath, [WRITER, JSON.stringify(all)], { timeout: 20_000 });
    };
    const writesOf = async (options: Partial<WriterRun>): Promise<number> =>
      (JSON.parse((await writer(options)).stdout) as { readonly writes: number }).writes;
    const gatewayText = (): Promise<string> =>
      cluster.kubectl([
        "get",
        "gateway",
        "gw",
        "-n",
        GATEWAY_NAMESPACE,
        "-o",
        "jsonpath={.spec}{.metadata.annotations}",
      ]);
    const before = await gatewayText();
    const pods = { one: "10.9.0.1" };
    const steps = await writesOf({ pods });
    const { items } = JSON.parse(
      await cluster.kubectl(["get", "listenersets", "-n", GATEWAY_NAMESPACE, "-o", "json"]),
    ) as {
      readonly items: readonly ListenerSet[];
    };
    expect(items.map(({ spec }) => spec?.listeners?.map(({ port }) => port))).toEqual([[12_000]]);
    const back = await writesOf({});
    expect(await left()).toEqual([]);
    console.log(`a port of a ListenerSet: ${String(steps)} writes to make them, ${String(back)} to remove them`);
    const now = { one: "10.9.0.11", two: "10.9.0.2" };
    for (let kill = 1; kill <= steps; kill += 1) {
      await expect(writer({ pods, kill })).rejects.toMatchObject({ signal: "SIGKILL" });
      await using next = await startReach({ kubeconfig: cluster.kubeconfig, gateway, installation });
      next.say(tasks(now));
      await leadsTo(next, now);
      next.say(whole());
      await eventually(async () => expect(await left()).toEqual([]));
    }
    for (let kill = 1; kill <= back; kill += 1) {
      await writesOf({ pods });
      await expect(writer({ kill })).rejects.toMatchObject({ signal: "SIGKILL" });
      await writesOf({});
      expect(await left()).toEqual([]);
    }
    expect(await gatewayText()).toBe(before);
  }, 300_000);

  test("that stops letting ListenerSets attach loses those, and has them back once it does again", async () => {
    await cluster.apply([gatewayOf("gw", { ...OPEN })]);
    control();
    const reach = await start({ gateway: { listenerSets: "only" } });
    reach.say(tasks({ one: "10.9.0.1" }));
    await leadsTo(reach, { one: "10.9.0.1" });
    await cluster.apply([gatewayOf("gw", { allowedListeners: { namespaces: { from: "None" } } })]);
    await eventually(() => {
      expect(reach.places).toEqual([]);
      expect(reach.problems[0]?.message).toContain("`allowedListeners` lets none attach");
    });
    await eventually(async () => expect(await left()).toEqual([]));
    await cluster.apply([gatewayOf("gw", { ...OPEN })]);
    await leadsTo(reach, { one: "10.9.0.1" });
  });
});
