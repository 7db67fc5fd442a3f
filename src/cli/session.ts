import { createApiClient, type ApiClient } from "./api-client.ts";
import type { TaskView, ServiceView } from "../api/wire.ts";
import type { Target } from "./arguments.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { connectionOf } from "./connection.ts";
import { readToken, requireGate } from "./running-gate.ts";
import { becameOf } from "./task-table.ts";
import { homeOf, type Terminal } from "./terminal.ts";

/** A client of the gate that the command is for. Throws `noGate` where none runs, and `denied` where there is no login. */
export function connect(terminal: Terminal): ApiClient {
  return createApiClient(connectionOf(homeOf(terminal), terminal.environment));
}

/** The same of the state folder's own gate: for what is of this very machine. */
export function connectHere(terminal: Terminal): ApiClient {
  const home = homeOf(terminal);
  return createApiClient({ gate: requireGate(home), token: readToken(home, terminal.environment) });
}

/** Loaded only when something is misspelt. */
async function findNearest(name: string, candidates: readonly string[]): Promise<string | null> {
  const { nearest } = await import("../config/nearest.ts");
  return nearest(name, candidates);
}

/** The task, or a failure that names the nearest one there is. */
export async function findTask(client: ApiClient, task: string, signal: AbortSignal): Promise<TaskView> {
  return namingTask(client, task, signal, () => client.task(task, signal));
}

/** Does something with a task by its name; where there is none, the failure names the nearest one there is. */
export async function namingTask<T>(
  client: ApiClient,
  task: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.notFound) throw error;
    const names = (await client.tasks(signal)).tasks.map((each) => each.name);
    if (names.includes(task)) throw error; // it is there, and something of it is not: the gate's own words say what
    const nearest = await findNearest(task, names);
    throw new CommandFailure(EXIT.notFound, `no task is named ${task}`, {
      remedy: nearest === null ? "taskgate ps" : `did you mean ${nearest}? taskgate ps lists all`,
      cause: error,
    });
  }
}

/** The service that a target names: the only fitting one where it names none. */
export async function pickService(
  task: TaskView,
  target: Target,
  fits: { readonly what: string; readonly test: (service: ServiceView) => boolean },
): Promise<ServiceView> {
  const names = task.services.map((service) => service.name);
  if (target.service !== undefined) {
    const found = task.services.find((service) => service.name === target.service);
    if (found !== undefined) return found;
    const nearest = await findNearest(target.service, names);
    throw new CommandFailure(EXIT.notFound, `task ${task.name} has no service named ${target.service}`, {
      remedy:
        names.length === 0
          ? "taskgate ps"
          : nearest === null
            ? `it has ${names.join(", ")}`
            : `did you mean ${nearest}?`,
    });
  }
  const found = task.services.find(fits.test);
  if (found !== undefined) return found;
  const state = task.state === "running" ? "" : ` (it ${becameOf(task)})`;
  throw new CommandFailure(EXIT.notFound, `task ${task.name} has no service ${fits.what}${state}`, {
    remedy: names.length === 0 ? `taskgate logs ${task.name}` : `it has ${names.join(", ")}`,
  });
}
