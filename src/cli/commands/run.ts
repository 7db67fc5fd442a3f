import type { RunRequest, TaskView } from "../../api/wire.ts";
import type { ApiClient } from "../api-client.ts";
import { ACCESS } from "../arguments.ts";
import { ensureGate } from "../background-gate.ts";
import { callerEnvironment } from "../caller-environment.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { copyToTerminal, sayLastLines } from "../log-stream.ts";
import { pause } from "../pause.ts";
import { startProgress } from "../progress.ts";
import { connectHere } from "../session.ts";
import { colorsFor, homeOf, note, print, printable, printJson, type Terminal } from "../terminal.ts";
import { waitForTask } from "../wait-for-task.ts";
import { describeWaysIn } from "../ways-in.ts";

export interface RunOptions {
  readonly name?: string;
  readonly kind?: string;
  readonly service?: RunRequest["services"];
  readonly replicas: number;
  readonly restart: RunRequest["restart"];
  readonly access: keyof typeof ACCESS;
  readonly idleStop?: string;
  readonly policy?: RunRequest["policy"];
  readonly path?: string;
  readonly user?: string;
  readonly follow?: boolean;
  /** Ms; false: do not wait. */
  readonly wait: number | false;
  readonly json?: boolean;
}

export async function run(terminal: Terminal, words: readonly string[], options: RunOptions): Promise<ExitCode> {
  if (options.follow === true && options.json === true) {
    throw new CommandFailure(EXIT.usage, "--follow and --json do not go together: both want standard output");
  }
  await ensureGate(terminal);
  const client = connectHere(terminal);
  const accepted = await client.run(runRequest(terminal, words, options), terminal.signal);
  if (options.follow === true) return follow(terminal, client, accepted);
  const task = options.wait === false ? accepted : await awaitReady(terminal, client, accepted, options.wait);
  if (options.json === true) printJson(terminal, task);
  return sayOutcome(terminal, client, task, options);
}

function runRequest(terminal: Terminal, words: readonly string[], options: RunOptions): RunRequest {
  return {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.kind === undefined ? {} : { kind: options.kind }),
    command: [...words],
    directory: terminal.directory,
    environment: callerEnvironment(terminal.environment),
    services: options.service ?? [],
    replicas: options.replicas,
    restart: options.restart,
    anyone: ACCESS[options.access],
    ...(options.idleStop === undefined ? {} : { idleStop: options.idleStop }),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.path === undefined ? {} : { path: options.path }),
    ...(options.user === undefined ? {} : { user: options.user }),
  };
}

async function awaitReady(terminal: Terminal, client: ApiClient, task: TaskView, timeoutMs: number): Promise<TaskView> {
  using progress = startProgress(terminal, `Waiting for ${task.name}`);
  const seen = ({ name, state, reason }: TaskView): void => {
    if (state === "starting" && reason !== null) progress.update(`Waiting for ${name}: ${printable(reason)}`);
  };
  try {
    return await waitForTask(client, { id: task.id, timeoutMs, seen }, terminal.signal);
  } catch (error) {
    progress[Symbol.dispose]();
    if (terminal.signal.aborted) note(terminal, `${task.name} goes on without us; stop it: taskgate stop ${task.name}`);
    throw error;
  }
}

/** Says what became of it. That it failed, or is not ready in time, is a failure. */
async function sayOutcome(
  terminal: Terminal,
  client: ApiClient,
  task: TaskView,
  options: RunOptions,
): Promise<ExitCode> {
  if (task.state === "failed") {
    note(terminal, `taskgate: ${task.name} failed: ${printable(task.reason ?? "no reason is known")}`);
    await sayLastLines(terminal, client, task);
    return EXIT.failure;
  }
  if (task.state === "starting" && options.wait !== false) {
    const why = task.reason === null ? "" : `: ${printable(task.reason)}`;
    note(terminal, `taskgate: ${task.name} is not ready yet${why}`);
    note(terminal, goesOn(task));
    return EXIT.failure;
  }
  if (options.json !== true) print(terminal, waysIn(terminal, client, task, "stdout"));
  for (const { subject, message } of task.problems) {
    note(terminal, `problem ${printable(subject)}: ${printable(message)}`);
  }
  return EXIT.ok;
}

function waysIn(terminal: Terminal, client: ApiClient, task: TaskView, stream: "stdout" | "stderr"): string {
  const { environment } = terminal;
  const colors = colorsFor(terminal, stream);
  return describeWaysIn(task, { gate: client.gate, home: homeOf(terminal), environment, colors });
}

function goesOn({ name }: TaskView): string {
  return `  It goes on. Its log: taskgate logs -f ${name}   Stop it: taskgate stop ${name}`;
}

/** Stays with the log until the task ends, and says beside it when it is ready. Ctrl-C leaves the task running. */
async function follow(terminal: Terminal, client: ApiClient, task: TaskView): Promise<ExitCode> {
  note(terminal, colorsFor(terminal, "stderr").dim(`Following its log; Ctrl-C leaves ${task.name} running.`));
  const over = new AbortController();
  const signal = AbortSignal.any([terminal.signal, over.signal]);
  const ready = sayWhenReady(terminal, client, task, signal);
  try {
    await copyToTerminal(terminal, await client.logs(task.id, { follow: true }, terminal.signal));
    return await endOf(terminal, client, task);
  } catch (error) {
    if (!terminal.signal.aborted) throw error;
    note(terminal, `\n${goesOn(task).trim()}`);
    return EXIT.ok;
  } finally {
    over.abort();
    await ready;
  }
}

/** Never throws: what goes wrong with the gate shows in the log that is followed. */
async function sayWhenReady(terminal: Terminal, client: ApiClient, task: TaskView, signal: AbortSignal): Promise<void> {
  try {
    const seen = (): undefined => undefined;
    const now = await waitForTask(client, { id: task.id, timeoutMs: Infinity, seen }, signal);
    if (now.state === "running") note(terminal, waysIn(terminal, client, now, "stderr"));
  } catch {
    // The task or the gate ended first, and whoever follows the log says so.
  }
}

const END_TRIES = 20;
const END_POLL_MS = 250;

/** The log ended: the task did, or is just about to be told to have. */
async function endOf(terminal: Terminal, client: ApiClient, task: TaskView): Promise<ExitCode> {
  const { signal } = terminal;
  for (let tries = 0; tries < END_TRIES; tries++) {
    const { name, state, reason } = await client.task(task.id, signal);
    if (state === "finished") return EXIT.ok;
    if (state === "failed") {
      note(terminal, `taskgate: ${name} failed: ${printable(reason ?? "no reason is known")}`);
      return EXIT.failure;
    }
    await pause(END_POLL_MS, signal);
  }
  return EXIT.ok;
}
