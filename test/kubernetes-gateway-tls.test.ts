import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { ReachView } from "../src/api/wire-reaches.ts";
import { NAMESPACE_NAME_LABEL, type NetworkPolicy } from "../src/platform/kubernetes/network-policy-objects.ts";
import { mayReach } from "../src/reach/gateway-api/testing/evaluate-policies.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { startTaskGateway, type TaskGateway } from "../testbed/kubernetes/task-gateway.ts";
import { answers, startClusterGate, WAIT } from "./support/cluster-gate.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import type { TestGate } from "./support/gate.ts";
import { jobNamespace, jobPod } from "./support/job-pod.ts";
import { OpenFlows } from "./support/open-flows.ts";

const NAMES = { web: "web", api: "grpc", raw: "tcp" };
const TEAM = "team";
const SECRET = "taskgate-tunnel-far";

interface Labelled {
  readonly metadata: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
}

/** What a Job makes of that pod: all its pods have the Job's name. */
function jobOf(pod: object): object {
  const { metadata, spec } = pod as {
    readonly metadata: { readonly annotations: object; readonly name: string };
    readonly spec: object;
  };
  const { annotations, ...named } = metadata;
  const template = {
    metadata: { annotations: { ...annotations, "taskgate.dev/name": named.name } },
    spec: { ...spec, restartPolicy: "Never" },
  };
  return { apiVersion: "batch/v1", kind: "Job", metadata: named, spec: { template } };
}

describe.each(["envoy-gateway", "contour"] as const)("what %s opens (Linux, as root)", (controller) => {
  describe.skipIf(NO_OWN_CLUSTER !== null)("", () => {
    let cluster: Cluster;
    let gateway: TaskGateway;
    let gate: TestGate;
    const scope = new AsyncDisposableStack();

    beforeAll(async () => {
      const addOn = controller === "contour" ? "contour-provisioner" : controller;
      cluster = scope.use(await ownCluster("u", { with: ["dns", addOn] }));
      [gateway] = await Promise.all([
        startTaskGateway(cluster, controller, { name: "tasks", namespace: "task-gateway" }),
        cluster.apply([...jobNamespace(TEAM), jobOf(jobPod(TEAM, "one"))]),
      ]);
      const { name, namespace, address } = gateway;
      const gateways = [{ name, namespace, address }];
      const far = {
        name: "far",
        kubeconfig: cluster.kubeconfig,
        namespaces: [TEAM],
        rights: [{ namespaces: [TEAM], ports: true }],
      };
      gate = scope.use(
        await startClusterGate([{ ...far, reach: "gateway-api", gateway: { gateways, tls: "terminate" } }]),
      );
    }, 400_000);
    afterAll(() => scope.disposeAsync());

    const json = async <T>(args: readonly string[]): Promise<T> =>
      JSON.parse(await cluster.kubectl([...args, "-o", "json"])) as T;
    const reach = async (): Promise<ReachView> =>
      (JSON.parse((await gate.cli("reach", "--json")).stdout) as { readonly reaches: readonly [ReachView] }).reaches[0];

    async function ports(): Promise<readonly number[]> {
      const { spec } = await json<{ spec: { listeners: readonly { port: number; protocol: string }[] } }>([
        "get",
        "gateway",
        gateway.name,
        "-n",
        gateway.namespace,
      ]);
      return spec.listeners.filter(({ protocol }) => protocol === "TLS").map(({ port }) => port);
    }

    async function shown(port: number): Promise<string> {
      const socket: TLSSocket = connectTls({ host: gateway.address, port, rejectUnauthorized: false });
      try {
        await once(socket, "secureConnect");
        return socket.getPeerX509Certificate()?.subjectAltName ?? "";
      } finally {
        socket.destroy();
      }
    }

    test("HTTP, WebSocket, gRPC and raw bytes come through TLS that the Gateway ends; nothing else is answered", async () => {
      await answers(gate, "one", { status: 200 }, "/who");
      await vi.waitFor(async () => {
        const { services } = await gate.task("one");
        expect(services.map(({ health }) => health)).toEqual(["healthy", "healthy", "healthy"]);
      }, WAIT);
      const token = { "x-taskgate-authorization": `Bearer ${gate.token()}` };
      const flows = new OpenFlows(gate, "one", NAMES);
      const open = [await flows.download(token), await flows.webSocket(token), await flows.grpc(token), await flows.connect(token)]; // prettier-ignore
      expect(open.map((flow) => flow.open)).toEqual([true, true, true, true]);
      for (const flow of open) flow[Symbol.dispose]();
      const listening = await ports();
      expect(listening).toHaveLength(3);
      for (const port of listening) expect(await shown(port)).toBe("DNS:gateway.taskgate.internal");
      const plain = connect({ host: gateway.address, port: listening[0]! });
      onTestFinished(() => void plain.destroy());
      plain.write("GET /who HTTP/1.1\r\nhost: x\r\n\r\n");
      const answered: Buffer[] = [];
      plain.on("data", (data: Buffer) => answered.push(data)).on("error", () => undefined);
      await new Promise((resolve) => plain.once("close", resolve));
      expect(Buffer.concat(answered).toString("latin1")).not.toContain("HTTP/1.1 200");
      expect((await reach()).advice.map(({ code }) => code)).not.toContain("gateway_plain_text");
    });

    test("a certificate that is gone is made again, and no request fails meanwhile for long", async () => {
      const serial = async () => (await json<{ data: Record<string, string> }>(["get", "secret", SECRET, "-n", gateway.namespace])).data["tls.crt"]; // prettier-ignore
      const before = await serial();
      await cluster.kubectl(["delete", "secret", SECRET, "-n", gateway.namespace]);
      // Looked at each minute; a gate that starts looks at once.
      await gate.kill("SIGKILL");
      await gate.up();
      await vi.waitFor(async () => expect(await serial()).not.toBe(before), WAIT);
      await answers(gate, "one", { status: 200 }, "/who");
    });

    test("its pods are found, and the task's policy lets in these", async () => {
      const { items } = await vi.waitFor(async () => {
        const found = await json<{ items: readonly NetworkPolicy[] }>(["get", "networkpolicies", "-n", TEAM]);
        expect(found.items).toHaveLength(1);
        return found;
      }, WAIT);
      const [job] = (await json<{ items: readonly [Labelled] }>(["get", "pods", "-n", TEAM])).items;
      const pod = ({ metadata: { namespace, labels } }: Labelled) =>
        ({ namespace, labels, namespaceLabels: { [NAMESPACE_NAME_LABEL]: namespace } }) as const;
      const proxies = (await json<{ items: readonly Labelled[] }>(["get", "pods", "-A"])).items.filter(({ metadata }) =>
        Object.entries(metadata.labels).some(([key, value]) => key.endsWith("gateway-name") && value === gateway.name),
      );
      expect(proxies.length).toBeGreaterThan(0);
      for (const proxy of proxies)
        expect(mayReach(items, { from: pod(proxy), to: pod(job), protocol: "TCP", port: 8080 })).toBe(true);
      const stranger = { namespace: "default", labels: {}, namespaceLabels: { [NAMESPACE_NAME_LABEL]: "default" } };
      expect(mayReach(items, { from: stranger, to: pod(job), protocol: "TCP", port: 8080 })).toBe(false);
      const codes = (await reach()).advice.filter(({ level }) => level !== "ok").map(({ code }) => code);
      expect(codes).toEqual([]);
      const doctor = await gate.cli("doctor");
      expect(doctor.stdout).toContain(`Gateway ${gateway.namespace}/${gateway.name} at ${gateway.address}`);
    });
  });
});
