import { tmpdir } from "node:os";
import { PassThrough, Writable } from "node:stream";
import { runProgram } from "../main.ts";
import type { Environment } from "../terminal.ts";

export interface Call {
  readonly words: readonly string[];
  readonly environment?: Environment;
  readonly signal?: AbortSignal;
  readonly stdin?: PassThrough;
  /** Called with each piece of standard output. */
  readonly onOutput?: (text: string) => void;
}

export interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One call of the command line in this process, with streams of its own. */
export async function runCli(call: Call): Promise<Result> {
  let stdout = "";
  let stderr = "";
  const exitCode = await runProgram(call.words, {
    environment: call.environment ?? {},
    directory: tmpdir(),
    stdin: call.stdin ?? new PassThrough(),
    stdout: collector((text) => {
      stdout += text;
      call.onOutput?.(text);
    }),
    stderr: collector((text) => (stderr += text)),
    stdoutIsTty: false,
    stderrIsTty: false,
    columns: 100,
    signal: call.signal ?? new AbortController().signal,
  });
  return { exitCode, stdout, stderr };
}

function collector(take: (text: string) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk.toString("utf8"));
      done();
    },
  });
}
