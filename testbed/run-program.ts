import { spawn } from "node:child_process";

/** Tells whoever waits what is going on. */
export function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

export interface RunOptions {
  readonly cwd?: string;
  /** In addition to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs to the end without input; standard output. Throws with the last lines of standard error. */
export async function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const env = { ...process.env, ...options.env };
  const child = spawn(program, args, { cwd: options.cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-4000)));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject).once("close", resolve);
  const code = await promise;
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${String(code)}:\n${errors}`);
  return output;
}
