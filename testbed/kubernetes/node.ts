import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { isSameProcess, processStart } from "../../src/platform/process-identity.ts";
import { readProcStat } from "../../src/platform/proc-stat.ts";
import { runProgram } from "../run-program.ts";
import { enterCgroups, joinCgroups, makeCgroups, mountCgroups } from "./cgroups.ts";
import type { Plan } from "./plan.ts";
import { until } from "./until.ts";

/** One process, for good: pids are used again. */
export interface ProcessId {
  readonly pid: number;
  /** As `processStart` spells it. */
  readonly start: string;
}

const START_MS = 10_000;
/** Nothing of whoever starts it gets in: no proxies, no settings. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

/**
 * What a kubelet sets for the whole machine, and to what. It finds these values set already, in files of the node's own, and leaves the
 * machine's as they are.
 */
const KERNEL_SETTINGS = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
} as const;

/**
 * Starts a node: namespaces of processes, mounts, network and cgroups, held by one process, the first of them. Whatever runs on the node is
 * gone when that one is, with its mounts, interfaces and packet filters: the kernel sees to that. It ends when `owner` does.
 */
export async function startNode(plan: Plan, owner: ProcessId | null): Promise<ProcessId> {
  makeCgroups(plan.cgroup);
  const settings = writeKernelSettings(join(plan.folder, "kernel-settings"));
  const script = join(plan.folder, "node.sh");
  const ready = join(plan.folder, "node-is-ready");
  writeFileSync(script, buildNodeScript(settings, ready));
  const logFile = join(plan.folder, "node.log");
  const unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh", script];
  const holder = await spawnDetached(logFile, [...enterCgroups(plan.cgroup), ...unshare]);
  const first = await waitFor(holder, logFile, () => childOf(holder));
  if (owner !== null) {
    const watch = 'while kill -0 "$1" 2>&-; do sleep 1; done; kill -9 "$2"';
    await spawnDetached(logFile, [
      ...joinCgroups(plan.cgroup),
      "sh",
      "-c",
      watch,
      "sh",
      String(owner.pid),
      String(first.pid),
    ]);
  }
  await waitFor(first, logFile, () => existsSync(ready) || undefined);
  await connect(plan, first);
  return first;
}

/** Runs a command on the node, to its end; standard output. Throws where it fails, with what it said. */
export function runOnNode(node: ProcessId, command: readonly string[]): Promise<string> {
  return runProgram("nsenter", [...entering(node), ...command]);
}

/** Starts a program on the node, which goes on when this process ends; its output is appended to the file. */
export async function startOnNode(
  plan: Plan,
  node: ProcessId,
  logFile: string,
  command: readonly string[],
): Promise<ProcessId> {
  const holder = await spawnDetached(logFile, [...joinCgroups(plan.cgroup), "nsenter", ...entering(node), ...command]);
  // nsenter waits for its child, the program.
  return waitFor(holder, logFile, () => childOf(holder));
}

/** Makes it stand still. */
export function suspend({ pid }: ProcessId): void {
  process.kill(pid, "SIGSTOP");
}

export function resume({ pid }: ProcessId): void {
  const waiting = readProcStat(pid)?.parent ?? 0;
  process.kill(pid, "SIGCONT");
  // nsenter stopped with its child (nsenter.c, `continue_as_child`); another parent takes no harm.
  if (waiting > 1) process.kill(waiting, "SIGCONT");
}

export function isAlive({ pid, start }: ProcessId): boolean {
  return isSameProcess(pid, start);
}

/** The network between this machine and the node. */
async function connect(plan: Plan, node: ProcessId): Promise<void> {
  const { link, hostAddress, nodeAddress } = plan;
  await runProgram("sh", [
    "-euc",
    `ip link add ${link} type veth peer name eth0 netns ${String(node.pid)}
     ip address add ${hostAddress}/24 dev ${link}
     ip link set ${link} up`,
  ]);
  await runOnNode(node, [
    ...["sh", "-euc"],
    `ip link set lo up
     ip address add ${nodeAddress}/24 dev eth0
     ip link set eth0 up
     ip route add default via ${hostAddress}
     echo 1 > /proc/sys/net/ipv4/ip_forward
     # A Service that kube-proxy has not come to is refused at once. Let go on its way, the connection would be known as one to nowhere, and
     # stay so.
     for chain in FORWARD OUTPUT; do iptables --append $chain --destination ${plan.serviceRange} --jump REJECT; done
     # Whoever is refused hears of it each time, not once a second.
     echo 0 > /proc/sys/net/ipv4/icmp_ratelimit`,
  ]);
  await runProgram("sh", [
    "-euc",
    `ip route add ${plan.podRange} via ${nodeAddress}
     ip route add ${plan.serviceRange} via ${nodeAddress}`,
  ]);
}

/** Cuts the node off this machine as a network does: what is sent goes nowhere, and nobody is told. */
export async function cutOff(node: ProcessId): Promise<void> {
  await runOnNode(node, ["ip", "link", "set", "eth0", "down"]);
}

/** Undoes `cutOff`. */
export async function reconnect(plan: Plan, node: ProcessId): Promise<void> {
  await runOnNode(node, ["sh", "-euc", `ip link set eth0 up; ip route replace default via ${plan.hostAddress}`]);
}

function writeKernelSettings(folder: string): readonly (readonly [file: string, setting: string])[] {
  mkdirSync(folder);
  return Object.entries(KERNEL_SETTINGS).map(([setting, value]) => {
    const file = join(folder, setting.replaceAll("/", "."));
    writeFileSync(file, `${value}\n`);
    return [file, `/proc/sys/${setting}`];
  });
}

function buildNodeScript(settings: readonly (readonly [string, string])[], ready: string): string {
  return `set -eu
hostname node
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
${mountCgroups()}
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir /run/lock /run/netns
${settings.map(([file, setting]) => `[ ! -e ${setting} ] || mount --bind '${file}' ${setting}`).join("\n")}
# Mounts that the kubelet makes are to show in containers.
mount --make-rshared /
touch '${ready}'
# The shell takes in whoever loses their parent.
sleep infinity & wait
`;
}

function entering({ pid }: ProcessId): readonly string[] {
  return [`--target=${String(pid)}`, "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--"];
}

async function spawnDetached(logFile: string, [program = "", ...args]: readonly string[]): Promise<ProcessId> {
  const log = openSync(logFile, "a", 0o600);
  try {
    const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log], cwd: "/", env: ENVIRONMENT });
    await once(child, "spawn");
    child.unref();
    return identify(child.pid ?? 0) ?? { pid: child.pid ?? 0, start: "" };
  } finally {
    closeSync(log);
  }
}

/** undefined: there is none, or no more. */
export function identify(pid: number): ProcessId | undefined {
  const start = processStart(pid);
  return start === null ? undefined : { pid, start };
}

function childOf(parent: ProcessId): ProcessId | undefined {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && readProcStat(name)?.parent === parent.pid)
    .map((name) => identify(Number(name)))
    .find((found) => found !== undefined);
}

/** What `find` finds, as long as the process is alive that it depends on. Throws, with the end of the file, where that ends or it takes long. */
async function waitFor<T>(owner: ProcessId, logFile: string, find: () => T | undefined): Promise<T> {
  let found: T | undefined;
  await until(
    () => (found = find()) !== undefined || !isAlive(owner),
    START_MS,
    () => lastLines(logFile),
  );
  if (found === undefined) throw new Error(`it did not start:\n${lastLines(logFile)}`);
  return found;
}

/** The end of a part's output. */
export function lastLines(logFile: string): string {
  return readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n");
}
