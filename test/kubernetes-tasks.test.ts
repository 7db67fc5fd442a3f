import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { BUSYBOX_IMAGE } from "../testbed/kubernetes/images.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { startTestGate, type TestGate } from "./support/gate.ts";

const WAIT = { timeout: 90_000, interval: 50 };
const NAMESPACE = "team";

/** A real cluster with a real kubelet, and a gate outside of it. */
describe.skipIf(NO_OWN_CLUSTER !== null)("tasks in a real cluster", () => {
  let cluster: Cluster;
  let folder: string;
  beforeAll(async () => {
    cluster = await ownCluster("p");
    folder = mkdtempSync(join(tmpdir(), "taskgate-tasks-"));
    await cluster.kubectl(["create", "namespace", NAMESPACE]);
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cluster[Symbol.asyncDispose]();
  });

  async function startGate(kubeconfigs: Readonly<Record<string, string>>): Promise<TestGate> {
    const providers = Object.entries(kubeconfigs).map(([name, kubeconfig]) => ({
      ...{ type: "kubernetes", name, kubeconfig, namespaces: [NAMESPACE] },
      rights: [{ namespaces: ["*"], owners: ["local/*"] }],
    }));
    const path = join(folder, "config.yaml");
    writeFileSync(path, JSON.stringify({ providers, local: { enabled: false } }));
    const gate = await startTestGate({ config: path });
    onTestFinished(() => gate[Symbol.asyncDispose]());
    return gate;
  }

  async function says(gate: TestGate, name: string, expected: { readonly status: number; readonly body?: string }) {
    await vi.waitFor(async () => {
      const { status, body } = await gate.ask(`${name}.localhost`, "/", { headers: { connection: "close" } });
      expect(status).toBe(expected.status);
      if (expected.body !== undefined) expect(body.trim()).toBe(expected.body);
    }, WAIT);
  }

  test("a pod with one annotation is reachable by name, with login and not without", async () => {
    const gate = await startGate({ prod: cluster.kubeconfig });
    await cluster.apply([pod("one")]);
    await says(gate, "one", { status: 200, body: "one" });
    const answer = await gate.ask("one.localhost", "/", { anonymous: true });
    expect(answer.status).toBe(401);
    expect(await gate.task("one")).toMatchObject({ id: "prod/team.one", state: "running" });
    await cluster.kubectl(["delete", "pod", "one", "-n", NAMESPACE, "--now"]);
    await says(gate, "one", { status: 404 });
  });

  test("ranks of a Job are one task, each under its own name", async () => {
    const gate = await startGate({ prod: cluster.kubeconfig });
    const { spec, metadata } = pod("train");
    await cluster.apply([
      {
        ...{ apiVersion: "batch/v1", kind: "Job", metadata: { name: "train", namespace: NAMESPACE } },
        spec: {
          ...{ completions: 3, parallelism: 3, completionMode: "Indexed" },
          template: { metadata: { annotations: metadata.annotations }, spec: { ...spec, restartPolicy: "Never" } },
        },
      },
    ]);
    await vi.waitFor(async () => {
      const task = await gate.task("train");
      expect(
        task.services[0]?.replicas.filter(({ health }) => health === "healthy").map(({ replica }) => replica),
      ).toEqual(["0", "1", "2"]);
    }, WAIT);
    const [service] = (await gate.task("train")).services;
    for (const rank of ["0", "1", "2"]) {
      const host = new URL(service!.replicas.find(({ replica }) => replica === rank)!.url!).hostname;
      const { body } = await gate.ask(host, "/rank", { headers: { connection: "close" } });
      expect(body.trim()).toBe(rank);
    }
    await cluster.kubectl(["delete", "job", "train", "-n", NAMESPACE, "--grace-period=0", "--force"]);
  });

  test("a Deployment moves from version to version without a request that fails", async () => {
    const gate = await startGate({ prod: cluster.kubeconfig });
    await cluster.apply([deployment("v1")]);
    await says(gate, "web", { status: 200, body: "v1" });
    const moved = new AbortController();
    const statuses = new Map<number, number>();
    const asking = (async () => {
      while (!moved.signal.aborted) {
        const { status } = await gate.ask("web.localhost", "/", { headers: { connection: "close" } });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    })();
    await cluster.apply([deployment("v2")]);
    await cluster.kubectl(["rollout", "status", "deployment/web", "-n", NAMESPACE, "--timeout=90s"]);
    await says(gate, "web", { status: 200, body: "v2" });
    moved.abort();
    await asking;
    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(10);
    await cluster.kubectl(["delete", "deployment", "web", "-n", NAMESPACE, "--now"]);
  });

  test("a Service's pods are its endpoints, and a slice that names others' addresses is none", async () => {
    const gate = await startGate({ prod: cluster.kubeconfig });
    const { metadata, ...rest } = pod("behind");
    const annotations = { "taskgate.dev/enabled": "true" };
    const service = { name: "front", namespace: NAMESPACE };
    await cluster.apply([
      { ...rest, metadata: { ...metadata, annotations: {} } },
      {
        ...{ apiVersion: "v1", kind: "Service", metadata: { ...service, annotations } },
        spec: { selector: { app: "behind" }, ports: [{ name: "http", port: 80, targetPort: "web" }] },
      },
      {
        ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
        metadata: { name: "forged", namespace: NAMESPACE, labels: { "kubernetes.io/service-name": "front" } },
        ports: [{ name: "http", port: 6443 }],
        endpoints: [{ addresses: ["10.96.0.1"] }],
      },
    ]);
    await says(gate, "front", { status: 200, body: "behind" });
    for (let time = 0; time < 20; time += 1) {
      expect((await gate.ask("front.localhost", "/", { headers: { connection: "close" } })).status).toBe(200);
    }
    await cluster.kubectl(["delete", "service/front", "pod/behind", "-n", NAMESPACE, "--now"]);
  });

  test("what is wrong with an object is said of it, and its neighbours work", async () => {
    const gate = await startGate({ prod: cluster.kubeconfig });
    const { metadata, ...rest } = pod("bad");
    const annotations = { ...metadata.annotations, "taskgate.dev/services": "[" };
    await cluster.apply([{ ...rest, metadata: { ...metadata, annotations } }, pod("good")]);
    await says(gate, "good", { status: 200, body: "good" });
    const { stdout } = await gate.cli("ps");
    expect(stdout).toContain("taskgate.dev/services: expected JSON");
    await cluster.kubectl(["delete", "pod", "bad", "good", "-n", NAMESPACE, "--now"]);
  });

  test("two clusters at once: one that is cut off is stale and keeps its routes, the other goes on", async () => {
    await using other = await ownCluster("q", { kind: "api" });
    await other.kubectl(["create", "namespace", NAMESPACE]);
    await other.kubectl(["create", "serviceaccount", "default", "-n", NAMESPACE]);
    const gate = await startGate({ near: cluster.kubeconfig, far: other.kubeconfig });
    await cluster.apply([pod("near")]);
    await says(gate, "near", { status: 200, body: "near" });
    await other.apply([pod("far")]);
    await vi.waitFor(async () => expect((await gate.task("far")).state).toBe("starting"), WAIT);
    await other.stopPart("kube-apiserver");
    await vi.waitFor(async () => expect((await gate.cli("ps")).stdout).toContain("(stale)"), WAIT);
    expect((await gate.task("far")).state).toBe("starting");
    await says(gate, "near", { status: 200, body: "near" });
    await other.startPart("kube-apiserver");
    await vi.waitFor(async () => expect((await gate.cli("ps")).stdout).not.toContain("(stale)"), WAIT);
    await other.kubectl(["delete", "pod", "far", "-n", NAMESPACE, "--now"]);
    await vi.waitFor(() => expect(gate.task("far")).rejects.toThrow(), WAIT);
    await cluster.kubectl(["delete", "pod", "near", "-n", NAMESPACE, "--now"]);
  });

  /** Says `content` at `/`, and at `/rank` its index within a Job. Goes on for a while when it is to end, as programs do that finish what they do. */
  function pod(name: string, content = name) {
    const script =
      `mkdir /tmp/www; echo ${content} > /tmp/www/index.html; echo $JOB_COMPLETION_INDEX > /tmp/www/rank; ` +
      "trap 'sleep 1; kill %1; exit 0' TERM; httpd -f -p 8080 -h /tmp/www & wait";
    return {
      ...{ apiVersion: "v1", kind: "Pod" },
      metadata: {
        ...{ name, namespace: NAMESPACE, labels: { app: name } },
        annotations: { "taskgate.dev/enabled": "true" } as Record<string, string>,
      },
      spec: {
        terminationGracePeriodSeconds: 3,
        containers: [
          {
            ...{ name: "web", image: BUSYBOX_IMAGE, imagePullPolicy: "Never", command: ["sh", "-c", script] },
            ports: [{ name: "web", containerPort: 8080 }],
            readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    };
  }

  function deployment(content: string): object {
    const { metadata, spec } = pod("web", content);
    const { labels, annotations } = metadata;
    return {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: NAMESPACE } },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels, annotations }, spec } },
    };
  }
});
