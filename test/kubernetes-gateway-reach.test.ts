import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../src/platform/clock.ts";
import type { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { GATEWAYS, type Gateway } from "../src/platform/kubernetes/gateway-objects.ts";
import { hasReason } from "../src/platform/kubernetes/kubernetes-error.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { podTask } from "../src/reach/gateway-api/testing/scripted-provider.ts";
import { startLeaseLeadership } from "../src/store/kubernetes/lease-leadership.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER } from "./support/cluster.ts";
import { clearGateways, startController, startGatewayCluster } from "./support/gateway-cluster.ts";
import {
  change,
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

/** A real API server with the Gateway API's resources; in place of a controller and its proxy, one that the test writes. */
describe.skipIf(NO_OWN_CLUSTER !== null)("a reach through Gateways, on a real API server", () => {
  let cluster: Cluster;
  let client: KubernetesClient;
  let scope: AsyncDisposableStack;
  let installations = 0;
  let installation: string;
  const everything = new AsyncDisposableStack();

  beforeAll(async () => {
    cluster = await startGatewayCluster("p");
    client = everything.use(await clientOf(cluster.kubeconfig));
    everything.use(startController(client));
  }, 180_000);
  afterAll(async () => {
    await everything.disposeAsync();
    await cluster[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    scope = new AsyncDisposableStack();
    installations += 1;
    installation = `test${String(installations).padStart(6, "0")}`;
    await cluster.apply([gatewayOf("gw")]);
  });
  afterEach(async () => {
    await scope.disposeAsync();
    await clearGateways(cluster);
  });

  const start = async (options: Partial<ReachOptions> = {}): Promise<TestReach> =>
    scope.use(await startReach({ kubeconfig: cluster.kubeconfig, gateway: {}, installation, ...options }));
  const afterThis = (args: readonly string[]): void => {
    scope.defer(async () => {
      await cluster.kubectl(args);
    });
  };
  const left = (mark = `${installation}-far`): Promise<readonly string[]> =>
    leftovers((args) => cluster.kubectl(args), mark);
  const task = (id: string, ip: string) => podTask(id, "team", [{ pod: `${id}-0`, ip }]);
  const gateway = async (name = "gw"): Promise<Gateway> =>
    (await client.get(GATEWAYS, { namespace: GATEWAY_NAMESPACE, name }, signal))!;

  /** Changes a Gateway as somebody else does. */
  async function edit(change: (before: Gateway) => Gateway): Promise<void> {
    for (;;) {
      try {
        await client.replace(GATEWAYS, change(await gateway()), signal);
        return;
      } catch (error) {
        if (!hasReason(error, "Conflict")) throw error;
      }
    }
  }

  function withAnnotation(key: string, value: string): (before: Gateway) => Gateway {
    return (before) => ({
      ...before,
      metadata: { ...before.metadata, annotations: { ...before.metadata.annotations, [key]: value } },
    });
  }

  function withListener(port: number, name = `theirs-${String(port)}`): (before: Gateway) => Gateway {
    return (before) => ({
      ...before,
      spec: {
        ...before.spec,
        listeners: [...(before.spec?.listeners ?? []), { name, port, protocol: "TCP" }],
      },
    });
  }

  test("publishes a pod at its Gateway once that says so, leads to it, and leaves nothing", async () => {
    const reach = await start();
    reach.say(whole(task("one", "10.9.0.1")));
    await leadsTo(reach, { one: "10.9.0.1" });
    expect(reach.places).toEqual(["one 127.0.0.1:12000"]);
    reach.say(change([], ["one"]));
    await eventually(async () => expect(await left()).toEqual([]));
    expect(reach.places).toEqual([]);
  });

  test("150 ports at once take few writes of the Gateway, and as many to leave", async () => {
    const ids = Array.from({ length: 150 }, (_, at) => `t${String(at).padStart(3, "0")}`);
    const pods = Object.fromEntries(
      ids.map((id, at) => [id, `10.9.${String(1 + Math.floor(at / 200))}.${String(at % 200)}`]),
    );
    await edit((before) => ({
      ...before,
      spec: { ...before.spec, allowedListeners: { namespaces: { from: "Same" } } },
    }));
    const reach = await start();
    const before = (await gateway()).metadata.generation!;
    const began = Date.now();
    reach.say(whole(...ids.map((id) => task(id, pods[id]!))));
    await eventually(() => expect(reach.places).toHaveLength(150));
    const tookMs = Date.now() - began;
    const made = (await gateway()).metadata.generation! - before;
    console.log(`150 ports: ${String(made)} writes of the Gateway, all published after ${String(tookMs)} ms`);
    // The first of them is written at once, whoever comes with it.
    expect(made).toBeLessThanOrEqual(3);
    await leadsTo(reach, pods);
    expect(reach.reached.report?.()).toMatchObject({ wanted: 150, ready: 150 });
    const after = (await gateway()).metadata.generation!;
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
    const freed = (await gateway()).metadata.generation! - after;
    console.log(`150 ports: ${String(freed)} writes of the Gateway to leave`);
    expect(freed).toBeLessThanOrEqual(6);
  });

  describe("killed at every single step", () => {
    const THEIRS = { metadata: { name: "theirs", namespace: "team", labels: { app: "theirs" } } };
    const writer = (options: Partial<WriterRun>): Promise<{ readonly stdout: string }> => {
      const all: WriterRun = { kubeconfig: cluster.kubeconfig, installation, pods: {}, kill: 0, ...options };
      return run(process.execPath, [WRITER, JSON.stringify(all)], { timeout: 60_000 });
    };
    const killed = (options: Partial<WriterRun>) =>
      expect(writer(options)).rejects.toMatchObject({ signal: "SIGKILL" });
    const writesOf = async (options: Partial<WriterRun>): Promise<number> =>
      (JSON.parse((await writer(options)).stdout) as { readonly writes: number }).writes;

    async function theirs(): Promise<unknown> {
      const { spec, metadata } = await gateway();
      const service = await cluster.kubectl(["get", "service", "theirs", "-n", "team", "-o", "json"]);
      return [
        spec?.listeners?.filter(({ name }) => !name.startsWith("det-")),
        Object.entries(metadata.annotations ?? {}).filter(([key]) => key.startsWith("theirs")),
        JSON.parse(service),
      ];
    }

    test("while it makes and while it removes, what comes after it leaves nothing over, and leads nobody wrong", async () => {
      await cluster.apply([{ apiVersion: "v1", kind: "Service", ...THEIRS, spec: { ports: [{ port: 80 }] } }]);
      afterThis(["delete", "service", "theirs", "-n", "team"]);
      await edit(withListener(12_001));
      const before = await theirs();
      const pods = { one: "10.9.0.1", two: "10.9.0.2" };
      const steps = await writesOf({ pods });
      const stepsBack = await writesOf({});
      expect(await left()).toEqual([]);
      console.log(`two ports: ${String(steps)} writes to make them, ${String(stepsBack)} to remove them`);
      expect(steps).toBeGreaterThanOrEqual(7);
      expect(stepsBack).toBeGreaterThanOrEqual(5);

      for (let kill = 1; kill <= steps; kill += 1) {
        await killed({ pods, kill });
        // One is gone by then, one is another pod, one is new.
        const now = { two: "10.9.0.22", three: "10.9.0.3" };
        {
          await using next = await startReach({ kubeconfig: cluster.kubeconfig, gateway: {}, installation });
          next.say(whole(...Object.entries(now).map(([id, ip]) => task(id, ip))));
          await leadsTo(next, now);
          await eventually(async () => expect((await left()).filter((line) => line.includes("one"))).toEqual([]));
        }
        for (let back = 1; back <= stepsBack && kill === 1; back += 1) {
          await writesOf({ pods: now });
          await killed({ kill: back });
          await writesOf({});
          expect(await left()).toEqual([]);
        }
        await writesOf({});
        expect(await left()).toEqual([]);
      }
      expect(await theirs()).toEqual(before);
    }, 600_000);
  });

  test("an API server that is restarted withdraws nothing, and what came meanwhile is made", async () => {
    const reach = await start();
    reach.say(whole(task("one", "10.9.0.1")));
    await leadsTo(reach, { one: "10.9.0.1" });
    const heard = reach.updates.length;
    await cluster.stopPart("kube-apiserver");
    reach.say(change([task("two", "10.9.0.2")]));
    await sleep(1000);
    expect(reach.places).toEqual(["one 127.0.0.1:12000"]);
    await cluster.startPart("kube-apiserver");
    await leadsTo(reach, { one: "10.9.0.1", two: "10.9.0.2" });
    const published = reach.updates.slice(heard).flatMap((update) => (update.kind === "change" ? update.set : []));
    expect(published.filter(({ id }) => id === "one").every(({ endpoints }) => endpoints.web?.length === 1)).toBe(true);
  });

  test("a Gateway that is deleted is said to be missing, and all is put back once it is made again", async () => {
    const reach = await start();
    reach.say(whole(task("one", "10.9.0.1"), task("two", "10.9.0.2")));
    await leadsTo(reach, { one: "10.9.0.1", two: "10.9.0.2" });
    await cluster.kubectl(["delete", "gateway", "gw", "-n", GATEWAY_NAMESPACE]);
    await eventually(() => {
      expect(reach.places).toEqual([]);
      expect(reach.problems.map(({ code, subject }) => `${subject} ${code}`)).toEqual(
        expect.arrayContaining(["far gateway_missing", "far/one gateway_missing"]),
      );
    });
    await cluster.apply([gatewayOf("gw")]);
    await leadsTo(reach, { one: "10.9.0.1", two: "10.9.0.2" });
    expect(reach.problems).toEqual([]);
  });

  test("two gates on one Gateway, and listeners of others: each has its own, and takes away no more", async () => {
    await edit(withListener(12_000));
    const reach = await start();
    const other = await start({ installation: "other00000" });
    reach.say(whole(task("one", "10.9.0.1"), task("two", "10.9.0.2")));
    other.say(whole(task("one", "10.8.0.1"), task("two", "10.8.0.2")));
    await leadsTo(reach, { one: "10.9.0.1", two: "10.9.0.2" });
    await leadsTo(other, { one: "10.8.0.1", two: "10.8.0.2" });
    expect(new Set([...reach.places, ...other.places].map((place) => place.split(":")[1])).size).toBe(4);
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
    await leadsTo(other, { one: "10.8.0.1", two: "10.8.0.2" });
    const { spec } = await gateway();
    expect(spec?.listeners?.map(({ port }) => port)).toEqual(expect.arrayContaining([1024, 12_000]));
    expect(spec?.listeners).toHaveLength(4);
  });

  test("somebody who writes the Gateway all the time keeps nothing from being made, and loses nothing", async () => {
    const reach = await start();
    const over = new AbortController();
    let turns = 0;
    const writing = (async () => {
      while (!over.signal.aborted) {
        turns += 1;
        await edit(withAnnotation("theirs/turn", String(turns)));
      }
    })();
    const pods = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`t${String(at)}`, `10.9.0.${String(at)}`]));
    reach.say(whole(...Object.entries(pods).map(([id, ip]) => task(id, ip))));
    await leadsTo(reach, pods);
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
    over.abort();
    await writing;
    expect((await gateway()).metadata.annotations?.["theirs/turn"]).toBe(String(turns));
    console.log(`written ${String(turns)} times by somebody else meanwhile`);
  });

  test("of two gates of one store the one that leads writes; when it is killed the other one goes on", async () => {
    const lease = `reach-${installation}`;
    const pods = { one: "10.9.0.1" };
    const options: WriterRun = {
      ...{ kubeconfig: cluster.kubeconfig, installation, pods, kill: 0 },
      lease: { name: lease, holder: "first" },
    };
    const first = spawn(process.execPath, [WRITER, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
    scope.defer(() => void first.kill("SIGKILL"));
    await once(createInterface(first.stdout), "line");
    const leadership = startLeaseLeadership({
      ...{ client, namespace: GATEWAY_NAMESPACE, name: lease, holder: "second", durationS: 3 },
      ...{ clock: systemClock, logger: silentLogger },
    });
    const second = await start({ leadership });
    second.say(whole(task("one", "10.9.0.1")));
    // It writes nothing, and knows where that is.
    await leadsTo(second, pods);
    const ended = once(first, "exit");
    first.kill("SIGKILL");
    await ended;
    second.say(whole(task("two", "10.9.0.2")));
    await leadsTo(second, { two: "10.9.0.2" });
    await eventually(async () => expect((await left()).length).toBe(4));
  });

  test("a leader that another one has replaced writes no more", async () => {
    const reach = await start();
    reach.say(whole(task("one", "10.9.0.1")));
    await leadsTo(reach, { one: "10.9.0.1" });
    await edit(withAnnotation(`taskgate.dev/fence-${installation}-far`, "1000"));
    await sleep(500);
    const { metadata } = await gateway();
    reach.say(whole());
    await sleep(1500);
    expect((await gateway()).metadata.resourceVersion).toBe(metadata.resourceVersion);
    expect((await left()).length).toBe(4);
  });

  test("namespaces that come later are as good as those that were there", async () => {
    const reach = await start();
    reach.say(whole());
    await cluster.kubectl(["create", "namespace", "later"]);
    afterThis(["delete", "namespace", "later", "--wait=false"]);
    reach.say(change([podTask("new", "later", [{ pod: "new-0", ip: "10.9.0.9" }])]));
    await leadsTo(reach, { new: "10.9.0.9" });
  });

  test("objects that others made under the names that ours would have stay theirs", async () => {
    const reach = await start();
    reach.say(whole(task("one", "10.9.0.1")));
    await leadsTo(reach, { one: "10.9.0.1" });
    const get = ["get", "service", "-n", "team", "-l", "taskgate.dev/gate", "-o", "jsonpath={.items[0].metadata.name}"];
    const name = await cluster.kubectl(get);
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
    const theirs = { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "team" } };
    await cluster.apply([{ ...theirs, spec: { ports: [{ port: 99 }] } }]);
    afterThis(["delete", "service", name, "-n", "team"]);
    reach.say(whole(task("one", "10.9.0.1")));
    await leadsTo(reach, { one: "10.9.0.1" });
    reach.say(whole());
    await eventually(async () => expect(await left()).toEqual([]));
    expect(await cluster.kubectl(["get", "service", name, "-n", "team", "-o", "jsonpath={.spec.ports[0].port}"])).toBe(
      "99",
    );
  });
});
