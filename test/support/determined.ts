import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { stringify } from "yaml";
import { expect, vi } from "vitest";
import { allocate, type Allocation } from "../../testbed/determined/allocation.ts";
import { makeMasterAuthority, type MasterAuthority } from "../../testbed/determined/master-authority.ts";
import { shell, smallNotebook, smallTensorBoard, trial, type ProgramSpec } from "../../testbed/determined/programs.ts";
import type { TestCluster } from "./cluster.ts";
import { enter } from "./enter.ts";
import { ROOT, startTestGate, type TestGate } from "./gate.ts";

const WAIT = { timeout: 60_000, interval: 300 };
/** Ports of a trial, at every rank. */
export const TRIAL_PORTS = [5000, 5001] as const;
const PODS = 4;

/** A resource manager of Determined's configuration. */
export interface ManagerSpec {
  readonly cluster?: string;
  readonly kubeconfig: string;
  /** Absent: none. */
  readonly internal_task_gateway?: Readonly<Record<string, unknown>>;
}

interface Made {
  readonly namespace: string;
  readonly authority: MasterAuthority;
  /** With keys and configuration files. */
  readonly folder: string;
  readonly programs: Readonly<
    Record<"notebook" | "board" | "shell" | "trial", ProgramSpec & { readonly trial?: number }>
  >;
}

/** What a master has at work in a namespace of a cluster: one of each kind. Disposing takes it away. */
export class DeterminedStand implements AsyncDisposable {
  readonly namespace: string;
  readonly authority: MasterAuthority;
  readonly notebook: Allocation;
  readonly board: Allocation;
  readonly shell: Allocation;
  readonly trial: Allocation;
  readonly #cluster: TestCluster;
  readonly #folder: string;

  private constructor(cluster: TestCluster, { namespace, authority, folder, programs }: Made) {
    this.#cluster = cluster;
    this.#folder = folder;
    this.namespace = namespace;
    this.authority = authority;
    const own = { namespace, user: "alice" };
    this.notebook = allocate({ ...own, ...programs.notebook });
    this.board = allocate({ ...own, ...programs.board });
    this.shell = allocate({ ...own, ...programs.shell });
    this.trial = allocate({ ...own, ...programs.trial });
  }

  /** `master`: one that is at work in another cluster already. */
  static async start(cluster: TestCluster, namespace: string, master?: DeterminedStand): Promise<DeterminedStand> {
    const folder = mkdtempSync(join(tmpdir(), "taskgate-determined-"));
    for (const name of ["host", "user"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, name)]);
    }
    const keys = {
      hostKey: readFileSync(join(folder, "host"), "utf8"),
      authorizedKey: readFileSync(join(folder, "user.pub"), "utf8"),
    };
    const known = master?.authority ?? (await makeMasterAuthority());
    const programs = {
      notebook: await smallNotebook(known),
      board: smallTensorBoard(),
      shell: shell(keys),
      trial: { ...trial(PODS, TRIAL_PORTS), trial: master === undefined ? 42 : 43 },
    };
    const stand = new DeterminedStand(cluster, { namespace, authority: known, folder, programs });
    writeFileSync(join(folder, "ca.pem"), known.certificate);
    writeFileSync(join(folder, "cert.pem"), known.master.certificate);
    writeFileSync(join(folder, "key.pem"), known.master.key, { mode: 0o600 });
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }]);
    await cluster.apply(stand.all.flatMap(({ objects }) => objects));
    return stand;
  }

  get all(): readonly Allocation[] {
    return [this.notebook, this.board, this.shell, this.trial];
  }

  /** A gate by a master.yaml with these resource managers, with the master's certificates, and alice its own. */
  async startGate(managers: readonly ManagerSpec[], more: object = {}): Promise<TestGate> {
    const master = join(this.#folder, "master.yaml");
    writeFileSync(master, masterYaml(managers));
    const config = join(this.#folder, "gate.json");
    const tls = { authority: "ca.pem", certificate: "cert.pem", key: "key.pem" };
    const rights = [{ namespaces: [this.namespace], owners: ["local/*"] }];
    const determined = { config: master, namespaces: [this.namespace], rights, writeStatus: false, tls, ...more };
    writeFileSync(config, JSON.stringify({ local: { enabled: false }, determined }));
    return await startTestGate({ config });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster.kubectl(["delete", "namespace", this.namespace, "--wait=false"]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Waits until all of it is reached through the gate, with login before it. */
  async expectReached(gate: TestGate): Promise<void> {
    await this.expectNotebook(gate);
    await this.expectBoard(gate);
    await this.expectTrial(gate);
    await this.expectShell(gate);
  }

  /** Over mutual TLS: it says whom it was shown. */
  async expectNotebook(gate: TestGate): Promise<void> {
    const path = `/proxy/${this.notebook.task}/lab?a=1`;
    await vi.waitFor(async () => expect(await said(gate, this.notebook.name, path)).toMatchObject({ task: this.notebook.task, path, peer: "Determined Master" }), WAIT); // prettier-ignore
    const { status } = await gate.ask(`${this.notebook.name}.localhost`, path, { anonymous: true });
    expect(status).toBe(401);
  }

  /** By HTTP and WebSocket, as a browser that has logged in. */
  async expectBoard(gate: TestGate): Promise<void> {
    const path = `/proxy/${this.board.task}/`;
    await vi.waitFor(async () => expect(await said(gate, this.board.name, path)).toMatchObject({ task: this.board.task, path }), WAIT); // prettier-ignore
    const { services } = await gate.task(this.board.name);
    expect(new URL(services[0]?.url ?? "").pathname).toBe(path);
    const host = `${this.board.name}.localhost`;
    const cookie = await enter(gate, host, gate.token(), path);
    expect(await echoed(gate, { host, path: `${path}ws`, cookie }, "hello, board")).toBe("hello, board");
    await expect(echoed(gate, { host, path: `${path}ws`, cookie: "" }, "x")).rejects.toThrow("401");
  }

  /** Each rank by its own name, at each port. */
  async expectTrial(gate: TestGate): Promise<void> {
    for (const port of TRIAL_PORTS) {
      const replicas = await vi.waitFor(async () => {
        const { services } = await gate.task(this.trial.name);
        const found = services.find(({ name }) => name === `port-${String(port)}`)?.replicas ?? [];
        expect(found.filter(({ health }) => health === "healthy").length).toBe(PODS);
        return found;
      }, WAIT);
      for (const { replica, url } of replicas) {
        await vi.waitFor(async () => {
          const { body } = await gate.ask(new URL(url!).hostname, "/");
          expect(JSON.parse(body)).toMatchObject({ pod: replica, port, allocation: this.trial.id });
        }, WAIT);
      }
    }
  }

  /** `ssh`, by `taskgate forward`: raw TCP that asks who comes. */
  async expectShell(gate: TestGate): Promise<void> {
    const forward = `${join(ROOT, "bin/taskgate")} forward --stdio ${this.shell.name}/ssh`;
    const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", `ProxyCommand=${forward}`, "LogLevel=ERROR"]; // prettier-ignore
    const args = [...options.flatMap((option) => ["-o", option]), "-i", join(this.#folder, "user"), "root@shell", "echo in $HOSTNAME"]; // prettier-ignore
    await vi.waitFor(async () => {
      const ssh = spawn("ssh", args, { env: { ...gate.environment }, stdio: ["ignore", "pipe", "pipe"] });
      const [out, err] = await Promise.all([text(ssh.stdout), text(ssh.stderr)]);
      expect(out, err).toContain(`in ${this.shell.job}`.slice(0, 60));
    }, WAIT);
  }
}

/** As its master reads it. */
export function masterYaml(managers: readonly ManagerSpec[]): string {
  const [first, ...others] = managers.map(({ cluster, kubeconfig, internal_task_gateway }) => ({
    ...{ type: "kubernetes", max_slots_per_pod: 1, kubeconfig_path: kubeconfig },
    ...(cluster === undefined ? {} : { cluster_name: cluster }),
    ...(internal_task_gateway === undefined ? {} : { internal_task_gateway }),
  }));
  return stringify({
    db: { user: "postgres", host: "db" },
    port: 8080,
    resource_manager: first,
    additional_resource_managers: others.map((manager) => ({
      resource_manager: manager,
      resource_pools: [{ pool_name: `pool-${manager.cluster_name ?? ""}` }],
    })),
  });
}

async function said(gate: TestGate, task: string, path: string): Promise<unknown> {
  const { status, body } = await gate.ask(`${task}.localhost`, path);
  if (status !== 200) throw new Error(`${task}: ${String(status)} ${body.slice(0, 300)}`);
  return JSON.parse(body);
}

/** What comes back for one message of at most 125 bytes on a WebSocket. */
function echoed(
  gate: TestGate,
  { host, path, cookie }: { readonly host: string; readonly path: string; readonly cookie: string },
  message: string,
): Promise<string> {
  const { port, address } = gate.file();
  const headers = {
    ...{ host: `${host}:${String(port)}`, cookie, origin: `http://${host}:${String(port)}` },
    ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
    "sec-websocket-key": Buffer.alloc(16).toString("base64"),
  };
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | message.length, 0, 0, 0, 0]), Buffer.from(message)]);
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port, path, headers, agent: false });
    sent.on("response", (answer) => reject(new Error(`no WebSocket: ${String(answer.statusCode)}`)));
    sent.on("error", reject);
    sent.on("upgrade", (_answer, socket) => {
      let got = Buffer.alloc(0);
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the WebSocket ended")));
      socket.on("data", (data: Buffer) => {
        got = Buffer.concat([got, data]);
        if (got.length < 2 + message.length) return;
        resolve(got.subarray(2).toString());
        socket.destroy();
      });
      socket.write(frame);
    });
    sent.end();
  });
}
