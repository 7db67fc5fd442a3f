import type { ProblemView, TaskView } from "../../api/wire.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { pause } from "../pause.ts";
import { startProgress } from "../progress.ts";
import { connect } from "../session.ts";
import { formatTasks } from "../task-table.ts";
import { colorsFor, note, print, printable, printJson, type Terminal } from "../terminal.ts";

export interface PsOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
}

export async function ps(terminal: Terminal, _words: readonly string[], options: PsOptions): Promise<ExitCode> {
  if (options.watch === true) return watch(terminal, options);
  const client = connect(terminal);
  using progress = startProgress(terminal, "Asking the gate");
  const list = await client.tasks(terminal.signal);
  progress[Symbol.dispose]();
  if (options.json !== true) {
    print(terminal, formatTasks({ ...list, now: Date.now() }, colorsFor(terminal, "stdout")));
    return EXIT.ok;
  }
  printJson(terminal, list.tasks);
  for (const problem of list.problems)
    note(terminal, `problem ${printable(problem.subject)}: ${printable(problem.message)}`);
  return EXIT.ok;
}

const RETRY_MS = 500;

/** Live until Ctrl-C; a gate that goes away is waited for, and said, once each time. */
async function watch(terminal: Terminal, options: PsOptions): Promise<ExitCode> {
  const { signal } = terminal;
  const told = { away: false };
  // A wrong home or token is told at once; what comes later may be a restart.
  connect(terminal);
  while (!signal.aborted) {
    const why = await showEvents(terminal, options, () => (told.away = false)).then(
      () => "the gate ended the connection",
      whyAway,
    );
    if (why === null) break;
    if (!told.away) note(terminal, `taskgate: ${why}; waiting for it`);
    told.away = true;
    await pause(RETRY_MS, signal).catch(() => undefined); // an abort ends the loop
  }
  return EXIT.ok;

  /** null: it is Ctrl-C. Throws what no waiting helps against. */
  function whyAway(error: unknown): string | null {
    if (signal.aborted) return null;
    if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.noGate) throw error;
    return error.message;
  }
}

async function showEvents(terminal: Terminal, options: PsOptions, seen: () => void): Promise<void> {
  const tasks = new Map<string, TaskView>();
  for await (const event of connect(terminal).events(terminal.signal)) {
    seen();
    if (event.kind === "tasks") tasks.clear();
    for (const task of event.kind === "tasks" ? event.tasks : event.set) tasks.set(task.id, task);
    if (event.kind === "change") for (const id of event.removed) tasks.delete(id);
    const sorted = [...tasks.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    if (options.json === true) print(terminal, JSON.stringify(sorted));
    else draw(terminal, sorted, event.problems);
  }
}

function draw(terminal: Terminal, tasks: readonly TaskView[], problems: readonly ProblemView[]): void {
  const text = formatTasks({ tasks, problems, now: Date.now() }, colorsFor(terminal, "stdout"));
  // Home, the text with every line cleared to its end, then all below: no flicker, nothing of before.
  if (terminal.stdoutIsTty) terminal.stdout.write(`\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[K\n\x1b[J`);
  else print(terminal, `${text}\n`);
}
