import type { SigningKeyView } from "../../api/wire-sessions.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { formatAge, formatColumns } from "../task-table.ts";
import { colorsFor, note, print, printJson, type Terminal } from "../terminal.ts";

interface JsonOption {
  readonly json?: boolean;
}

export async function listKeys(terminal: Terminal, _words: readonly string[], options: JsonOption): Promise<ExitCode> {
  show(terminal, await connect(terminal).keys(terminal.signal), options);
  return EXIT.ok;
}

/** Says nothing of success but the keys as they are now: what is published signs by itself once every plane has it. */
export async function rotateKeys(
  terminal: Terminal,
  _words: readonly string[],
  options: JsonOption,
): Promise<ExitCode> {
  show(terminal, await connect(terminal).rotateKeys(terminal.signal), options);
  if (options.json !== true) {
    note(terminal, "The new keys sign once all that verify have them: see taskgate keys list. Nobody is logged out.");
  }
  return EXIT.ok;
}

function show(terminal: Terminal, keys: readonly SigningKeyView[], options: JsonOption): void {
  if (options.json === true) return printJson(terminal, keys);
  const colors = colorsFor(terminal, "stdout");
  const now = Date.now();
  const head = ["ID", "SIGNS", "STATE", "SINCE", "REMOVED"].map((title) => colors.bold(title));
  const rows = keys.map(({ id, use, state, since, until }) => [
    ...[id, `${use}s`, state, `${formatAge(now - since)} ago`],
    until === null ? "" : `in ${formatAge(until - now)}`,
  ]);
  print(terminal, formatColumns([head, ...rows]));
}
