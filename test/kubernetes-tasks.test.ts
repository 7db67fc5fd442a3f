import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { BUSYBOX_IMAGE } from "../testbed/kubernetes/images.ts";
import { answers, startClusterGate, WAIT } from "./support/cluster-gate.ts";
import { NO_CLUSTER, sharedCluster, type TestCluster } from "./support/cluster.ts";
import type { TestGate } from "./support/gate.ts";

const NAMESPACE = "tasks";

/** Tasks that are more than one pod, by a real kubelet and real controllers, and a gate outside of the cluster. */
describe.skipIf(NO_CLUSTER !== null)("tasks in a real cluster", () => {
  let cluster: TestCluster;
  let gate: TestGate;
  beforeAll(async () => {
    cluster = await sharedCluster();
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }]);
    gate = await startClusterGate([{ name: "prod", kubeconfig: cluster.kubeconfig, namespaces: [NAMESPACE] }]);
  });
  afterAll(async () => {
    await gate[Symbol.asyncDispose]();
    await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
  });

  test("ranks of a Job are one task, each under its own name", async () => {
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
      const { body } = await gate.ask(host, "/rank");
      expect(body.trim()).toBe(rank);
    }
    await cluster.kubectl(["delete", "job", "train", "-n", NAMESPACE, "--grace-period=0", "--force"]);
  });

  test("a Service's pods are its endpoints, and a slice that names others' addresses is none", async () => {
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
    await answers(gate, "front", { status: 200, body: "behind" });
    for (let time = 0; time < 20; time += 1) {
      expect((await gate.ask("front.localhost", "/")).status).toBe(200);
    }
    await cluster.kubectl(["delete", "service/front", "pod/behind", "-n", NAMESPACE, "--now"]);
  });

  test("what is wrong with an object is said of it, and its neighbours work", async () => {
    const { metadata, ...rest } = pod("bad");
    const annotations = { ...metadata.annotations, "taskgate.dev/services": "[" };
    await cluster.apply([{ ...rest, metadata: { ...metadata, annotations } }, pod("good")]);
    await answers(gate, "good", { status: 200, body: "good" });
    const { stdout } = await gate.cli("ps");
    expect(stdout).toContain("taskgate.dev/services: expected JSON");
    await cluster.kubectl(["delete", "pod", "bad", "good", "-n", NAMESPACE, "--now"]);
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
});
