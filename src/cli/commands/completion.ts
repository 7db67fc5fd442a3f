import { COMPLETION_SCRIPTS, type Shell } from "../completion-scripts.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import type { Terminal } from "../terminal.ts";

/** The script for one shell; commander has checked which. */
export function completion(terminal: Terminal, words: readonly string[]): Promise<ExitCode> {
  terminal.stdout.write(COMPLETION_SCRIPTS[words[0] as Shell]);
  return Promise.resolve(EXIT.ok);
}
