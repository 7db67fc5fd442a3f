import type { Readable, Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import pc from "picocolors";
import { homeAt, type Home } from "../config/home.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
export type Colors = ReturnType<typeof pc.createColors>;

/** All that a command has of the world around it. */
export interface Terminal {
  readonly environment: Environment;
  /** `--home`; absent: as the environment says. */
  readonly home?: string;
  /** Where the command was called; absolute. */
  readonly directory: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Somebody looks at standard output, or at standard error: colours and progress only there. */
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  readonly columns: number;
  /** Aborts at the first Ctrl-C, SIGTERM or hang-up. The second one ends the process without asking. */
  readonly signal: AbortSignal;
}

/** Colours for a stream: none where nobody looks, none with NO_COLOR (no-color.org: set to anything but nothing). */
export function colorsFor(terminal: Terminal, stream: "stdout" | "stderr"): Colors {
  const isTty = stream === "stdout" ? terminal.stdoutIsTty : terminal.stderrIsTty;
  const refused = (terminal.environment.NO_COLOR ?? "") !== "" || terminal.environment.TERM === "dumb";
  return pc.createColors(isTty && !refused);
}

/** One line on standard output: what was asked for. */
export function print(terminal: Terminal, line: string): void {
  terminal.stdout.write(`${line}\n`);
}

/** One line on standard error: what is said beside it. */
export function note(terminal: Terminal, line: string): void {
  terminal.stderr.write(`${line}\n`);
}

/** The one form of `--json`: indented for people, one value, nothing else on standard output. */
export function printJson(terminal: Terminal, value: unknown): void {
  print(terminal, JSON.stringify(value, null, 2));
}

/** The state folder of this call. */
export function homeOf(terminal: Terminal): Home {
  return homeAt(terminal.home === undefined ? terminal.environment : { TASKGATE_HOME: terminal.home });
}

/** Text that jobs had a hand in, for a terminal: without control characters, which could move the cursor or rewrite what stands there. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, " ");
}

/** Resolves when the signal aborts: for commands whose end is Ctrl-C. */
export function aborted(signal: AbortSignal): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  if (signal.aborted) resolve(undefined);
  signal.addEventListener("abort", () => resolve(undefined), { once: true });
  return promise;
}
