import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startCluster } from "../testbed/kubernetes/start-cluster.ts";
import {
  startTaskGateway,
  TASK_GATEWAY_ADD_ONS,
  type TaskGatewayController,
} from "../testbed/kubernetes/task-gateway.ts";
import { PodWriter } from "../testbed/kubernetes/written-pods.ts";
import { settles, startGate } from "./kubernetes.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

const NAMESPACE = "bench";
/** All of them stay: with the placeholder and the first, a Gateway has room for 62. */
const PODS = 50;
const MOST_PODS = 62;
const ASK_EVERY_MS = 10;
const ENABLED = { "taskgate.dev/enabled": "true" };

/**
 * How long it takes until a pod that becomes ready answers through a Gateway, by each controller in turn: what the generator writes of a pod is
 * seen by the gate, becomes a listener, a Service and a TCPRoute, which the controller hands its Envoy and kube-proxy the node. One after the
 * other; each stays. Every pod is at the address of one server here.
 */
export const benchGateway: Suite = async (say, { rounds = PODS }) => {
  const rows: Row[] = [];
  for (const controller of ["contour", "envoy-gateway"] as const) {
    rows.push(...(await measure(say, controller, Math.min(rounds, MOST_PODS))));
  }
  return rows;
};

async function measure(
  say: (line: string) => void,
  controller: TaskGatewayController,
  pods: number,
): Promise<readonly Row[]> {
  await using scope = new AsyncDisposableStack();
  const options = { name: "bench", with: ["dns", TASK_GATEWAY_ADD_ONS[controller]], owner: process.pid } as const;
  const cluster = scope.use(await startCluster(options));
  const gateway = await startTaskGateway(cluster, controller, { name: "tasks", namespace: "task-gateway" });
  const writer = scope.use(await PodWriter.open(cluster.kubeconfig, NAMESPACE));
  const app = createServer((_request, response) => response.end("here")).listen(0, cluster.plan.hostAddress);
  scope.defer(() => void app.close());
  await once(app, "listening");
  const job = { ip: cluster.plan.hostAddress, port: (app.address() as AddressInfo).port, annotations: ENABLED };
  await writer.create("first", { ...job, isReady: true });
  const reach = { reach: "gateway-api", gateway: { gateways: [gateway], networkPolicy: false } };
  const provider = { kubeconfig: cluster.kubeconfig, namespaces: [NAMESPACE], ...reach };
  const gate = scope.use(await startGate(provider, "first"));
  say(`${controller}: ${String(pods)} pods become ready, one after the other …`);
  const times: number[] = [];
  for (let at = 0; at < pods; at += 1) {
    const name = `nb-${String(at)}`;
    await writer.create(name, { ...job, isReady: false });
    // It is known, and nobody answers yet.
    await settles(async () => (await gate.ask(name)) >= 500, ASK_EVERY_MS);
    const began = performance.now();
    await writer.tell(name, { ip: job.ip, isReady: true });
    await settles(async () => (await gate.ask(name)) === 200, ASK_EVERY_MS);
    times.push(performance.now() - began);
  }
  const of = (what: string, ms: number): Row => ({
    ...{ name: `${controller}, ${what}`, value: ms / 1000, unit: "s", ratio: null },
  });
  return [of("ready to first byte, p50", median(times)), of("ready to first byte, p99", quantile(times, 0.99))];
}
