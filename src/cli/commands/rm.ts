import { forEachName } from "../each-task.ts";
import type { ExitCode } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { connect, namingTask } from "../session.ts";
import { print, printJson, type Terminal } from "../terminal.ts";

export async function rm(
  terminal: Terminal,
  words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const client = connect(terminal);
  const removed: string[] = [];
  const exitCode = await forEachName(terminal, words, async (name) => {
    using progress = startProgress(terminal, `Removing ${name}`);
    await namingTask(client, name, terminal.signal, () => client.remove(name, terminal.signal));
    progress[Symbol.dispose]();
    removed.push(name);
    if (options.json !== true) print(terminal, `${name} is removed`);
  });
  if (options.json === true) printJson(terminal, { removed });
  return exitCode;
}
