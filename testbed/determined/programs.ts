import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { debianProgram } from "../debian-program.ts";
import { PYTHON_IMAGE } from "../kubernetes/images.ts";
import { pythonEnvironment } from "../python/environment.ts";
import type { AllocationSpec, Program } from "./allocation.ts";
import type { MasterAuthority } from "./master-authority.ts";
import type { RunFile } from "./run-archive.ts";

/** What one program of an allocation is, without where and whose it is. */
export type ProgramSpec = Pick<AllocationSpec, "type" | "ports" | "program" | "pods">;

const JUPYTER = "/run/determined/jupyter";
const SSH = "/run/determined/ssh";
const SERVER = "/run/determined/serve.py";
const serverSource = (): string => readFileSync(new URL("serve.py", import.meta.url), "utf8");

/** Folders with all that programs of this machine are linked with. */
const MACHINE = ["/usr", "/lib", "/lib64"];

/** Something small that answers at these ports, by HTTP and WebSocket. */
export function standIn(
  ports: readonly { readonly port: number; readonly tls?: boolean }[],
  files: Program["files"] = {},
): Program {
  return {
    image: PYTHON_IMAGE,
    command: ["python3", SERVER],
    env: { SERVE: JSON.stringify(ports), PYTHONUNBUFFERED: "1" },
    files: { [SERVER]: { text: serverSource() }, ...files },
  };
}

/** A small program in place of JupyterLab, which lets nobody in without a certificate by the master's authority. */
export async function smallNotebook(authority: MasterAuthority, port = 2950): Promise<ProgramSpec> {
  return { type: "NOTEBOOK", ports: [port], program: standIn([{ port, tls: true }], await notebookFiles(authority)) };
}

/** A small program in place of TensorBoard: pages, and WebSockets, which TensorBoard has none of. */
export function smallTensorBoard(port = 2650): ProgramSpec {
  return { type: "TENSORBOARD", ports: [port], program: standIn([{ port }]) };
}

/** A trial of several pods, each of which answers at all of its `proxy_ports`. */
export function trial(pods: number, ports: readonly number[]): ProgramSpec {
  // The first is where ranks meet.
  return { type: "TRIAL", pods, ports: [1734, ...ports], program: standIn(ports.map((port) => ({ port }))) };
}

/** A command with so many `proxy_ports`. */
export function command(ports: readonly number[]): ProgramSpec {
  return { type: "COMMAND", ports, program: standIn(ports.map((port) => ({ port }))) };
}

/** JupyterLab itself, as the master's notebook-entrypoint.sh starts it; beyond that it asks for the master's certificate. */
export async function jupyterLab(
  authority: MasterAuthority,
  { port = 2951, token }: { readonly port?: number; readonly token: string },
): Promise<ProgramSpec> {
  const { bin } = await pythonEnvironment();
  const options = [
    "--ServerApp.port=$NOTEBOOK_PORT",
    "--ServerApp.allow_origin='*'",
    "--ServerApp.base_url=/proxy/$DET_TASK_ID/",
    "--ServerApp.allow_root=True",
    `--ServerApp.certfile=${JUPYTER}/jupyterCert.pem`,
    `--ServerApp.keyfile=${JUPYTER}/jupyterKey.key`,
    `--ServerApp.client_ca=${JUPYTER}/masterCa.pem`,
    "--ServerApp.ip='*'",
    "--ServerApp.open_browser=False",
    "--ServerApp.token=$DET_NOTEBOOK_TOKEN",
    "--ServerApp.trust_xheaders=True",
    "--ServerApp.root_dir=/tmp",
  ];
  const program: Program = {
    image: PYTHON_IMAGE,
    command: ["/bin/sh", "-c", `exec ${bin}/jupyter lab ${options.join(" ")}`],
    env: { NOTEBOOK_PORT: String(port), DET_NOTEBOOK_TOKEN: token, HOME: "/tmp" },
    files: await notebookFiles(authority),
    folders: [...MACHINE, dirname(bin)],
  };
  return { type: "NOTEBOOK", ports: [port], program };
}

/** TensorBoard itself, below the path that the master has it at. */
export async function tensorBoard(port = 2651): Promise<ProgramSpec> {
  const { bin } = await pythonEnvironment();
  const run = `exec ${bin}/tensorboard --logdir /tmp --port ${String(port)} --bind_all --path_prefix /proxy/$DET_TASK_ID`;
  const program: Program = {
    image: PYTHON_IMAGE,
    command: ["/bin/sh", "-c", run],
    env: { HOME: "/tmp" },
    folders: [...MACHINE, dirname(bin)],
  };
  return { type: "TENSORBOARD", ports: [port], program };
}

/** An OpenSSH server, started as the master's shell-entrypoint.sh starts it. `authorizedKey`: as ssh-keygen writes it. */
export function shell(keys: { readonly hostKey: string; readonly authorizedKey: string }, port = 3250): ProgramSpec {
  const sshd = debianProgram("openssh-server", ["/usr/sbin/sshd"]);
  const config = [
    `Port ${String(port)}`,
    `HostKey ${SSH}/id_rsa`,
    `AuthorizedKeysFile ${SSH}/authorized_keys`,
    ...["StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin yes", "PermitUserEnvironment yes"],
  ];
  const users = "root:x:0:0:root:/root:/bin/sh\nsshd:x:74:74:sshd:/run/sshd:/bin/false\n";
  const run = [
    "mkdir -p /run/sshd",
    `cp ${SSH}/authorized_keys_unmodified ${SSH}/authorized_keys`,
    `chmod 600 ${SSH}/authorized_keys`,
    `exec ${sshd} -f ${SSH}/sshd_config -D -e`,
  ];
  const program: Program = {
    image: PYTHON_IMAGE,
    command: ["/bin/sh", "-c", run.join(" && ")],
    files: {
      [`${SSH}/id_rsa`]: { text: keys.hostKey, mode: 0o600 },
      [`${SSH}/authorized_keys_unmodified`]: { text: keys.authorizedKey },
      [`${SSH}/sshd_config`]: { text: `${config.join("\n")}\n` },
      "/etc/passwd": { text: users },
    },
    folders: MACHINE,
  };
  return { type: "SHELL", ports: [port], program };
}

/** What the master packs for a notebook, and its authority, which it does not. */
async function notebookFiles({ certificate, issue }: MasterAuthority): Promise<Readonly<Record<string, RunFile>>> {
  const own = await issue();
  return {
    [`${JUPYTER}/jupyterCert.pem`]: { text: own.certificate, mode: 0o600 },
    [`${JUPYTER}/jupyterKey.key`]: { text: own.key, mode: 0o600 },
    [`${JUPYTER}/masterCa.pem`]: { text: certificate },
  };
}
