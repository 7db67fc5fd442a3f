import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as plainRequest, type IncomingMessage } from "node:http";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { vi } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { selfSigned } from "../../src/dataplanes/testing/self-signed.ts";
import type { Cluster } from "../../testbed/kubernetes/cluster.ts";
import { TASK_GATEWAY_CLASSES, type TaskGatewayController } from "../../testbed/kubernetes/task-gateway.ts";
import { WAIT } from "./cluster-gate.ts";
import { type Answer, type Ask, ROOT, startTestGate, type TestGate } from "./gate.ts";

/** As the example files have it. */
export const NAMESPACE = "taskgate";
export const DOMAIN = "apps.example.com";
export const GATE_HOST = `taskgate.${DOMAIN}`;
const SECRET = "apps-example-com";
/** As the example's configuration has them. */
export const RAW_PORTS = Array.from({ length: 10 }, (_, at) => 20_000 + at);
const LISTENER_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, grpc: 9090 };

/** Objects of an example's file. */
export function exampleObjects(name: string): readonly { readonly kind: string }[] {
  return parseAllDocuments(readFileSync(join(ROOT, "examples/fronts", name), "utf8")).map(
    (document) => document.toJS() as { readonly kind: string },
  );
}

/** A Gateway of a real controller, and a gate of this machine that stands behind it, as the example's files say. */
export class FrontedGate implements AsyncDisposable {
  readonly cluster: Cluster;
  /** Of the Gateway. */
  readonly address: string;
  readonly certificate: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "taskgate-front-"));
  #gate: TestGate | null = null;

  private constructor(cluster: Cluster, address: string, certificate: string) {
    [this.cluster, this.address, this.certificate] = [cluster, address, certificate];
  }

  /** By Contour with its provisioner's class in place of the example's. */
  static async start(cluster: Cluster, controller: TaskGatewayController = "envoy-gateway"): Promise<FrontedGate> {
    const { certificate, key } = selfSigned([`*.${DOMAIN}`]);
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
      {
        ...{ apiVersion: "v1", kind: "Secret", metadata: { name: SECRET, namespace: NAMESPACE } },
        ...{ type: "kubernetes.io/tls", stringData: { "tls.crt": certificate, "tls.key": key } },
      },
      ...exampleObjects("gateway.yaml").map((gateway) => ofClass(gateway, TASK_GATEWAY_CLASSES[controller])),
    ]);
    const address = await ADDRESSES[controller]((args) => cluster.kubectl(["-n", NAMESPACE, ...args]));
    return new FrontedGate(cluster, address, certificate);
  }

  get gate(): TestGate {
    if (this.#gate === null) throw new Error("no gate was started");
    return this.#gate;
  }

  /** Starts the gate by the example's configuration; `front` in place of what it says, null for none of it. */
  async up(front: object | null = {}): Promise<void> {
    const example = parse(readFileSync(join(ROOT, "examples/fronts/config.yaml"), "utf8")) as Example;
    const { listen, front: written, ...rest } = example;
    const { kubeconfig, plan } = this.cluster;
    const config = {
      ...rest,
      listen: { ...listen, address: `${plan.hostAddress}:0`, forwarded: { from: [plan.podRange, plan.nodeAddress] } },
      ...(front !== null && { front: { ...written, kubeconfig, ...front } }),
    };
    const file = join(this.#folder, "config.yaml");
    writeFileSync(file, JSON.stringify(config));
    if (this.#gate === null) this.#gate = await startTestGate({ config: file, address: plan.hostAddress });
    else await this.#gate.up();
    await this.#leadToGate();
  }

  /** The Service without pods: the gate is on this machine. */
  async #leadToGate(): Promise<void> {
    const { port } = this.gate.file();
    const ports = [
      { name: "gate", port: 80, targetPort: port },
      ...RAW_PORTS.map((raw) => ({ name: `raw-${String(raw)}`, port: raw, targetPort: raw })),
    ];
    const metadata = { name: "taskgate", namespace: NAMESPACE };
    await this.cluster.apply([
      { apiVersion: "v1", kind: "Service", metadata, spec: { ports } },
      {
        ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": "taskgate" } },
        ports: ports.map(({ name, targetPort }) => ({ name, port: targetPort, protocol: "TCP" })),
        endpoints: [{ addresses: [this.cluster.plan.hostAddress], conditions: { ready: true } }],
      },
    ]);
  }

  /** A request as a visitor sends it, by a listener of the Gateway. */
  async ask(host: string, path: string, ask: Ask & { readonly listener?: "http" | "https" } = {}): Promise<Answer> {
    const { method = "GET", headers, body, anonymous = false, listener = "https" } = ask;
    const login = anonymous ? {} : { "x-taskgate-authorization": `Bearer ${this.gate.token()}` };
    const to = {
      ...{ host: this.address, port: LISTENER_PORTS[listener], method, path, agent: false as const },
      ...{ signal: AbortSignal.timeout(5000), headers: { host, ...login, ...headers } },
    };
    const tls = { servername: host, ca: this.certificate };
    const asked = listener === "http" ? plainRequest(to) : secureRequest({ ...to, ...tls });
    const [answer] = (await once(asked.end(body), "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) };
  }

  /** As `enter` wants to have it. */
  get way() {
    return {
      ask: (host: string, path: string, ask?: Ask) => this.ask(host, path, ask),
      token: () => this.gate.token(),
      file: () => ({ gateHost: GATE_HOST, address: this.address, port: 443 }),
    };
  }

  /** Once it answers as it should; the controller takes its time. */
  async answers(host: string, path: string, status: number): Promise<Answer> {
    return vi.waitFor(async () => {
      const answer = await this.ask(host, path);
      if (answer.status !== status) throw new Error(`${host}: ${String(answer.status)} ${answer.body}`);
      return answer;
    }, WAIT);
  }

  /** Names of the objects of a kind that the gate made in its namespace, or in all. */
  async made(kind: string, where: readonly string[] = ["-n", NAMESPACE]): Promise<readonly string[]> {
    const args = ["get", kind, ...where, "-l", "taskgate.dev/gate", "-o", "name"];
    return (await this.cluster.kubectl(args)).split("\n").filter((name) => name !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gate?.[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function ofClass(gateway: object, gatewayClassName: string): object {
  const { spec, ...rest } = gateway as { readonly spec: object };
  return { ...rest, spec: { ...spec, gatewayClassName } };
}

type Kubectl = (args: readonly string[]) => Promise<string>;

/** Waits until a Gateway works; its address. */
const ADDRESSES: Readonly<Record<TaskGatewayController, (kubectl: Kubectl) => Promise<string>>> = {
  async contour(kubectl) {
    await kubectl(["wait", "--for=create", "deployment/envoy-visitors", "--timeout=60s"]);
    for (const part of ["contour", "envoy"]) await kubectl(["rollout", "status", `deployment/${part}-visitors`]);
    await kubectl(["wait", "--for=condition=Programmed", "gateway/visitors", "--timeout=60s"]);
    return kubectl(["get", "service", "envoy-visitors", "-o", "jsonpath={.spec.clusterIP}"]);
  },
  async "envoy-gateway"(kubectl) {
    await kubectl(["wait", "--for=condition=Programmed", "gateway/visitors", "--timeout=120s"]);
    return kubectl(["get", "gateway", "visitors", "-o", "jsonpath={.status.addresses[0].value}"]);
  },
};

interface Example {
  readonly listen: object;
  readonly front: object;
}
