import { spawn } from "node:child_process";

export interface Kubectl {
  /** Path of it. */
  readonly program: string;
  readonly kubeconfig: string;
  /** Of a cluster of this machine's own: what it finds out about the API is kept there, and no proxy is between. */
  readonly folder?: string;
}

/** Runs it; standard output. Throws where it fails, with what it said. */
export async function runKubectl(kubectl: Kubectl, args: readonly string[], input: string): Promise<string> {
  const { folder, kubeconfig } = kubectl;
  const env = {
    ...process.env,
    KUBECONFIG: kubeconfig,
    ...(folder === undefined ? {} : { NO_PROXY: "*", no_proxy: "*" }),
  };
  const options = folder === undefined ? [] : [`--cache-dir=${folder}/kubectl`];
  const child = spawn(kubectl.program, [...options, ...args], { env, stdio: "pipe" });
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

/** Arguments and input by which kubectl writes objects as the testbed: server-side apply. */
export function applyObjects(objects: readonly object[]): readonly [args: readonly string[], input: string] {
  return [[...APPLY, "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: objects })];
}

/** The same for files, and folders of them. */
export function applyFiles(paths: readonly string[]): readonly string[] {
  return [...APPLY, ...paths.flatMap((path) => ["-f", path])];
}

const APPLY = ["apply", "--server-side", "--force-conflicts", "--field-manager=testbed"] as const;
