import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce } from "./build-once.ts";
import { makeVirtualEnvironment } from "./python/environment.ts";
import { runProgram } from "./run-program.ts";

const VERSION = "7.1.0";
const SCRIPT = fileURLToPath(new URL("python/spawn-server.py", import.meta.url));

export interface SpawnedServer {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly user: string;
  /** Of a server beside the user's default one. */
  readonly server: string;
  readonly image: string;
  readonly command: readonly string[];
}

/** The interpreter of an environment that has it, installed once (half a minute). */
export async function kubeSpawner(): Promise<string> {
  const what = `installing KubeSpawner ${VERSION} (once, half a minute)`;
  const folder = await buildOnce(`kubespawner-${VERSION}`, what, (folder) =>
    makeVirtualEnvironment(folder, [`jupyterhub-kubespawner==${VERSION}`]),
  );
  return join(folder, "bin", "python");
}

/**
 * A user's server, started by JupyterHub's own KubeSpawner. Resolves once its pod runs; whoever has the namespace removes it.
 */
export async function spawnServer({
  kubeconfig,
  namespace,
  user,
  server,
  image,
  command,
}: SpawnedServer): Promise<void> {
  const spec = JSON.stringify({ image, image_pull_policy: "Never", cmd: command });
  const env = { KUBECONFIG: kubeconfig };
  await runProgram(await kubeSpawner(), [SCRIPT, namespace, user, server, spec], { env });
}
