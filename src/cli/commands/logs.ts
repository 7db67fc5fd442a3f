import { EXIT, type ExitCode } from "../failure.ts";
import { copyToTerminal } from "../log-stream.ts";
import { connect, namingTask } from "../session.ts";
import type { Terminal } from "../terminal.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly replica?: string;
}

export async function logs(terminal: Terminal, words: readonly string[], options: LogsOptions): Promise<ExitCode> {
  const [name = ""] = words;
  const { tail, replica } = options;
  const client = connect(terminal);
  const wanted = {
    follow: options.follow === true,
    ...(tail === undefined ? {} : { tail }),
    ...(replica === undefined ? {} : { replica }),
  };
  const log = await namingTask(client, name, terminal.signal, () => client.logs(name, wanted, terminal.signal));
  try {
    await copyToTerminal(terminal, log);
  } catch (error) {
    // Whoever follows a log leaves it by Ctrl-C.
    if (!(wanted.follow && terminal.signal.aborted)) throw error;
  }
  return EXIT.ok;
}
