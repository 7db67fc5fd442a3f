import { setTimeout as delay } from "node:timers/promises";
import type { RunRequest, TaskView } from "../../api/wire.ts";
import type { ApiClient } from "../api-client.ts";
import { ACCESS } from "../arguments.ts";
import { ensureGate } from "../background-gate.ts";
import { callerEnvironment } from "../caller-environment.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { copyToTerminal, sayLastLines } from "../log-stream.ts";
import { startProgress } from "../progress.ts";
import { connect } from "../session.ts";
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
  const client = connect(terminal);
  const accepted = await client.run(runRequest(terminal, words, options), terminal.signal);
  const task = options.wait === false ? accepted : await awaitReady(terminal, client, accepted, options.wait);
  if (options.json === true) printJson(terminal, task);
  const failed = await sayOutcome(terminal, client, task, options);
  if (failed) return EXIT.failure;
  return options.follow === true ? follow(terminal, client, task) : EXIT.ok;
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
    ...(options.path === undefined ? {} : { path: options.path }),
    ...(options.user === undefined ? {} : { user: options.user }),
  };
}

async function awaitReady(terminal: Terminal, client: ApiClient, task: TaskView, timeoutMs: number): Promise<TaskView> {
  using progress = startProgress(terminal, `Waiting for ${task.name}`);
  const seen = (now: TaskView): void =>
    progress.update(`Waiting for ${now.name}: ${printable(now.reason ?? now.state)}`);
  try {
    return await waitForTask(client, { id: task.id, timeoutMs, seen }, terminal.signal);
  } catch (error) {
    progress[Symbol.dispose]();
    if (terminal.signal.aborted) note(terminal, `${task.name} goes on without us; stop it: taskgate stop ${task.name}`);
    throw error;
  }
}

/** Says what became of it; true: it failed, or is not ready in time. */
async function sayOutcome(
  terminal: Terminal,
  client: ApiClient,
  task: TaskView,
  options: RunOptions,
): Promise<boolean> {
  if (task.state === "failed") {
    note(terminal, `taskgate: ${task.name} failed: ${printable(task.reason ?? "no reason is known")}`);
    await sayLastLines(terminal, client, task);
    return true;
  }
  if (task.state === "starting" && options.wait !== false) {
    note(
      terminal,
      `taskgate: ${task.name} is not ready yet${task.reason === null ? "" : `: ${printable(task.reason)}`}`,
    );
    note(terminal, `  It goes on. Its log: taskgate logs -f ${task.name}   Stop it: taskgate stop ${task.name}`);
    return true;
  }
  if (options.json !== true) {
    const { gate } = client;
    const deps = { gate, home: homeOf(terminal), environment: terminal.environment };
    print(terminal, describeWaysIn(task, { ...deps, colors: colorsFor(terminal, "stdout") }));
  }
  for (const problem of task.problems)
    note(terminal, `problem ${printable(problem.subject)}: ${printable(problem.message)}`);
  return false;
}

const RETRY_MS = 500;

/** Stays with the log until the task ends; a gate that restarts meanwhile is waited for. Ctrl-C leaves the task running. */
async function follow(terminal: Terminal, client: ApiClient, task: TaskView): Promise<ExitCode> {
  note(terminal, colorsFor(terminal, "stderr").dim(`Following its log; Ctrl-C leaves ${task.name} running.`));
  try {
    await copyToTerminal(terminal, await client.logs(task.id, { follow: true }, terminal.signal));
    return await endOf(client, task, terminal.signal);
  } catch (error) {
    if (!terminal.signal.aborted) throw error;
    note(
      terminal,
      `\n${task.name} goes on. Its log: taskgate logs -f ${task.name}   Stop it: taskgate stop ${task.name}`,
    );
    return EXIT.ok;
  }
}

/** The log ended: the task did, or is just about to be told to have. */
async function endOf(client: ApiClient, task: TaskView, signal: AbortSignal): Promise<ExitCode> {
  for (let tries = 0; tries < 10; tries++) {
    const { state } = await client.task(task.id, signal);
    if (state === "failed") return EXIT.failure;
    if (state === "finished") return EXIT.ok;
    await delay(RETRY_MS, undefined, { signal });
  }
  return EXIT.ok;
}
