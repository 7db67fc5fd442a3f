import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../src/platform/clock.ts";
import type { KubernetesBounds } from "../src/platform/kubernetes/bounds.ts";
import { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../src/platform/kubernetes/kubeconfig.ts";
import { LeaseCandidate } from "../src/platform/kubernetes/lease.ts";
import { Mirror } from "../src/platform/kubernetes/mirror.ts";
import type { KubernetesObject } from "../src/platform/kubernetes/objects.ts";
import { recordEvent } from "../src/platform/kubernetes/record-event.ts";
import { EVENTS, LEASES, type Resource } from "../src/platform/kubernetes/resource.ts";
import { silentLogger } from "../src/platform/logger.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";

type ConfigMap = KubernetesObject & { readonly data?: Readonly<Record<string, string>> };
const CONFIG_MAPS: Resource<ConfigMap> = {
  apiVersion: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true,
};
const NAMESPACE = "default";
const WAIT = { timeout: 60_000, interval: 20 };
const { signal } = new AbortController();

/** A real API server and etcd, which these tests kill, pause, compact and cut off. */
describe.skipIf(NO_OWN_CLUSTER !== null)("the client against a real API server", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster("k", { kind: "api" });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  async function connect(bounds: Partial<KubernetesBounds> = {}): Promise<KubernetesClient> {
    const access = await loadKubeconfig([cluster.kubeconfig], null, systemClock);
    const client = new KubernetesClient({ cluster: access, clock: systemClock, bounds });
    onTestFinished(() => client[Symbol.dispose]());
    return client;
  }

  function configMap(name: string, value: string, group = "x"): ConfigMap {
    return { metadata: { namespace: NAMESPACE, name, labels: { group } }, data: { value } };
  }

  /** What is in `group`, followed; `heard` has what the mirror tells. */
  async function follow(group: string, bounds: Partial<KubernetesBounds> = {}) {
    const client = await connect({ mostPauseMs: 500, ...bounds });
    const heard: string[] = [];
    const mirror = new Mirror({
      client,
      resource: CONFIG_MAPS,
      scope: { namespace: NAMESPACE, labelSelector: `group=${group}` },
      keep: (object) => object.data?.value ?? "",
      changed: (keys) => heard.push(`changed ${[...keys].sort().join()}`),
      lost: (_since, error) => heard.push(`lost ${error.message}`),
      found: () => heard.push("found"),
      clock: systemClock,
      logger: silentLogger,
    });
    onTestFinished(() => mirror[Symbol.asyncDispose]());
    await vi.waitFor(() => expect(mirror.isListed).toBe(true), WAIT);
    const has = (what: Readonly<Record<string, string>>) =>
      vi.waitFor(() => {
        const known = [...mirror.objects].map(([key, value]) => [key.slice(NAMESPACE.length + 1), value] as const);
        expect(Object.fromEntries(known.sort())).toEqual(what);
      }, WAIT);
    return { heard, mirror, has, lost: () => heard.filter((what) => what.startsWith("lost")) };
  }

  test("writes by version, by apply and by name, and reads it back", async () => {
    const client = await connect();
    const made = await client.create(CONFIG_MAPS, configMap("written", "1"), signal);
    const next = await client.replace(CONFIG_MAPS, { ...made, data: { value: "2" } }, signal);
    await expect(client.replace(CONFIG_MAPS, made, signal)).rejects.toMatchObject({
      code: "conflict",
      reason: "Conflict",
    });
    await expect(client.create(CONFIG_MAPS, configMap("written", "1"), signal)).rejects.toMatchObject({
      reason: "AlreadyExists",
    });
    const mine = { metadata: next.metadata, data: { more: "3" } };
    const bare = { metadata: { namespace: NAMESPACE, name: "written" }, data: mine.data };
    const applied = await client.apply(CONFIG_MAPS, bare, { fieldManager: "taskgate", signal });
    expect(applied.data).toEqual({ value: "2", more: "3" });
    const theirs = { ...bare, data: { more: "4" } };
    await expect(client.apply(CONFIG_MAPS, theirs, { fieldManager: "other", signal })).rejects.toMatchObject({
      code: "conflict",
    });
    const forced = await client.apply(CONFIG_MAPS, theirs, { fieldManager: "other", force: true, signal });
    expect(forced.data).toEqual({ value: "2", more: "4" });
    const name = { namespace: NAMESPACE, name: "written" };
    await expect(client.remove(CONFIG_MAPS, { ...name, uid: "another" }, signal)).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await client.remove(CONFIG_MAPS, name, signal)).toBe(true);
    expect(await client.get(CONFIG_MAPS, name, signal)).toBeNull();
  });

  test("lists in pages what is there at one moment", async () => {
    const client = await connect({ pageObjects: 7 });
    await Promise.all(
      Array.from({ length: 30 }, (_, at) =>
        client.create(CONFIG_MAPS, configMap(`page-${String(at)}`, "", "pages"), signal),
      ),
    );
    const pages = [];
    const scope = { namespace: NAMESPACE, labelSelector: "group=pages" };
    for await (const page of client.list(CONFIG_MAPS, scope, signal)) pages.push(page);
    expect(pages.map(({ items }) => items.length)).toEqual([7, 7, 7, 7, 2]);
    expect(new Set(pages.map(({ resourceVersion }) => resourceVersion)).size).toBe(1);
  });

  test("says who is refused, and why", async () => {
    const access = await loadKubeconfig([cluster.kubeconfig], null, systemClock);
    const headers = { "impersonate-user": "nobody-in-particular" };
    using client = new KubernetesClient({ cluster: { ...access, headers }, clock: systemClock });
    const name = { namespace: NAMESPACE, name: "x" };
    await expect(client.get(CONFIG_MAPS, name, signal)).rejects.toMatchObject({ code: "denied", reason: "Forbidden" });
    const nobody = { get: () => Promise.resolve({}), refused: () => undefined };
    using stranger = new KubernetesClient({ cluster: { ...access, credentials: nobody }, clock: systemClock });
    const refusal = await stranger.get(CONFIG_MAPS, name, signal).catch((error: unknown) => error);
    expect(["denied", "unauthenticated"]).toContain((refusal as { readonly code: string }).code);
  });

  test("follows changes, goes on from there when the API server is killed and started, and loses nothing", async () => {
    const client = await connect();
    await client.create(CONFIG_MAPS, configMap("a", "1", "killed"), signal);
    const { has, lost } = await follow("killed");
    await has({ a: "1" });
    await client.create(CONFIG_MAPS, configMap("b", "1", "killed"), signal);
    await has({ a: "1", b: "1" });
    await cluster.stopPart("kube-apiserver");
    await vi.waitFor(() => expect(lost().length).toBeGreaterThan(0), WAIT);
    await has({ a: "1", b: "1" });
    await cluster.startPart("kube-apiserver");
    await ready();
    await client.remove(CONFIG_MAPS, { namespace: NAMESPACE, name: "a" }, signal);
    await has({ b: "1" });
  });

  test("lists anew after etcd was compacted while it was away, and tells what differs", async () => {
    const client = await connect();
    for (const name of ["a", "b"]) await client.create(CONFIG_MAPS, configMap(`c-${name}`, "1", "compacted"), signal);
    const old = (await client.get(CONFIG_MAPS, { namespace: NAMESPACE, name: "c-a" }, signal))?.metadata
      .resourceVersion;
    if (old === undefined) throw new Error("no version");
    const { has, heard } = await follow("compacted");
    await has({ "c-a": "1", "c-b": "1" });
    await cluster.stopPart("kube-apiserver");
    await cluster.startPart("kube-apiserver");
    await ready();
    await cluster.compact();
    await client.remove(CONFIG_MAPS, { namespace: NAMESPACE, name: "c-a" }, signal);
    await has({ "c-b": "1" });
    expect(heard.at(-1)).not.toMatch(/^lost/);
    const left = client.watch(CONFIG_MAPS, { namespace: NAMESPACE, resourceVersion: old }, signal);
    const events = (async () => {
      for await (const event of left) if (event.length > 0) return event;
      return [];
    })();
    await expect(events).rejects.toMatchObject({ isExpired: true });
  });

  test("notices a server that stands still, and one that is cut off, and keeps what it knew", async () => {
    const client = await connect();
    await client.create(CONFIG_MAPS, configMap("still", "1", "still"), signal);
    const { has, lost, heard } = await follow("still", { stallMs: 1000, watchStartMs: 1000, callMs: 1000 });
    await has({ still: "1" });
    cluster.pausePart("kube-apiserver");
    await vi.waitFor(() => expect(lost().at(-1)).toContain("no answer in time"), WAIT);
    await has({ still: "1" });
    cluster.resumePart("kube-apiserver");
    await vi.waitFor(() => expect(heard.at(-1)).toBe("found"), WAIT);
    await cluster.cutOff();
    const before = lost().length;
    await vi.waitFor(() => expect(lost().length).toBeGreaterThan(before), WAIT);
    await cluster.reconnect();
    await ready();
    const name = { namespace: NAMESPACE, name: "still" };
    await client.apply(
      CONFIG_MAPS,
      { metadata: name, data: { value: "2" } },
      { fieldManager: "t", force: true, signal },
    );
    await has({ still: "2" });
  });

  test("holds a Lease for one of several, whose server is killed meanwhile", async () => {
    const client = await connect({ tries: 1, callMs: 2000 });
    const started = performance.now();
    const elapsed = () => performance.now() - started;
    const spans: { readonly holder: string; readonly fence: number; readonly from: number; until: number }[] = [];
    const stop = new AbortController();
    const running = ["one", "two", "three"].map(async (holder, index) => {
      // Each an hour off from the others.
      const now = () => Date.now() + index * 3_600_000;
      const lease = { client, namespace: NAMESPACE, name: "writer", holder, durationS: 2 };
      const candidate = new LeaseCandidate({ ...lease, now, elapsed });
      while (!stop.signal.aborted) {
        const attempt = await candidate.attempt(signal).catch(() => null);
        if (attempt?.isHeld === true) {
          const last = spans.at(-1);
          if (last?.fence === attempt.fence) last.until = attempt.until;
          else spans.push({ holder, fence: attempt.fence, from: elapsed(), until: attempt.until });
        }
        await sleep(200);
      }
    });
    await vi.waitFor(() => expect(spans.length).toBe(1), WAIT);
    await cluster.stopPart("kube-apiserver");
    await sleep(3000);
    await cluster.startPart("kube-apiserver");
    await ready();
    const renewed = elapsed();
    await vi.waitFor(() => expect(spans.at(-1)!.until).toBeGreaterThan(renewed + 2000), WAIT);
    stop.abort();
    await Promise.all(running);
    for (const [index, span] of spans.entries()) {
      const before = spans[index - 1];
      if (before === undefined) continue;
      expect(span.from).toBeGreaterThanOrEqual(before.until);
      expect(span.fence).toBeGreaterThan(before.fence);
    }
    const kept = await client.get(LEASES, { namespace: NAMESPACE, name: "writer" }, signal);
    expect(kept?.spec?.leaseTransitions).toBe(spans.at(-1)!.fence);
  });

  test("tells Events, and counts what is told again", async () => {
    const client = await connect();
    const map = await client.create(CONFIG_MAPS, configMap("told", "1"), signal);
    const { name, uid } = map.metadata;
    const spec = {
      regarding: {
        apiVersion: "v1",
        kind: "ConfigMap",
        namespace: NAMESPACE,
        name,
        ...(uid === undefined ? {} : { uid }),
      },
      ...({ type: "Warning", reason: "Test", note: "it is so", action: "Tell", instance: "gate-0" } as const),
    };
    for (let time = 0; time < 3; time += 1) await recordEvent(client, { ...spec, now: Date.now() }, signal);
    const events = [];
    for await (const { items } of client.list(EVENTS, { namespace: NAMESPACE }, signal)) events.push(...items);
    const told = events.filter(({ regarding }) => regarding.name === "told");
    expect(told).toMatchObject([{ note: "it is so", series: { count: 3 } }]);
  });

  /** The API server answers again. */
  async function ready(): Promise<void> {
    await vi.waitFor(() => cluster.kubectl(["get", "--raw", "/readyz"]), { timeout: 60_000, interval: 200 });
  }
});
