import { spawn } from "node:child_process";

/** A program that is run, and what it is called. */
export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** Runs one step; its output is shown as it comes when `loud`, else only if it fails. Resolves to whether it passed. */
export async function runStep(step: Step, loud: boolean): Promise<boolean> {
  const started = Date.now();
  const [program, ...args] = step.command;
  const child = spawn(program, args, { stdio: loud ? "inherit" : ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => output.push(chunk));
  const passed = await new Promise<boolean>((resolve) => {
    child.once("error", (error) => {
      output.push(Buffer.from(`${error.message}\n`));
      resolve(false);
    });
    child.once("close", (code) => resolve(code === 0));
  });
  if (!passed) process.stdout.write(Buffer.concat(output));
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${passed ? "ok  " : "FAIL"} ${step.name} (${seconds} s)\n`);
  return passed;
}
