import { spawn } from "node:child_process";
import { adminKubeconfig } from "./kubeconfig.ts";

/** Runs kubectl on a cluster, by its folder; standard output. What it caches stays in that folder. Throws where it fails, with what it said. */
export async function runKubectl(
  program: string,
  folder: string,
  args: readonly string[],
  input: string,
): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: folder, KUBECONFIG: adminKubeconfig(folder) };
  const child = spawn(program, args, { env, stdio: "pipe" });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject).once("close", resolve);
  child.stdin.on("error", () => undefined); // it ended without reading: what it says tells why
  child.stdin.end(input);
  const code = await promise;
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${String(code)}: ${errors.trim()}`);
  return output;
}
