import { colorsFor, note, printable, type Terminal } from "./terminal.ts";
import { CommandFailure, EXIT, type ExitCode } from "./failure.ts";
import { createProgram } from "./program.ts";

/** How long what still runs when a command is done may take to end by itself. */
const LINGER_MS = 2000;

/** The process: arguments in, exit code out. */
export async function main(): Promise<void> {
  // Whoever reads our output may stop reading, as in `taskgate logs nb | head`: that is no failure.
  process.stdout.on("error", leaveOnBrokenPipe);
  process.stderr.on("error", leaveOnBrokenPipe);
  // All is done and written by then. What node would clean up after it, it can wait for in vain, turning: so it did over connections that a
  // forward had reset.
  process.on("exit", () => process.exit());
  process.exitCode = await runProgram(process.argv.slice(2), processTerminal());
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/** One call of the command line in a given world. Never throws: what goes wrong is said on standard error. */
export async function runProgram(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    return await createProgram(terminal).run(words);
  } catch (error) {
    return sayFailure(terminal, error);
  }
}

function sayFailure(terminal: Terminal, error: unknown): ExitCode {
  if (terminal.signal.aborted && error === terminal.signal.reason) return EXIT.interrupted;
  const colors = colorsFor(terminal, "stderr");
  const failure = error instanceof CommandFailure ? error : unforeseen(error);
  note(terminal, `${colors.red("taskgate:")} ${failure.message.split("\n").map(printable).join("\n")}`);
  if (failure.remedy !== undefined) note(terminal, `  ${colors.dim("Try:")} ${failure.remedy}`);
  return failure.exitCode;
}

function unforeseen(error: unknown): CommandFailure {
  return new CommandFailure(EXIT.failure, error instanceof Error ? error.message : String(error), { cause: error });
}

function processTerminal(): Terminal {
  return {
    environment: process.env,
    directory: process.cwd(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    stdoutIsTty: process.stdout.isTTY,
    stderrIsTty: process.stderr.isTTY,
    columns: process.stderr.columns || process.stdout.columns || 100,
    signal: interruption(),
  };
}

/** npm hands on the Ctrl-C that the terminal has sent already: what follows at once is the same one. */
const SAME_MS = 500;

/** The first Ctrl-C, SIGTERM or hang-up asks; the second one does not. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  let askedAt = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && performance.now() - askedAt > SAME_MS) process.exit(EXIT.interrupted);
      if (controller.signal.aborted) return;
      askedAt = performance.now();
      controller.abort(new DOMException(`stopped by ${name}`, "AbortError"));
    });
  }
  return controller.signal;
}

function leaveOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(process.exitCode ?? EXIT.ok);
  throw error;
}
