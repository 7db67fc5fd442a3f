import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce } from "../build-once.ts";
import { runProgram } from "../run-program.ts";
import { goVersion } from "./environment.ts";

/** A module of our own beside this file, and what is built in it. */
export interface GoBuild {
  /** Its folder's name. */
  readonly module: string;
  /** Its files: with their versions and sums, what is built is the same everywhere. */
  readonly recipe: readonly string[];
  /** Of what is built, the first parts of the cache folder's name. */
  readonly name: string;
  /** Told while it is built. */
  readonly what: string;
  readonly packages: readonly string[];
  /** For the linker. */
  readonly linked?: readonly string[];
  /** Adds files to the folder. */
  readonly addFiles?: (folder: string) => Promise<void>;
}

/** Builds the programs once, and finds their folder there from then on; see `buildOnce`. Needs Go. */
export async function buildGoPrograms(build: GoBuild): Promise<string> {
  const module = moduleFolder(build.module);
  const hash = createHash("sha256").update(await goVersion());
  for (const file of build.recipe) hash.update(readFileSync(join(module, file)));
  return buildOnce(`${build.name}-${hash.digest("hex").slice(0, 12)}`, build.what, async (folder) => {
    const linked = ["-s -w", ...(build.linked ?? [])].join(" ");
    const options = ["-mod=readonly", "-trimpath", "-p", "2", "-ldflags", linked, "-o", `${folder}/`];
    // Other work comes first.
    await runProgram("nice", ["-n", "10", "go", "build", ...options, ...build.packages], {
      cwd: module,
      env: ENVIRONMENT,
    });
    await build.addFiles?.(folder);
  });
}

/** Folder of a module that one of our own requires, in the version that it does; downloaded, and compared with its sum. Needs Go. */
export async function goModuleFolder(module: string, required: string): Promise<string> {
  const options = { cwd: moduleFolder(module), env: ENVIRONMENT };
  const { Dir } = JSON.parse(await runProgram("go", ["mod", "download", "-json", required], options)) as {
    readonly Dir: string;
  };
  return Dir;
}

const ENVIRONMENT = { GOWORK: "off", GOFLAGS: "", CGO_ENABLED: "0" };

function moduleFolder(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
