import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type GateFile, homeAt, readGateFile } from "../src/config/home.ts";
import { systemClock } from "../src/platform/clock.ts";
import { Mirror } from "../src/platform/kubernetes/mirror.ts";
import { PODS } from "../src/platform/kubernetes/resource.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { packageRoot } from "../src/platform/package-info.ts";
import { startCluster } from "../testbed/kubernetes/start-cluster.ts";
import { inParallel, PodWriter, type WrittenPod } from "../testbed/kubernetes/written-pods.ts";
import { exactCpuSeconds, residentKiB, start, stop, type Started } from "./machine.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

const NAMESPACE = "bench";
const PODS_OF_SIZES = [1000, 5000];
const CHANGES = 100;
const GIVE_UP_MS = 120_000;
/** Between two requests for a pod that is not ready yet. */
const ASK_EVERY_MS = 2;
const MOST_MS = 100;
const REST_MS = 5000;
/** Milliseconds a second below which a gate is at rest. */
const REST = 10;
const MOST_RESTS = 40;

/**
 * What tasks of a cluster cost: pods that a generator writes to a real API server, all at the address of one server here. Until a pod that
 * becomes ready answers through the gate, beside the time at which its event comes to another watch; memory, time to all, and one change.
 */
export const benchKubernetes: Suite = async (say, { rounds = CHANGES }) => {
  const rows: Row[] = [];
  for (const pods of PODS_OF_SIZES) rows.push(...(await measure(say, { pods, changes: rounds })));
  return rows;
};

async function measure(
  say: (line: string) => void,
  { pods, changes }: { readonly pods: number; readonly changes: number },
): Promise<readonly Row[]> {
  await using scope = new AsyncDisposableStack();
  const cluster = scope.use(await startCluster({ name: "bench", kind: "api", owner: process.pid }));
  const writer = scope.use(await PodWriter.open(cluster.kubeconfig, NAMESPACE));
  const app = createServer((_request, response) => response.end("here")).listen(0, cluster.plan.hostAddress);
  scope.defer(() => void app.close());
  await once(app, "listening");
  const job = { ip: cluster.plan.hostAddress, port: (app.address() as AddressInfo).port };
  say(`${String(pods)} pods are written …`);
  await inParallel(pods, (at) => writer.create(nameOf(at), { ...job, ...carried(at), isReady: true }));

  const provider = { kubeconfig: cluster.kubeconfig, namespaces: [NAMESPACE] };
  const gate = scope.use(await startGate(provider, nameOf(0)));
  const name = (what: string): string => `${String(pods)} pods, ${what}`;
  const of = (what: string, value: number, unit: string, most: number | null = null): Row => ({
    ...{ name: name(what), value, unit },
    ratio: most === null ? null : value / most,
  });
  say(`all are known after ${gate.wholeMs.toFixed(0)} ms; until the gate is at rest …`);
  const restMs = await costOfRest(gate);
  say(`${String(changes)} become ready …`);
  const memory = residentKiB(gate.pid) / 1024;
  const times = await followChanges(writer, gate, { pods, changes, job });
  const events = times.map(({ eventMs }) => eventMs);
  const answers = times.map(({ answerMs }) => answerMs);
  say(`${String(changes)} change without being asked for …`);
  const cpuMs = await costOfChange(writer, gate, { pods, changes, job });
  return [
    of("gate starts until all are known", gate.wholeMs, "ms"),
    of("memory of the gate", memory, "MiB"),
    of("watch event, p50", median(events), "ms"),
    of("watch event, p99", quantile(events, 0.99), "ms"),
    of("first 200, p50", median(answers), "ms", MOST_MS),
    of("first 200, p99", quantile(answers, 0.99), "ms", MOST_MS),
    of("at rest, processor", restMs, "ms/s"),
    of("one change, processor", cpuMs, "ms"),
  ];
}

function nameOf(at: number): string {
  return `nb-${String(at)}`;
}

/** What most pods carry about. */
function carried(at: number): Pick<WrittenPod, "annotations" | "labels"> {
  return {
    annotations: { "taskgate.dev/enabled": "true" },
    labels: { app: "notebook", team: `team-${String(at % 50)}` },
  };
}

/** A gate of one cluster alone. */
export interface BenchGate extends AsyncDisposable {
  readonly pid: number;
  /** From its start until it has heard of all. */
  readonly wholeMs: number;
  /** Status of a request to a task, with the owner's token. */
  ask(task: string): Promise<number>;
}

/** `first`: what it is to answer for before it is taken for started. */
export async function startGate(provider: object, first: string): Promise<BenchGate> {
  const home = mkdtempSync(join(tmpdir(), "tg-bench-"));
  const config = join(home, "config.json");
  const providers = [{ type: "kubernetes", name: "bench", ...provider }];
  const settings = { admin: { address: "127.0.0.1:0" }, log: { level: "warn" }, local: { enabled: false }, providers };
  writeFileSync(config, JSON.stringify(settings));
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("TASKGATE_"));
  const env = { ...Object.fromEntries(own), TASKGATE_HOME: home };
  const began = performance.now();
  const command = [join(packageRoot, "bin", "taskgate"), "up", "--listen", "127.0.0.1:0", "--config", config];
  const started = start("proxy", command, env);
  await until(started, () => Promise.resolve(readGateFile(homeAt(env)) !== null));
  const file = readGateFile(homeAt(env));
  if (file === null) throw new Error(`taskgate ended:\n${started.lastWords()}`);
  const agent = new Agent({ keepAlive: true });
  const token = readFileSync(homeAt(env).token, "utf8").trim();
  const ask = (task: string): Promise<number> => askGate(file, agent, { task, token });
  await until(started, async () => (await ask(first)) === 200);
  return {
    ...{ pid: file.pid, wholeMs: performance.now() - began, ask },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await stop(started);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function until(started: Started, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  while (!(await isSo())) {
    if (!started.running() || performance.now() > end) throw new Error(`it does not serve:\n${started.lastWords()}`);
    await sleep(5);
  }
}

function askGate(
  { address, port, domain }: GateFile,
  agent: Agent,
  { task, token }: { readonly task: string; readonly token: string },
): Promise<number> {
  const headers = { host: `${task}.${domain}:${String(port)}`, "x-taskgate-authorization": `Bearer ${token}` };
  const { promise, resolve } = Promise.withResolvers<number>();
  const asked = request({ host: address, port, agent, headers }, (answer) => {
    answer.resume().once("end", () => resolve(answer.statusCode ?? 0));
  });
  asked.once("error", () => resolve(0)).end();
  return promise;
}

interface Changing {
  readonly pods: number;
  readonly changes: number;
  readonly job: { readonly ip: string; readonly port: number };
}

/** Of each pod that becomes ready: when its event came to a watch of ours, and when it answered through the gate. */
async function followChanges(
  writer: PodWriter,
  gate: BenchGate,
  { pods, changes, job }: Changing,
): Promise<readonly { readonly eventMs: number; readonly answerMs: number }[]> {
  const heard = new Map<string, number>();
  await using mirror = new Mirror({
    ...{
      client: writer.client,
      resource: PODS,
      scope: { namespace: NAMESPACE },
      clock: systemClock,
      logger: silentLogger,
    },
    keep: ({ status }) => status?.conditions?.[0]?.status === "True",
    changed: (keys) => {
      for (const key of keys) if (mirror.objects.get(key) === true) heard.set(key, performance.now());
    },
    lost: () => undefined,
    found: () => undefined,
  });
  const times = [];
  for (let change = 0; change < changes; change += 1) {
    const at = Math.floor((change * pods) / changes);
    const name = nameOf(at);
    const key = `${NAMESPACE}/${name}`;
    await writer.tell(name, { ...job, isReady: false });
    await settles(async () => (await gate.ask(name)) !== 200);
    heard.delete(key);
    const began = performance.now();
    const written = writer.tell(name, { ...job, isReady: true });
    await settles(async () => (await gate.ask(name)) === 200);
    const answerMs = performance.now() - began;
    await written;
    await settles(() => Promise.resolve(heard.has(key)));
    times.push({ eventMs: (heard.get(key) ?? NaN) - began, answerMs });
  }
  return times;
}

/** Asks again and again until it is so. Throws where it never is. */
export async function settles(isSo: () => Promise<boolean>, everyMs = ASK_EVERY_MS): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("a change does not come through");
    await sleep(everyMs);
  }
}

/** Milliseconds of processor time that the gate takes in a second while nothing happens. */
async function costOfRest(gate: BenchGate): Promise<number> {
  let cost = Infinity;
  // Names are written down, and on each object where it is reached, fifty a second, for a while after everything serves.
  for (let time = 0; time < MOST_RESTS && cost > REST; time += 1) {
    const before = exactCpuSeconds(gate.pid);
    await sleep(REST_MS);
    cost = ((exactCpuSeconds(gate.pid) - before) * 1_000_000) / REST_MS;
  }
  return cost;
}

/** Milliseconds of the gate's processor time for one pod's change, of which nobody asks. */
async function costOfChange(writer: PodWriter, gate: BenchGate, { changes, job }: Changing): Promise<number> {
  const before = exactCpuSeconds(gate.pid);
  for (let change = 0; change < changes; change += 1) {
    await writer.tell(nameOf(change), { ...job, isReady: false });
    await writer.tell(nameOf(change), { ...job, isReady: true });
  }
  await settles(async () => (await gate.ask(nameOf(changes - 1))) === 200);
  return ((exactCpuSeconds(gate.pid) - before) * 1000) / (2 * changes);
}
