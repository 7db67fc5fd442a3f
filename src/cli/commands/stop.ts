import type { TaskView } from "../../api/wire.ts";
import { stopGate } from "../background-gate.ts";
import { forEachName } from "../each-task.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { connect, namingTask } from "../session.ts";
import { becameOf } from "../task-table.ts";
import { print, printJson, type Terminal } from "../terminal.ts";

export interface StopOptions {
  readonly gate?: boolean;
  readonly json?: boolean;
}

export async function stop(terminal: Terminal, words: readonly string[], options: StopOptions): Promise<ExitCode> {
  if (words.length === 0 && options.gate !== true) {
    throw new CommandFailure(EXIT.usage, "stop what? Name tasks, or say --gate", { remedy: "taskgate ps" });
  }
  const stopped: TaskView[] = [];
  const exitCode = words.length === 0 ? EXIT.ok : await stopTasks(terminal, words, stopped, options);
  const gate = options.gate === true ? await stopGate(terminal) : null;
  if (options.json === true) printJson(terminal, gate === null ? stopped : { tasks: stopped, gate: { pid: gate.pid } });
  else if (gate !== null) print(terminal, `the gate (pid ${gate.pid}) is stopped; its tasks go on`);
  return exitCode;
}

function stopTasks(
  terminal: Terminal,
  names: readonly string[],
  stopped: TaskView[],
  options: StopOptions,
): Promise<ExitCode> {
  const client = connect(terminal);
  return forEachName(terminal, names, async (name) => {
    using progress = startProgress(terminal, `Stopping ${name}`);
    const task = await namingTask(client, name, terminal.signal, () => client.stop(name, terminal.signal));
    progress[Symbol.dispose]();
    stopped.push(task);
    if (options.json !== true) print(terminal, `${name} ${becameOf(task)}`);
  });
}
