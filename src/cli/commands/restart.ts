import type { TaskView } from "../../api/wire.ts";
import { forEachName } from "../each-task.ts";
import type { ExitCode } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { connect, namingTask } from "../session.ts";
import { becameOf } from "../task-table.ts";
import { print, printJson, type Terminal } from "../terminal.ts";

export async function restart(
  terminal: Terminal,
  words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const client = connect(terminal);
  const restarted: TaskView[] = [];
  const exitCode = await forEachName(terminal, words, async (name) => {
    using progress = startProgress(terminal, `Restarting ${name}`);
    const task = await namingTask(client, name, terminal.signal, () => client.restart(name, terminal.signal));
    progress[Symbol.dispose]();
    restarted.push(task);
    if (options.json !== true) print(terminal, `${name} ${becameOf(task)}`);
  });
  if (options.json === true) printJson(terminal, restarted);
  return exitCode;
}
