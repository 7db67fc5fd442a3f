import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import type { TaskView } from "../api/wire.ts";
import type { ApiClient } from "./api-client.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { note, printable, type Terminal } from "./terminal.ts";

/** Copies a log to standard output, no faster than that takes it. Throws the signal's reason on abort, `noGate` where the gate goes away. */
export async function copyToTerminal(terminal: Terminal, log: Readable): Promise<void> {
  try {
    for await (const chunk of log) {
      if (!terminal.stdout.write(chunk)) await once(terminal.stdout, "drain", { signal: terminal.signal });
    }
  } catch (error) {
    if (terminal.signal.aborted) throw terminal.signal.reason;
    throw new CommandFailure(EXIT.noGate, "the gate ended the connection before the log did", {
      remedy: "taskgate up --background (tasks go on without it), and ask again",
      cause: error,
    });
  }
}

const LAST_LINES = 15;

/** The end of a failed task's log on standard error. A log that cannot be had is no second failure. */
export async function sayLastLines(terminal: Terminal, client: ApiClient, task: TaskView): Promise<void> {
  let last: string;
  try {
    last = await text(await client.logs(task.id, { follow: false, tail: LAST_LINES }, terminal.signal));
  } catch (error) {
    note(terminal, `  Its log is not to be had: ${error instanceof Error ? error.message : String(error)}`);
    return;
  }
  const lines = last.trimEnd();
  if (lines === "") note(terminal, "  It wrote nothing.");
  else for (const line of lines.split("\n")) note(terminal, `  | ${printable(line)}`);
}
