import { forEachName } from "../each-task.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { formatAge, formatColumns } from "../task-table.ts";
import { colorsFor, print, printable, printJson, type Terminal } from "../terminal.ts";

interface JsonOption {
  readonly json?: boolean;
}

export async function listSessions(
  terminal: Terminal,
  _words: readonly string[],
  options: JsonOption,
): Promise<ExitCode> {
  const sessions = await connect(terminal).sessions(terminal.signal);
  if (options.json === true) {
    printJson(terminal, sessions);
    return EXIT.ok;
  }
  const colors = colorsFor(terminal, "stdout");
  const head = ["ID", "USER", "SERVICE", "FROM", "AGE"].map((title) => colors.bold(title));
  const rows = sessions.map(({ id, user, service, peer, createdAt }) => [
    ...[id, printable(user), printable(service), peer],
    formatAge(Date.now() - createdAt),
  ]);
  print(terminal, rows.length === 0 ? "No sessions." : formatColumns([head, ...rows]));
  return EXIT.ok;
}

export async function endSessions(
  terminal: Terminal,
  words: readonly string[],
  options: JsonOption & { readonly user?: string },
): Promise<ExitCode> {
  const client = connect(terminal);
  if (options.user !== undefined && words.length === 0) {
    const ended = await client.endUser(options.user, terminal.signal);
    if (options.json === true) printJson(terminal, ended);
    else print(terminal, `${printable(ended.user)} is logged out; ${String(ended.ended)} logins and tokens ended`);
    return EXIT.ok;
  }
  if (options.user !== undefined || words.length === 0) {
    throw new CommandFailure(EXIT.usage, "expected ids of sessions, or --user", { remedy: "taskgate sessions list" });
  }
  const ended: string[] = [];
  const exitCode = await forEachName(terminal, words, async (id) => {
    await client.endSession(id, terminal.signal);
    ended.push(id);
    if (options.json !== true) print(terminal, `${printable(id)} is ended`);
  });
  if (options.json === true) printJson(terminal, { ended });
  return exitCode;
}
