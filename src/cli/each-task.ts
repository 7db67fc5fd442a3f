import { CommandFailure, EXIT, type ExitCode } from "./failure.ts";
import { note, printable, type Terminal } from "./terminal.ts";

/**
 * Does something to each of several, one after the other: one that fails is said and does not keep the others from it. Gives the first
 * failure's exit code.
 */
export async function forEachName(
  terminal: Terminal,
  names: readonly string[],
  work: (name: string) => Promise<void>,
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  for (const name of new Set(names)) {
    try {
      await work(name);
    } catch (error) {
      // Without a gate, or without login, the next one would fail the same way.
      if (!(error instanceof CommandFailure) || error.exitCode === EXIT.noGate || error.exitCode === EXIT.denied)
        throw error;
      note(terminal, `taskgate: ${printable(error.message)}`);
      if (error.remedy !== undefined) note(terminal, `  Try: ${error.remedy}`);
      if (exitCode === EXIT.ok) exitCode = error.exitCode;
    }
  }
  return exitCode;
}
