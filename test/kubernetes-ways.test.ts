import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { BUSYBOX_IMAGE, TASKGATE_IMAGE } from "../testbed/kubernetes/images.ts";
import { answers, startClusterGate, WAIT } from "./support/cluster-gate.ts";
import { NO_CLUSTER, sharedCluster, type TestCluster } from "./support/cluster.ts";
import { get } from "./support/cluster-web.ts";
import { enter } from "./support/enter.ts";
import { PLANE, ROOT, type TestGate } from "./support/gate.ts";
import { OpenFlows } from "./support/open-flows.ts";

const NAMESPACE = `ways-${PLANE}`;
const PORTS = { web: 8080, grpc: 8081, tcp: 8082 };
const NAMES = { web: "web", api: "grpc", raw: "tcp" };

/** Real pods with a real kubelet, and a gate outside of the cluster. */
describe.skipIf(NO_CLUSTER !== null)(`ways into pods: ${PLANE}`, () => {
  let cluster: TestCluster;
  let gate: TestGate;
  beforeAll(async () => {
    cluster = await sharedCluster();
    const job = readFileSync(join(ROOT, "test/support/endless.mjs"), "utf8");
    const metadata = { name: "job", namespace: NAMESPACE };
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
      { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "endless.mjs": job } },
    ]);
    gate = await startClusterGate([{ name: "prod", kubeconfig: cluster.kubeconfig, namespaces: [NAMESPACE] }]);
  });
  afterAll(async () => {
    await gate[Symbol.asyncDispose]();
    await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
    await cluster.kubectl(["delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0"]);
  });

  const token = () => ({ "x-taskgate-authorization": `Bearer ${gate.token()}` });
  const flowsOf = (task: string) => new OpenFlows(gate, task, NAMES);
  const addressOf = (pod: string) =>
    cluster.kubectl(["get", "pod", pod, "-n", NAMESPACE, "-o", "jsonpath={.status.podIP}"]);
  /** What came to a pod, as it says itself to who asks it past the gate. */
  const seenAt = async (address: string) =>
    JSON.parse(await get(address, { port: PORTS.web, path: "/seen" })) as Readonly<Record<string, number>>;

  test("a pod with one annotation is reached by name over HTTP, WebSocket, gRPC and TCP, and by nobody without login", async () => {
    await cluster.apply([pod("one", { "taskgate.dev/enabled": "true" })]);
    await answers(gate, "one", { status: 200, body: "one" }, "/who");
    expect(await gate.task("one")).toMatchObject({ id: `prod/${NAMESPACE}.one`, state: "running", staleSince: null });
    const flows = flowsOf("one");
    const address = await addressOf("one");
    const before = await seenAt(address);
    expect((await gate.ask("one.localhost", "/", { anonymous: true })).status).toBe(401);
    await expect(flows.webSocket({})).rejects.toThrow("401");
    await expect(flows.grpc({})).rejects.toThrow();
    await expect(flows.connect({})).rejects.toThrow("401");
    expect(await seenAt(address)).toEqual(before);

    const cookie = await enter(gate, flows.host("web"));
    const rpcCookie = await enter(gate, flows.host("api"));
    const opened = await Promise.all([
      ...[token(), { cookie }].flatMap((by) => [flows.download(by), flows.webSocket(by)]),
      ...[token(), { cookie: rpcCookie }].map((by) => flows.grpc(by)),
      ...[flows.connect(token()), flows.forward(gate.token())],
    ]);
    for (const flow of opened) flow[Symbol.dispose]();
    expect(await seenAt(address)).toEqual({ http: before.http! + 2, webSocket: 2, grpc: 2, tcp: 2 });
  });

  test("one that is not ready gets nobody new, and keeps who it has", async () => {
    await cluster.apply([pod("tired", { "taskgate.dev/enabled": "true" })]);
    await answers(gate, "tired", { status: 200 });
    const address = await addressOf("tired");
    using socket = await flowsOf("tired").webSocket(token());
    await tell(address, "/unready");
    await answers(gate, "tired", { status: 502 });
    const before = await seenAt(address);
    await refusesAll("tired", 502);
    expect(await seenAt(address)).toEqual(before);
    expect(socket.open).toBe(true);
    await tell(address, "/rested");
    await answers(gate, "tired", { status: 200 });
    expect(socket.open).toBe(true);
  });

  test("one that is to end gets nobody new, and keeps who it has until it ends; its successor gets who comes", async () => {
    const annotations = { "taskgate.dev/enabled": "true", "taskgate.dev/name": "moved" };
    await cluster.apply([pod("old", annotations)]);
    await answers(gate, "moved", { status: 200, body: "old" }, "/who");
    const address = await addressOf("old");
    using socket = await flowsOf("moved").webSocket(token());
    await cluster.kubectl(["delete", "pod", "old", "-n", NAMESPACE, "--wait=false"]);
    await answers(gate, "moved", { status: 503 });
    const before = await seenAt(address);
    await refusesAll("moved", 503);
    expect(await seenAt(address)).toEqual(before);
    await cluster.apply([pod("new", annotations)]);
    await answers(gate, "moved", { status: 200, body: "new" }, "/who");
    for (let time = 0; time < 20; time += 1) expect((await gate.ask("moved.localhost", "/who")).body).toBe("new");
    expect(socket.open).toBe(true);
    await tell(address, "/end");
    await vi.waitFor(() => expect(socket.open).toBe(false), WAIT);
    await answers(gate, "moved", { status: 200, body: "new" }, "/who");
  });

  test("a Deployment moves from version to version without a request that fails", async () => {
    await cluster.apply([deployment("v1")]);
    await answers(gate, "web", { status: 200, body: "v1" });
    const moved = new AbortController();
    const statuses = new Map<number, number>();
    const asking = (async () => {
      while (!moved.signal.aborted) {
        const { status } = await gate.ask("web.localhost", "/");
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    })();
    await cluster.apply([deployment("v2")]);
    await cluster.kubectl(["rollout", "status", "deployment/web", "-n", NAMESPACE, "--timeout=90s"]);
    await answers(gate, "web", { status: 200, body: "v2" });
    moved.abort();
    await asking;
    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(10);
  });

  /** New requests and WebSockets, which all get the gate's page. */
  async function refusesAll(task: string, status: number): Promise<void> {
    for (let time = 0; time < 5; time += 1) {
      expect((await gate.ask(`${task}.localhost`, "/")).status).toBe(status);
      await expect(flowsOf(task).webSocket(token())).rejects.toThrow(String(status));
    }
  }

  /** Past the gate. */
  async function tell(address: string, path: string): Promise<void> {
    const asked = request({ method: "PUT", host: address, port: PORTS.web, path, agent: false });
    // It may end before it answers.
    asked.on("response", (answer) => answer.resume()).on("error", () => undefined);
    const over = new Promise((resolve) => asked.once("close", resolve));
    asked.end();
    await over;
  }

  /** Runs test/support/endless.mjs beside taskgate's packages. It takes no notice when it is to end, as the first process of a container may. */
  function pod(name: string, annotations: Readonly<Record<string, string>>): object {
    const ports = Object.entries(PORTS).map(([portName, containerPort]) => ({ name: portName, containerPort }));
    const numbers = Object.values(PORTS).map((port, at) => ({
      name: `TASKGATE_PORT_${String(at)}`,
      value: String(port),
    }));
    const path = "/opt/taskgate/endless.mjs";
    return {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAMESPACE, annotations } },
      spec: {
        ...{ terminationGracePeriodSeconds: 90, automountServiceAccountToken: false },
        volumes: [{ name: "job", configMap: { name: "job" } }],
        containers: [
          {
            ...{ name: "job", image: TASKGATE_IMAGE, imagePullPolicy: "Never", command: ["node", path], ports },
            env: [...numbers, { name: "ENDLESS_ADDRESS", value: "0.0.0.0" }],
            volumeMounts: [{ name: "job", mountPath: path, subPath: "endless.mjs" }],
            readinessProbe: { httpGet: { path: "/ready", port: "web" }, periodSeconds: 1, failureThreshold: 1 },
          },
        ],
      },
    };
  }

  /** Says `content`, and ends as soon as it is told to. */
  function deployment(content: string): object {
    const labels = { app: "web" };
    const script =
      `mkdir /tmp/www; echo ${content} > /tmp/www/index.html; trap 'kill %1; exit 0' TERM; ` +
      "httpd -f -p 8080 -h /tmp/www & wait";
    const container = {
      ...{ name: "web", image: BUSYBOX_IMAGE, imagePullPolicy: "Never", command: ["sh", "-c", script] },
      ports: [{ name: "web", containerPort: 8080 }],
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
    };
    const template = {
      metadata: { labels, annotations: { "taskgate.dev/enabled": "true" } },
      spec: { terminationGracePeriodSeconds: 3, containers: [container] },
    };
    return {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: NAMESPACE } },
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
    };
  }
});
