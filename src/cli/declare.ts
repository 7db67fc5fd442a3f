import type { Command } from "commander";
import type { ExitCode } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** What a command does: its arguments, then its options. */
export type Work = (terminal: Terminal, words: readonly string[], options: never) => Promise<ExitCode>;

/** Declares a command: its name, what it is for, and how what it does is loaded when it is called. */
export type Declare = (
  name: string,
  description: string,
  load: () => Promise<Work>,
  where?: { readonly parent?: Command; readonly hidden?: boolean },
) => Command;

export const JSON_OPTION = ["--json", "print JSON and nothing else on standard output"] as const;
export const CONFIG_OPTION = ["--config <file>", "configuration file (YAML or JSON)"] as const;

/** Of an option that may be repeated. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}
