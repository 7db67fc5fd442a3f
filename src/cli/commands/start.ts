import { fileURLToPath } from "node:url";
import type { TaskView } from "../../api/wire.ts";
import type { Gate } from "../../app/gate.ts";
import { createApiClient, type ApiClient } from "../api-client.ts";
import type { ExitCode } from "../failure.ts";
import { runForeground } from "../foreground-gate.ts";
import { announceGate } from "../gate-announcement.ts";
import { loadGateConfig, type GateOptions } from "../gate-config.ts";
import { callerEnvironment } from "../caller-environment.ts";
import { findGate, readToken } from "../running-gate.ts";
import { colorsFor, homeOf, note, print, type Terminal } from "../terminal.ts";
import { waitForTask } from "../wait-for-task.ts";
import { becameOf, wayIn } from "../task-table.ts";
import { up } from "./up.ts";

const DEMO = "demo";
const DEMO_KIND = "taskgate-demo";
const READY_MS = 15_000;
/** A checkout that was just made is not on the PATH. */
const COMMAND = "bin/taskgate";

/** `npm start`: the gate in the foreground with a small demo service, which is removed when the gate stops by Ctrl-C. */
export async function start(terminal: Terminal, words: readonly string[], options: GateOptions): Promise<ExitCode> {
  const home = homeOf(terminal);
  if (findGate(home).state === "running") return up(terminal, words, { ...options, command: COMMAND });
  return runForeground(terminal, {
    home,
    quiet: false,
    config: loadGateConfig(terminal, options),
    async ready(gate) {
      const client = createApiClient({ gate: gate.file, token: readToken(home, {}) });
      const link = await gate.loginLink();
      announceGate(terminal, { gate: gate.file, home, link, how: "foreground", command: COMMAND }, false);
      return startDemo(terminal, gate, client);
    },
  });
}

/**
 * A demo that cannot start is said, and no reason to have no gate. Ctrl-C may come at any time: asking for it and removing it do not heed
 * the signal, or one that is just starting would be left behind.
 */
async function startDemo(terminal: Terminal, gate: Gate, client: ApiClient): Promise<AsyncDisposable> {
  const remove = (): Promise<void> => removeDemo(client, AbortSignal.timeout(READY_MS));
  try {
    await remove(); // one that a killed gate left behind
    const accepted = await client.run(demoRequest(terminal, gate), AbortSignal.timeout(READY_MS));
    const options = { id: accepted.id, timeoutMs: READY_MS, seen: () => undefined };
    sayDemo(terminal, await waitForTask(client, options, terminal.signal));
  } catch (error) {
    if (!terminal.signal.aborted) note(terminal, `The demo does not run: ${reasonOf(error)}`);
  }
  return {
    [Symbol.asyncDispose]: () =>
      remove().catch((error: unknown) => note(terminal, `The demo is left behind: ${reasonOf(error)}`)),
  };
}

/** A task of that name which is somebody's own stays. */
async function removeDemo(client: ApiClient, signal: AbortSignal): Promise<void> {
  const { tasks } = await client.tasks(signal);
  for (const task of tasks) if (task.kind === DEMO_KIND && task.name === DEMO) await client.remove(task.id, signal);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function demoRequest(terminal: Terminal, gate: Gate): Parameters<ApiClient["run"]>[0] {
  const file = import.meta.url.endsWith(".ts") ? "../demo/server.ts" : "../demo/server.js";
  return {
    name: DEMO,
    kind: DEMO_KIND,
    command: [process.execPath, fileURLToPath(new URL(file, import.meta.url)), gate.file.url],
    directory: terminal.directory,
    environment: callerEnvironment(terminal.environment),
    services: [{ name: "web", protocol: "http" }],
    replicas: 1,
    restart: "no",
    anyone: "nobody",
  };
}

function sayDemo(terminal: Terminal, task: TaskView): void {
  const [service] = task.services;
  if (task.state !== "running" || service === undefined) {
    note(terminal, `The demo ${becameOf(task)}: ${task.reason ?? "taskgate logs demo"}`);
    return;
  }
  print(terminal, `A small demo runs behind it:  ${wayIn(task, service, colorsFor(terminal, "stdout"))}`);
}
