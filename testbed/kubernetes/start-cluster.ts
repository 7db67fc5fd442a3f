import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bootId } from "../../src/platform/process-identity.ts";
import { runProgram, say } from "../run-program.ts";
import { type AddOn, installAddOn } from "./add-ons.ts";
import { isReady, type NodeObject, startingApi, type StartingApi } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import { Cluster, partLog } from "./cluster.ts";
import {
  clusterNames,
  type ClusterRecord,
  isRunning,
  lockClusters,
  planOf,
  readRecord,
  writeRecord,
} from "./cluster-record.ts";
import { writeConfiguration } from "./configuration.ts";
import { importImages } from "./containers.ts";
import { makeImages } from "./images.ts";
import { identify, isAlive, lastLines, startNode, startOnNode, type ProcessId } from "./node.ts";
import { API_PARTS, commandOf, type PartName, type PartOptions } from "./parts.ts";
import { checkName, chooseNumber, type Plan } from "./plan.ts";
import { kubernetesPrograms, type Programs } from "./programs.ts";
import { hasRemains, removeCluster } from "./remove-cluster.ts";
import { until } from "./until.ts";

export interface ClusterOptions {
  /** See `checkName`. */
  readonly name: string;
  /** `api`: objects can be read and written, and nobody acts on them; it is up in three seconds. Default: `node`, a whole cluster. */
  readonly kind?: "node" | "api";
  /** Id of the process that the cluster ends with, also where that is killed. Default: it goes on until it is taken down. */
  readonly owner?: number;
  /** Breaks off the start, not what is built or installed first. */
  readonly signal?: AbortSignal;
  /** On top. Default: none. */
  readonly with?: readonly AddOn[];
}

const READY_MS = 120_000;

/** Why a cluster cannot be had on this machine; null: it can. */
export function whyNoCluster(): string | null {
  if (process.platform !== "linux") return "a cluster of one's own needs Linux";
  return process.getuid?.() === 0
    ? null
    : "a cluster of one's own needs root: it makes namespaces, mounts and network interfaces";
}

/**
 * The cluster of that name, started where it does not run: a real one, with one node. What is missing to start it is built or installed
 * first, and remains that a killed one left are removed. It outlives this process; whoever is done with it disposes of it, or says
 * `npm run testbed -- down`. Tells its progress on standard error. Throws where it does not start; then nothing is left of it.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  checkName(options.name);
  const impossible = whyNoCluster();
  if (impossible !== null) throw new Error(impossible);
  const programs = await kubernetesPrograms();
  const held = await lockClusters();
  try {
    await removeOrphans();
    if (!isThere(options)) await startNew(options, programs);
  } finally {
    held[Symbol.dispose]();
  }
  const cluster = new Cluster(options.name, programs);
  for (const addOn of options.with ?? []) await addTo(cluster, addOn);
  return cluster;
}

function isThere({ name, kind }: ClusterOptions): boolean {
  const record = readRecord(name);
  const hasNode = record?.parts.kubelet !== undefined;
  return record !== null && isRunning(record) && hasNode === (kind !== "api");
}

/** Those whose owner was killed have ended, and left their folders. */
async function removeOrphans(): Promise<void> {
  for (const name of clusterNames()) {
    const owner = readRecord(name)?.owner ?? null;
    if (owner !== null && !isAlive(owner)) await removeCluster(name);
  }
}

async function startNew({ name, kind, owner, signal }: ClusterOptions, programs: Programs): Promise<void> {
  signal?.throwIfAborted();
  if (hasRemains(name)) {
    say(`cluster ${name}: removing what is left of an earlier one …`);
    await removeCluster(name);
  }
  const plan = planOf({ name, number: await freeNumber() });
  mkdirSync(plan.folder, { recursive: true, mode: 0o700 });
  const record: ClusterRecord = {
    ...{
      name,
      number: plan.number,
      boot: bootId(),
      startedAt: Date.now(),
      node: null,
      parts: {},
      ready: false,
      addOns: [],
    },
    owner: owner === undefined ? null : (identify(owner) ?? null),
  };
  writeRecord(record);
  try {
    await new Start(plan, programs, record, signal ?? null).run(kind ?? "node");
  } catch (error) {
    await removeCluster(name);
    throw error;
  }
}

async function freeNumber(): Promise<number> {
  const taken = clusterNames().flatMap((name) => readRecord(name)?.number ?? []);
  const routes = JSON.parse(await runProgram("ip", ["-json", "route", "show", "table", "all"])) as {
    readonly dst: string;
  }[];
  return chooseNumber(
    new Set(taken),
    routes.map(({ dst }) => dst),
  );
}

/** One start of a cluster, from nothing until it is ready. */
class Start {
  readonly #plan: Plan;
  readonly #programs: Programs;
  readonly #signal: AbortSignal | null;
  readonly #began = Date.now();
  #record: ClusterRecord;
  #failure: { readonly error: unknown } | null = null;

  constructor(plan: Plan, programs: Programs, record: ClusterRecord, signal: AbortSignal | null) {
    this.#signal = signal;
    this.#plan = plan;
    this.#programs = programs;
    this.#record = record;
  }

  async run(kind: "node" | "api"): Promise<void> {
    const [plan, programs] = [this.#plan, this.#programs];
    this.#say("its node and certificates …");
    const node = await startNode(plan, this.#record.owner);
    this.#note({ node });
    const certificates = await makeCertificates(plan, join(plan.folder, "certificates"));
    const options: PartOptions = {
      plan,
      programs,
      certificates,
      files: writeConfiguration(plan, certificates, programs),
    };
    const images = kind === "node" ? this.#importImages(node, options) : Promise.resolve();
    await this.#allOf([images, this.#startKubernetes(kind, node, options)]);
    this.#note({ ready: true });
    this.#say("ready");
  }

  /** Waits for all of them also where one fails: whoever then removes the cluster is not to meet one at work. */
  async #allOf(tasks: readonly Promise<void>[]): Promise<void> {
    const noted = tasks.map((task) => task.catch((error: unknown) => (this.#failure ??= { error })));
    await Promise.all(noted);
    if (this.#failure !== null) throw this.#failure.error;
  }

  async #startKubernetes(kind: "node" | "api", node: ProcessId, options: PartOptions): Promise<void> {
    const api = startingApi(this.#plan, options.certificates);
    this.#say("etcd and the API server …");
    for (const part of API_PARTS) await this.#startPart(part, node, options);
    await this.#until(
      "the API server does not answer",
      "kube-apiserver",
      async () => (await api.get("/readyz")) !== null,
    );
    if (kind === "node") await this.#startWorkers(node, options, api);
  }

  /** Containers, and the images for them; nothing here needs the API. */
  async #importImages(node: ProcessId, options: PartOptions): Promise<void> {
    await this.#startPart("containerd", node, options);
    const archive = await makeImages(this.#programs, join(this.#plan.folder, "images"));
    await importImages(this.#programs, node, archive);
    rmSync(join(this.#plan.folder, "images"), { recursive: true });
    this.#say("images are imported");
  }

  async #startWorkers(node: ProcessId, options: PartOptions, api: StartingApi): Promise<void> {
    this.#say("controllers, scheduler, kubelet and kube-proxy …");
    for (const part of ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"] as const) {
      await this.#startPart(part, node, options);
    }
    const isUp = async (): Promise<boolean> => {
      const found = await api.get("/api/v1/nodes/node");
      // Pods need it, and a controller makes it.
      const account = await api.get("/api/v1/namespaces/default/serviceaccounts/default");
      return account !== null && found !== null && isReady(found as NodeObject);
    };
    await this.#until("the node is not ready", "kubelet", isUp);
  }

  async #startPart(part: PartName, node: ProcessId, options: PartOptions): Promise<void> {
    this.#signal?.throwIfAborted();
    const command = commandOf(part, options);
    const started = await startOnNode(this.#plan, node, partLog(this.#plan, part), command);
    this.#note({ parts: { ...this.#record.parts, [part]: { command, process: started } } });
  }

  #note(change: Partial<ClusterRecord>): void {
    this.#record = { ...this.#record, ...change };
    writeRecord(this.#record);
  }

  /** Throws, with what `part` said last, where it is not so in time; with what another part said, where that one ends. */
  #until(what: string, part: PartName, check: () => Promise<boolean>): Promise<void> {
    const said = (of: PartName): string => lastLines(partLog(this.#plan, of));
    const checkParts = (): Promise<boolean> => {
      this.#signal?.throwIfAborted();
      if (this.#failure !== null) throw this.#failure.error;
      const ended = Object.entries(this.#record.parts).find(([, { process }]) => !isAlive(process))?.[0] as
        PartName | undefined;
      if (ended !== undefined) throw new Error(`${ended} ended:\n${said(ended)}`);
      return check();
    };
    return until(checkParts, READY_MS, () => `${what}:\n${said(part)}`);
  }

  #say(what: string): void {
    say(`cluster ${this.#plan.name}: ${what} (${((Date.now() - this.#began) / 1000).toFixed(1)} s)`);
  }
}

async function addTo(cluster: Cluster, addOn: AddOn): Promise<void> {
  const record = readRecord(cluster.name);
  if (record === null || record.addOns.includes(addOn)) return;
  say(`cluster ${cluster.name}: ${addOn} …`);
  await installAddOn(cluster, addOn);
  writeRecord({ ...record, addOns: [...record.addOns, addOn] });
}
