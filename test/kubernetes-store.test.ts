import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../src/platform/clock.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { secretName } from "../src/store/kubernetes/entry-secret.ts";
import { startLeaseLeadership } from "../src/store/kubernetes/lease-leadership.ts";
import { describeStore } from "../src/store/store.contract.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { createManualClock } from "../src/store/testing/manual-clock.ts";
import { openStoreGate, storeGate, storeName } from "./support/store-cluster.ts";

const WAIT = { timeout: 60_000, interval: 20 };
const UNAVAILABLE = { name: "GatewayError", code: "unavailable" };

/** On a real API server and etcd, which these tests kill and pause. */
describe.skipIf(NO_OWN_CLUSTER !== null)("on Kubernetes", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster("g", { kind: "api" });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  describeStore("kubernetes", (clock) => {
    const name = storeName();
    return Promise.resolve({
      async open() {
        const gate = await openStoreGate({ kubeconfig: cluster.kubeconfig, name, clock });
        const { store } = gate;
        const dispose = store[Symbol.asyncDispose].bind(store);
        return Object.assign(store, {
          async [Symbol.asyncDispose]() {
            await dispose();
            gate.client[Symbol.dispose]();
          },
        });
      },
      async [Symbol.asyncDispose]() {
        await cluster.kubectl(["delete", "secrets", "--selector", `taskgate.dev/store=${name}`]);
      },
    });
  });

  const open = (name: string) => storeGate({ kubeconfig: cluster.kubeconfig, name });

  test("is one store for all gates: what one writes another reads at once, and is told", async () => {
    const name = storeName();
    const [{ store: one }, { store: two }] = [await open(name), await open(name)];
    const told: unknown[] = [];
    two.watch("task", null, (key, entry) => told.push([key, entry?.value]));
    const version = await one.put("task", "a", 1, { version: null });
    expect(await two.get("task", "a")).toEqual({ value: 1, version });
    await vi.waitFor(() => expect(told).toEqual([["a", 1]]), WAIT);
    const both = await Promise.allSettled([one, two].map((store, n) => store.put("task", "a", n, { version })));
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const now = (await one.get("task", "a"))!;
    await two.remove("task", "a", now.version);
    expect(await one.get("task", "a")).toBeNull();
    await vi.waitFor(() => expect(told.at(-1)).toEqual(["a", undefined]), WAIT);
    await one.put("task", "a", "again", { version: null });
    expect((await two.get("task", "a"))?.value).toBe("again");
  });

  test("keeps stores of one namespace apart", async () => {
    const [{ store: one }, { store: two }] = [await open(storeName()), await open(storeName())];
    await one.put("task", "a", 1, { version: null });
    expect(await two.get("task", "a")).toBeNull();
    expect((await two.list("task")).size).toBe(0);
  });

  test("tells what is known while the API server is away, writes nothing, and has all of it afterwards", async () => {
    const name = storeName();
    const { store } = await open(name);
    const version = await store.put("token", "a", 1, { version: null });
    const told: unknown[] = [];
    store.watch("token", version, (key, entry) => told.push([key, entry?.value]));
    await cluster.stopPart("kube-apiserver");
    expect(await store.get("token", "a")).toEqual({ value: 1, version });
    expect([...(await store.list("token")).keys()]).toEqual(["a"]);
    await expect(store.get("token", "never heard of")).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.put("token", "b", 1, { version: null })).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.put("token", "a", 2, { version })).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.remove("token", "a", version)).rejects.toMatchObject(UNAVAILABLE);
    await cluster.startPart("kube-apiserver");
    await vi.waitFor(() => store.put("token", "a", 3, { version }), { timeout: 60_000, interval: 200 });
    await vi.waitFor(() => expect(told).toEqual([["a", 3]]), WAIT);
    const { store: other } = await open(name);
    expect((await other.get("token", "a"))?.value).toBe(3);
    await vi.waitFor(async () => expect(await store.get("token", "never heard of")).toBeNull(), WAIT);
  });

  test("answers within seconds while the API server stands still", async () => {
    const { store } = await open(storeName());
    const version = await store.put("token", "a", 1, { version: null });
    cluster.pausePart("kube-apiserver");
    try {
      const asked = performance.now();
      expect((await store.get("token", "a"))?.value).toBe(1);
      expect(performance.now() - asked).toBeLessThan(8000);
      await expect(store.put("token", "a", 2, { version })).rejects.toMatchObject(UNAVAILABLE);
    } finally {
      cluster.resumePart("kube-apiserver");
    }
    await vi.waitFor(async () => expect([1, 2]).toContain((await store.get("token", "a"))?.value), WAIT);
  });

  test("knows what somebody removed by hand, and is not hurt by what somebody broke", async () => {
    const name = storeName();
    const { store } = await open(name);
    for (const key of ["gone", "broken", "well"]) await store.put("task", key, key, { version: null });
    const told: unknown[] = [];
    store.watch("task", null, (key, entry) => told.push([key, entry?.value]));
    const named = (key: string) => secretName({ namespace: "default", store: name }, "task", key);
    await cluster.kubectl(["delete", "secret", named("gone")]);
    await vi.waitFor(() => expect(told).toContainEqual(["gone", undefined]), WAIT);
    expect(await store.get("task", "gone")).toBeNull();
    const value = Buffer.from("{").toString("base64");
    await cluster.kubectl(["patch", "secret", named("broken"), "--patch", JSON.stringify({ data: { value } })]);
    const { store: other } = await open(name);
    expect([...(await other.list("task")).keys()]).toEqual(["well"]);
    expect((await other.get("task", "well"))?.value).toBe("well");
  });

  test("takes what is gone out of the cluster after a while, and forgets it", async () => {
    const name = storeName();
    const clock = createManualClock(1_800_000_000_000);
    const { store } = await storeGate({ kubeconfig: cluster.kubeconfig, name, clock });
    const kept = await store.put("task", "kept", 1, { version: null });
    await store.put("code", "a", 1, { version: null, expiresAt: clock.now() + 1000 });
    await store.remove("task", "removed", await store.put("task", "removed", 1, { version: null }));
    const secrets = async () => {
      const args = ["get", "secrets", "--selector", `taskgate.dev/store=${name}`, "--output", "name"];
      return (await cluster.kubectl(args))
        .trim()
        .split("\n")
        .map((line) => line.slice(0, -64));
    };
    expect(await secrets()).toHaveLength(3);
    await vi.waitFor(async () => {
      clock.advance(600_000);
      expect((await secrets()).sort()).toEqual([`secret/${name}--`, `secret/${name}-task-`]);
    }, WAIT);
    expect(() => store.watch("task", kept, () => undefined)).toThrow(expect.objectContaining({ code: "conflict" }));
    expect((await store.get("task", "kept"))?.value).toBe(1);
    expect(await store.get("code", "a")).toBeNull();
  });

  test("does with the rights that docs/kubernetes.md lists, and says at once where it has none", async () => {
    const name = storeName();
    const rights = (await readFile(new URL("../docs/kubernetes.md", import.meta.url), "utf8")).split("## The gate's own state")[1] ?? ""; // prettier-ignore
    const role = /```yaml\n(apiVersion: rbac[\s\S]*?)```/.exec(rights)?.[1] ?? "";
    await cluster.kubectl(["create", "namespace", "taskgate"]);
    await cluster.kubectl(["apply", "--filename", "-"], role);
    const as = (user: string) => ({ kubeconfig: cluster.kubeconfig, name, namespace: "taskgate", as: user });
    const gate = await storeGate(as("system:serviceaccount:taskgate:taskgate"));
    const { store } = gate;
    const lead = startLeaseLeadership({ client: gate.client, namespace: "taskgate", name, holder: "a", clock: systemClock, logger: silentLogger, durationS: 15 }); // prettier-ignore
    const fence = await new Promise<number>((resolve) => {
      const leads = lead.lead("writer", async (signal, elected) => {
        resolve(elected);
        if (!signal.aborted) await once(signal, "abort");
      });
      onTestFinished(() => leads[Symbol.asyncDispose]());
    });
    const by = { fence: { lead: "writer", fence } };
    await store.remove("task", "a", await store.put("task", "a", 1, { version: null, ...by }));
    expect(await store.get("task", "a")).toBeNull();
    const asked = performance.now();
    await expect(storeGate(as("system:serviceaccount:taskgate:nobody"))).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - asked).toBeLessThan(15_000);
  });
});
