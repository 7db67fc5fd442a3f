import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { TaskView } from "../../src/api/wire.ts";
import { allocate } from "../../testbed/determined/allocation.ts";
import { command } from "../../testbed/determined/programs.ts";
import type { Cluster } from "../../testbed/kubernetes/cluster.ts";
import { raiseListenerLimit } from "../../testbed/kubernetes/gateway-api.ts";
import { TASKGATE_IMAGE } from "../../testbed/kubernetes/images.ts";
import {
  startTaskGateway,
  TASK_GATEWAY_ADD_ONS,
  type TaskGateway,
  type TaskGatewayController,
  type TaskGatewayOptions,
} from "../../testbed/kubernetes/task-gateway.ts";
import { answers, startClusterGate } from "./cluster-gate.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./cluster.ts";
import { DeterminedStand } from "./determined.ts";
import { ROOT, type TestGate } from "./gate.ts";
import { holdPorts } from "./held-ports.ts";
import { jobNamespace, jobPod } from "./job-pod.ts";
import { OpenFlows } from "./open-flows.ts";

const DETERMINED = "determined";
const JOBS = "jobs";
/** Commands that have so many ports each: 150 in all. */
const COMMANDS = 3;
const PORTS_EACH = Array.from({ length: 50 }, (_, index) => 8000 + index);
const RANGE = { gateway_port_range_start: 49_152, gateway_port_range_end: 65_535 };
const HELD = "held";
const NAMES = { web: "web", api: "grpc", raw: "tcp" };
/** Each round takes as many ports away as it adds. */
const ROUNDS = 4;
const PORTS_PER_ROUND = 25;
const SOON = { timeout: 100_000, interval: 300 };
/** Of a test in which hundreds of objects are written, and their statuses one by one. */
const LONG = { timeout: 300_000 };
const MADE = "services,endpointslices,tcproutes,listenersets,networkpolicies";

/** What is different between controllers. */
export interface ControllerCase {
  readonly controller: TaskGatewayController;
  /** Of the cluster. */
  readonly letter: string;
  /** The Deployment that runs it. */
  readonly deployment: readonly [namespace: string, name: string];
  /** A Gateway's own, where it is to have more than 64; null: all others are in ListenerSets. */
  readonly mostListeners: number | null;
}

/** The way to tasks through a real controller of Gateways, its own Envoy and real pods. */
export function describeTaskGateway(which: ControllerCase): void {
  describe.skipIf(NO_OWN_CLUSTER !== null)(`tasks behind a Gateway of ${which.controller} (Linux, as root)`, () => {
    const scope = new AsyncDisposableStack();
    let cluster: Cluster;
    let gateway: TaskGateway;
    let allocations: DeterminedStand;
    /** Has allocations of Determined, and no other tasks. */
    let gate: TestGate;
    /** Has the other tasks, on the same Gateway. */
    let other: TestGate;

    beforeAll(async () => {
      cluster = await ownCluster(which.letter, { with: ["dns", TASK_GATEWAY_ADD_ONS[which.controller]] });
      if (which.mostListeners !== null) await raiseListenerLimit(cluster, which.mostListeners);
      [gateway, allocations] = await Promise.all([
        startTaskGateway(cluster, which.controller, gatewayOptions(cluster)),
        DeterminedStand.start(cluster, DETERMINED),
        cluster.apply([...jobNamespace(JOBS), jobPod(JOBS, "one"), changingPod(0)]),
      ]);
      const { name, namespace, address } = gateway;
      const block = { gateway_name: name, gateway_namespace: namespace, gateway_ip: address, ...RANGE };
      [gate, other] = await Promise.all([
        allocations.startGate([{ kubeconfig: cluster.kubeconfig, internal_task_gateway: block }]),
        startClusterGate([otherProvider(cluster, gateway)]),
      ]);
      scope.use(gate);
      scope.use(other);
    });
    afterAll(() => scope.disposeAsync());

    const kubectl = (args: readonly string[]): Promise<string> => cluster.kubectl(args);
    const token = () => ({ "x-taskgate-authorization": `Bearer ${other.token()}` });
    /** Waits until each service of a task is reached. */
    const reached = (name: string) =>
      vi.waitFor(async () => {
        const healths = (await taskOf(other, name)).services.map(({ health }) => health);
        expect(healths).toEqual(healths.map(() => "healthy"));
      }, SOON);
    const openFlows = async () => {
      await reached("one");
      const flows = new OpenFlows(other, "one", NAMES);
      return Promise.all([
        ...[flows.download(token()), flows.webSocket(token())],
        ...[flows.grpc(token()), flows.connect(token())],
      ]);
    };

    test("allocations of Determined are reached by its own configuration, by who is logged in alone", async () => {
      await allocations.expectReached(gate);
    });

    test("another gate on the same Gateway has its own ports, and each takes away what is its own, also later", async () => {
      await answers(other, "one", { status: 200, body: "one" }, "/who");
      const before = await held(kubectl);
      await other.kill("SIGKILL");
      await kubectl(["-n", JOBS, "delete", "pod", "one", "--now"]);
      await allocations.expectBoard(gate);
      expect(await held(kubectl)).toEqual(before);
      await other.up();
      await vi.waitFor(async () => expect((await held(kubectl)).length).toBe(before.length - 3), SOON);
      await allocations.expectBoard(gate);
      await cluster.apply([jobPod(JOBS, "one")]);
      await answers(other, "one", { status: 200, body: "one" }, "/who");
    });

    test("connections to tasks that stay survive 200 changes of others", LONG, async () => {
      const flows = await openFlows();
      for (let round = 1; round <= ROUNDS; round += 1) {
        await cluster.apply([changingPod(round)]);
        await vi.waitFor(async () => expect(roundsOf(await held(kubectl))).toEqual([round]), SOON);
      }
      expect(flows.map(({ open }) => open)).toEqual([true, true, true, true]);
      for (const flow of flows) flow[Symbol.dispose]();
    });

    test("a controller that starts anew ends no connection and withdraws nothing", async () => {
      const flows = await openFlows();
      const [namespace, deployment] = which.deployment;
      await kubectl(["-n", namespace, "rollout", "restart", `deployment/${deployment}`]);
      await kubectl(["-n", namespace, "rollout", "status", `deployment/${deployment}`, "--timeout=90s"]);
      await answers(other, "one", { status: 200, body: "one" }, "/who");
      await cluster.apply([changingPod(ROUNDS + 1)]);
      await vi.waitFor(async () => expect(roundsOf(await held(kubectl))).toEqual([ROUNDS + 1]), SOON);
      await reached("changing");
      expect(flows.map(({ open }) => open)).toEqual([true, true, true, true]);
      for (const flow of flows) flow[Symbol.dispose]();
    });

    test("a Gateway that is deleted and made again gets its listeners again", async () => {
      const { name, namespace } = gateway;
      await kubectl(["-n", namespace, "delete", "gateway", name]);
      await vi.waitFor(async () => expect((await other.ask("one.localhost", "/who")).status).toBe(502), SOON);
      await startTaskGateway(cluster, which.controller, gatewayOptions(cluster));
      await answers(other, "one", { status: 200, body: "one" }, "/who");
      await allocations.expectReached(gate);
    });

    test("a port that the proxy has a connection of its own at is given up for another", LONG, async () => {
      const first = 40_000;
      await using during = new AsyncDisposableStack();
      const inTheWay = await vi.waitFor(async () => {
        // One that served the Gateway before may still be ending.
        const pods = await kubectl(["get", "pods", "-A", "-o", "name", "--sort-by=.metadata.creationTimestamp"]);
        const [, pod = ""] = [...pods.matchAll(/^pod\/(envoy-(?:task-gateway-)?tasks-.*)$/gm)].at(-1) ?? [];
        // Contour's listens 8,000 further.
        return await holdPorts(pod, [first, first + 8000]);
      }, SOON);
      during.use(inTheWay);
      await cluster.apply([...jobNamespace(HELD), rawPod(HELD, "unlucky", ["a:9000/tcp", "b:9001/tcp"])]);
      const range = `${String(first)}-${String(first + 9)}`;
      const unlucky = await startClusterGate([{ ...otherProvider(cluster, gateway, range), namespaces: [HELD] }]);
      during.use(unlucky);
      await vi.waitFor(async () => {
        const { services } = await taskOf(unlucky, "unlucky");
        expect(services.map(({ health }) => health)).toEqual(["healthy", "healthy"]);
      }, SOON);
      const ports = portsOf(await held(kubectl), `/${HELD}.`);
      expect(ports).toEqual([first + 1, first + 2]);
      await kubectl(["delete", "namespace", HELD, "--wait=false"]);
      await vi.waitFor(async () => expect(portsOf(await held(kubectl), `/${HELD}.`)).toEqual([]), SOON);
    });

    test("150 ports at once are reached on one block", LONG, async () => {
      const commands = Array.from({ length: COMMANDS }, () =>
        allocate({ ...command(PORTS_EACH), namespace: DETERMINED, user: "alice" }),
      );
      await cluster.apply(commands.flatMap(({ objects }) => objects));
      for (const { name, task } of commands) {
        await vi.waitFor(async () => {
          const { services, problems } = await taskOf(gate, name);
          expect(services).toHaveLength(PORTS_EACH.length);
          expect([services.filter(({ health }) => health !== "healthy"), problems]).toEqual([[], []]);
        }, SOON);
        for (const service of (await taskOf(gate, name)).services) {
          const port = Number(/\d+/.exec(service.name)?.[0]);
          // An Envoy may have a listener a moment before it knows the pod.
          await vi.waitFor(async () => {
            const { status, body } = await gate.ask(service.host ?? "", "/");
            expect(status, body).toBe(200);
            expect(JSON.parse(body)).toMatchObject({ task, port });
          }, SOON);
        }
      }
    });

    test("the sample of a Gateway for tasks is one that the API server takes", async () => {
      const sample = join(ROOT, "examples/kubernetes/task-gateway.yaml");
      await kubectl(["apply", "--dry-run=server", "-f", sample]);
    });

    test("nothing is left of it once the tasks are gone", async () => {
      await kubectl(["-n", DETERMINED, "delete", "jobs", "--all"]);
      for (const namespace of [DETERMINED, JOBS]) {
        await kubectl(["-n", namespace, "delete", "pods", "--all", "--force", "--grace-period=0"]);
      }
      await vi.waitFor(async () => {
        expect(await kubectl(["get", MADE, "-A", "-l", "taskgate.dev/gate", "-o", "name"])).toBe("");
        expect(await held(kubectl)).toEqual([]);
        const listeners = ["get", "gateway", gateway.name, "-n", gateway.namespace];
        expect(await kubectl([...listeners, "-o", "jsonpath={.spec.listeners[*].name}"])).toBe("placeholder");
      }, SOON);
    });
  });
}

function gatewayOptions({ plan }: Cluster): TaskGatewayOptions {
  return { name: "tasks", namespace: "task-gateway", address: plan.gatewayAddress };
}

function otherProvider({ kubeconfig }: Cluster, { name, namespace, address }: TaskGateway, ports = "20000-20499") {
  const gateway = { gateways: [{ name, namespace, address }], ports };
  return { name: "jobs", kubeconfig, namespaces: [JOBS], reach: "gateway-api", gateway };
}

/** A pod with ports that are others in each round: nothing but listeners, Services and routes comes of them. */
function changingPod(round: number): object {
  const services = Array.from(
    { length: PORTS_PER_ROUND },
    (_, at) => `round-${String(round)}-${String(at)}:${String(9000 + at)}/tcp`,
  );
  return rawPod(JOBS, "changing", services);
}

/** Answers with what it is told, at as many ports from 9000 on as there are services. */
function rawPod(namespace: string, name: string, services: readonly string[]): object {
  const annotations = { "taskgate.dev/enabled": "true", "taskgate.dev/services": services.join(", ") };
  const listen = `for (let at = 0; at < ${String(services.length)}; at += 1) net.createServer((s) => s.pipe(s)).listen(9000 + at)`;
  const container = { name: "job", image: TASKGATE_IMAGE, imagePullPolicy: "Never", command: ["node", "-e", listen] };
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, annotations } },
    spec: { terminationGracePeriodSeconds: 0, containers: [container] },
  };
}

/** By the API: many are asked for, often. */
async function taskOf(gate: TestGate, name: string): Promise<TaskView> {
  const { body } = await gate.ask(gate.file().gateHost, `/.taskgate/api/v1/tasks/${name}`);
  const task = JSON.parse(body) as TaskView | { readonly services?: undefined };
  if (task.services === undefined) throw new Error(body);
  return task;
}

/** Whose ports of Gateways and ListenerSets are. */
async function held(kubectl: (args: readonly string[]) => Promise<string>): Promise<readonly string[]> {
  const { items } = JSON.parse(await kubectl(["get", "gateways,listenersets", "-A", "-o", "json"])) as {
    readonly items: readonly { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }[];
  };
  const all = items.flatMap(({ metadata }) => Object.entries(metadata.annotations ?? {}));
  return all.filter(([key]) => key.startsWith("taskgate.dev/port-")).map(([key, value]) => `${key} ${value}`);
}

/** In order; of those whose holders have that in their names. */
function portsOf(all: readonly string[], part: string): readonly number[] {
  const ports = all
    .filter((each) => each.includes(part))
    .map((each) => Number(/^taskgate\.dev\/port-(\d+)/.exec(each)?.[1]));
  return ports.sort((a, b) => a - b);
}

function roundsOf(all: readonly string[]): readonly number[] {
  const rounds = all.flatMap((each) => /\/round-(\d+)-/.exec(each)?.slice(1).map(Number) ?? []);
  return [...new Set(rounds)].sort((a, b) => a - b);
}
