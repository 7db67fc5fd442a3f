import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { readProcStat } from "../src/platform/proc-stat.ts";

/** Which processors a process of the bench runs on. */
export type Place = "proxy" | "load";

/** Ticks of utime and stime: USER_HZ is 100 on every Linux that Node runs on (proc_pid_stat(5)). */
const TICK_SECONDS = 0.01;
const STOP_MS = 3000;

/** Processes of this bench that still run. */
const running = new Set<ChildProcess>();
/** What those said last that have ended, by pid. */
const epitaphs = new Map<number, string>();

/** What `start` starts. */
export interface Started {
  readonly pid: number;
  /** What it said last, for a message about why it is not there. */
  lastWords(): string;
  /** Its exit code (null: a signal), once it has ended. */
  readonly ended: Promise<number | null>;
  running(): boolean;
}

/**
 * Starts a program on its processors: proxies share the last one, everything else has the others. It is ended with the bench, however
 * that ends. Needs Linux with `taskset` and `setpriv` (util-linux).
 */
export function start(place: Place, command: readonly string[], env: NodeJS.ProcessEnv = process.env): Started {
  const pinned = ["--pdeathsig", "KILL", "taskset", "-c", processors()[place], ...command];
  const child = spawn("setpriv", pinned, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  running.add(child);
  let said = "";
  const hear = (text: string): void => void (said = (said + text).slice(-4000));
  child.stdout.setEncoding("utf8").on("data", hear);
  child.stderr.setEncoding("utf8").on("data", hear);
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once("error", (error) => {
    hear(error.message);
    running.delete(child);
    resolve(null);
  });
  child.once("close", (code, signal) => {
    running.delete(child);
    epitaphs.set(child.pid ?? 0, `it ended by ${signal ?? `exit code ${String(code)}`}:\n${said.trim()}`);
    resolve(code);
  });
  return { pid: child.pid ?? 0, lastWords: () => said.trim(), ended: promise, running: () => running.has(child) };
}

/** Runs a load generator to its end; standard output. Throws with what it said if it fails, or takes longer than `withinMs`. */
export async function run(command: readonly string[], withinMs: number): Promise<string> {
  const pinned = ["--pdeathsig", "KILL", "taskset", "-c", processors().load, ...command];
  const child = spawn("setpriv", pinned, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  running.add(child);
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-2000)));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const timer = setTimeout(() => killGroup(child, "SIGKILL"), withinMs);
  child.once("error", reject).once("close", resolve);
  try {
    const code = await promise;
    if (code !== 0) throw new Error(`${command[0] ?? ""} ended with ${String(code)}:\n${errors}${output.slice(-2000)}`);
    return output;
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}

/** How one that `start` started has ended, and what it said last; null: it runs. */
export function epitaphOf(pid: number): string | null {
  return epitaphs.get(pid) ?? null;
}

/** Ends one that `start` started, and all of its group. */
export async function stop({ pid }: Pick<Started, "pid">): Promise<void> {
  const child = [...running].find((each) => each.pid === pid);
  if (child === undefined) return;
  const ended = new Promise((resolve) => child.once("close", resolve));
  killGroup(child, "SIGTERM");
  const timer = setTimeout(() => killGroup(child, "SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** Processor time (seconds) that a proxy takes for some work. */
export async function cpuOf<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly done: T; readonly cpu: number }> {
  const before = cpuSeconds(pid);
  const done = await work();
  return { done, cpu: Math.max(cpuSeconds(pid) - before, TICK_SECONDS) };
}

/** Ends whatever still runs, without waiting: the last thing before the bench itself ends. */
export function stopAll(): void {
  for (const child of running) killGroup(child, "SIGKILL");
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // it has ended since
  }
}

/** Processors by place, as taskset(1) spells them. With one alone everybody shares it. */
export function processors(): Readonly<Record<Place, string>> {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0";
  const all = list.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
  const proxy = all.pop() ?? 0;
  return { proxy: String(proxy), load: all.length === 0 ? String(proxy) : all.join(",") };
}

/** Throws, naming what is missing, where pinning cannot be done. */
export function checkMachine(): void {
  if (process.platform !== "linux") throw new Error("these suites need Linux: they pin processes and read /proc");
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    execFileSync("setpriv", ["--version"], { stdio: "ignore" });
  } catch {
    throw new Error("taskset and setpriv are missing: install util-linux");
  }
}

/** A line about the machine: what its figures can be compared with. */
export function describeMachine(): string {
  const { proxy, load } = processors();
  const model = /^model name\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? "unknown processor";
  return `${model}, ${availableParallelism()} processors; proxies on ${proxy}, load and backend on ${load}; load average ${loadAverage()}`;
}

/** Of the last minute. */
export function loadAverage(): string {
  return readFileSync("/proc/loadavg", "latin1").split(" ")[0] ?? "";
}

/** How busy the processors have been since, by whomever: where the load's were all the time, a proxy may be faster than is measured. */
export function openBusyMeter(): () => string {
  const before = busyTicks();
  return () => {
    const after = busyTicks();
    const share = (place: Place): string => {
      const [busy, all] = [after[place].busy - before[place].busy, after[place].all - before[place].all];
      return `${Math.round((100 * busy) / Math.max(all, 1))} %`;
    };
    return `busy: ${share("proxy")} of the proxies' processor, ${share("load")} of the load's`;
  };
}

interface Ticks {
  readonly busy: number;
  readonly all: number;
}

/** proc_stat(5): user, nice, system, idle, iowait, … */
function busyTicks(): Readonly<Record<Place, Ticks>> {
  const lines = readText("/proc/stat").split("\n");
  const of = (place: Place): Ticks => {
    const names = new Set(
      processors()
        [place].split(",")
        .map((processor) => `cpu${processor}`),
    );
    const fields = lines.map((line) => line.split(/\s+/)).filter(([name = ""]) => names.has(name));
    const sum = (numbers: readonly string[]): number => numbers.reduce((total, each) => total + Number(each), 0);
    const all = fields.reduce((total, [, ...numbers]) => total + sum(numbers.slice(0, 8)), 0);
    const idle = fields.reduce((total, [, ...numbers]) => total + sum(numbers.slice(3, 5)), 0);
    return { busy: all - idle, all };
  };
  return { proxy: of("proxy"), load: of("load") };
}

/** A process and what it started, directly or not. */
export function familyOf(pid: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? readProcStat(name) : null;
    if (stat !== null) parents.set(Number(name), stat.parent);
  }
  const family = new Set([pid]);
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const [child, parent] of parents) if (family.has(parent)) family.add(child);
  }
  return [...family];
}

/** Seconds of processor time that a process and its children have used so far. */
export function cpuSeconds(pid: number): number {
  const ticks = familyOf(pid).map((each) => {
    const stat = readText(`/proc/${each}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  });
  return ticks.reduce((sum, each) => sum + each, 0) * TICK_SECONDS;
}

/** The same by the nanosecond, for short spans: of threads that live, as their schedstat has it. */
export function exactCpuSeconds(pid: number): number {
  const threads = familyOf(pid).flatMap((each) =>
    readdirSync(`/proc/${each}/task`).map((thread) => readText(`/proc/${each}/task/${thread}/schedstat`)),
  );
  return threads.reduce((sum, stat) => sum + Number(stat.split(" ")[0]), 0) / 1e9;
}

/** KiB of memory that a process and its children hold. */
export function residentKiB(pid: number): number {
  return familyOf(pid)
    .map(residentKiBOf)
    .reduce((sum, each) => sum + each, 0);
}

/** KiB of memory that one process holds (VmRSS). */
export function residentKiBOf(pid: number): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(readText(`/proc/${pid}/status`))?.[1] ?? 0);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it ended, maybe since it was listed
  }
}
