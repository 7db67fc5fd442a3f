import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildOnce, isBuilt } from "./build-once.ts";
import { runProgram } from "./run-program.ts";

export const TRAEFIK_VERSION = "v3.6.12";
const MODULE = "github.com/traefik/traefik/v3";
/** What the module proxy's checksum database says of that version: nothing else is built. */
const SUM = "h1:6pe4s7aaDTQs+AsF7KP3sM/xnq7zOVvibRQe5tw9eFo=";
const FOLDER = `traefik-${TRAEFIK_VERSION}`;

/**
 * Path of a Traefik: the one that TASKGATE_TRAEFIK names, else one built once from its published module, by its own list of versions.
 * That needs Go and takes six minutes of two processors, so it is done only where `build` says so. Throws, saying what to do, where there
 * is none.
 */
export async function traefikProgram(build: boolean): Promise<string> {
  const named = process.env.TASKGATE_TRAEFIK;
  if (named !== undefined && named !== "") return named;
  if (!build && !isBuilt(FOLDER)) {
    throw new Error(
      "it is not built yet: --with-traefik builds it once (six minutes, needs Go); or name one by TASKGATE_TRAEFIK",
    );
  }
  const what = `building Traefik ${TRAEFIK_VERSION} (once, about six minutes)`;
  const folder = await buildOnce(FOLDER, what, async (folder) => {
    const source = join(folder, "source");
    // Go does not take a module of its cache for a main module, whose replacements count.
    cpSync(await traefikModule(), source, { recursive: true });
    await runProgram("chmod", ["-R", "u+w", source]);
    const options = ["-mod=readonly", "-trimpath", "-o", join(folder, "traefik")];
    // Other work comes first.
    const command = ["-n", "19", "go", "build", "-p", "1", ...options, "./cmd/traefik"];
    await runProgram("nice", command, { cwd: source, env: { GOWORK: "off", GOFLAGS: "", CGO_ENABLED: "0" } });
    rmSync(source, { recursive: true, force: true });
  });
  return join(folder, "traefik");
}

/** Folder of its published module, which is compared with its sum. Needs Go. */
export async function traefikModule(): Promise<string> {
  const { Dir, Sum } = JSON.parse(
    await runProgram("go", ["mod", "download", "-json", `${MODULE}@${TRAEFIK_VERSION}`]),
  ) as {
    readonly Dir: string;
    readonly Sum: string;
  };
  if (Sum !== SUM) throw new Error(`Traefik ${TRAEFIK_VERSION} is not what it was: ${Sum}`);
  return Dir;
}
