import { rmSync } from "node:fs";
import { join } from "node:path";
import { clustersFolder, type ClusterRecord, planOf, readRecord, writeRecord } from "./cluster-record.ts";
import { importImages } from "./containers.ts";
import { runHelm } from "./helm.ts";
import { makeProgramImages, type ProgramImage } from "./images.ts";
import { adminKubeconfig } from "./kubeconfig.ts";
import { applyFiles, applyObjects, runKubectl } from "./kubectl.ts";
import {
  cutOff,
  isAlive,
  lastLines,
  reconnect,
  resume,
  runOnNode,
  startOnNode,
  suspend,
  type ProcessId,
} from "./node.ts";
import type { PartName } from "./parts.ts";
import type { Plan } from "./plan.ts";
import type { Programs } from "./programs.ts";
import { removeCluster } from "./remove-cluster.ts";
import { until } from "./until.ts";

const GONE_MS = 10_000;

/** A cluster of this machine's that runs: what tests and people do with it. */
export class Cluster implements AsyncDisposable {
  readonly plan: Plan;
  /** File by which one may do everything. */
  readonly kubeconfig: string;
  readonly #programs: Programs;

  constructor(name: string, programs: Programs) {
    this.plan = planOf(recordOf(name));
    this.kubeconfig = adminKubeconfig(this.plan.folder);
    this.#programs = programs;
  }

  get name(): string {
    return this.plan.name;
  }

  /** Runs kubectl; its standard output. Throws where it fails, with what it said. */
  kubectl(args: readonly string[], input = ""): Promise<string> {
    const kubectl = { program: this.#programs.kubectl, kubeconfig: this.kubeconfig, folder: this.plan.folder };
    return runKubectl(kubectl, args, input);
  }

  /** Writes objects, whoever else has written them. */
  async apply(objects: readonly object[]): Promise<void> {
    await this.kubectl(...applyObjects(objects));
  }

  /** The same for files, and folders of them. */
  async applyFiles(paths: readonly string[]): Promise<void> {
    await this.kubectl(applyFiles(paths));
  }

  /** Runs Helm; its standard output. Throws where it fails, with what it said. What it keeps for itself stays in the cluster's folder. */
  helm(args: readonly string[]): Promise<string> {
    return runHelm({ kubeconfig: this.kubeconfig, folder: this.plan.folder }, args);
  }

  /** Adds images for pods, each of a program and what it is linked with; those of the same name are replaced. */
  async addImages(images: readonly ProgramImage[]): Promise<void> {
    const folder = join(this.plan.folder, "more-images");
    rmSync(folder, { recursive: true, force: true });
    await importImages(this.#programs, this.#node(), await makeProgramImages(this.#programs, images, folder));
    rmSync(folder, { recursive: true });
  }

  isPartAlive(part: PartName): boolean {
    return isAlive(this.#part(part).process);
  }

  /** Ends a part and waits until it is gone. */
  async stopPart(part: PartName, signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    const { process: stopped } = this.#part(part);
    if (isAlive(stopped)) process.kill(stopped.pid, signal);
    await until(
      () => !isAlive(stopped),
      GONE_MS,
      () => `${part} does not end`,
    );
  }

  /** Starts a part again that has ended; whether it is ready is another matter. */
  async startPart(part: PartName): Promise<void> {
    const { command } = this.#part(part);
    const started = await startOnNode(this.plan, this.#node(), partLog(this.plan, part), command);
    const record = recordOf(this.name);
    writeRecord({ ...record, parts: { ...record.parts, [part]: { command, process: started } } });
  }

  /** Makes a part stand still: its connections stay open, and nothing comes. */
  pausePart(part: PartName): void {
    suspend(this.#part(part).process);
  }

  resumePart(part: PartName): void {
    resume(this.#part(part).process);
  }

  /** The end of what a part has said. */
  partLog(part: PartName): string {
    return lastLines(partLog(this.plan, part));
  }

  /** Cuts the cluster off this machine as a broken network does: nobody is told. */
  cutOff(): Promise<void> {
    return cutOff(this.#node());
  }

  reconnect(): Promise<void> {
    return reconnect(this.plan, this.#node());
  }

  /** Runs a command on the node: its network and mounts, this machine's files; standard output. */
  run(command: readonly string[]): Promise<string> {
    return runOnNode(this.#node(), command);
  }

  /** Forgets all of etcd's past: who then goes on from an older version of the list is told 410. */
  async compact(): Promise<void> {
    const api = "http://127.0.0.1:2379/v3/kv/";
    const post = (path: string, body: object): Promise<string> =>
      this.run(["busybox", "wget", "-q", "-O", "-", `--post-data=${JSON.stringify(body)}`, `${api}${path}`]);
    const { header } = JSON.parse(await post("range", { key: "AA==" })) as {
      readonly header: { readonly revision: string };
    };
    await post("compaction", { revision: header.revision, physical: true });
  }

  /** Ends it, and leaves nothing of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await removeCluster(this.name);
  }

  #node(): ProcessId {
    const { node } = recordOf(this.name);
    if (node === null) throw new Error(`cluster ${this.name} has no node yet`);
    return node;
  }

  #part(part: PartName): NonNullable<ClusterRecord["parts"][PartName]> {
    const found = recordOf(this.name).parts[part];
    if (found === undefined) throw new Error(`cluster ${this.name} has no ${part}`);
    return found;
  }
}

export function partLog(plan: Plan, part: PartName): string {
  return join(plan.folder, `${part}.log`);
}

function recordOf(name: string): ClusterRecord {
  const record = readRecord(name);
  if (record === null) throw new Error(`there is no cluster ${name} in ${clustersFolder()}`);
  return record;
}
