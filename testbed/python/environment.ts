import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce } from "../build-once.ts";
import { runProgram } from "../run-program.ts";

/** A virtual environment with what requirements.txt lists. */
export interface PythonEnvironment {
  /** The interpreter. */
  readonly python: string;
  /** Folder of the programs: `jupyter`, `tensorboard`, … */
  readonly bin: string;
}

const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url));

/** Makes the environment once (about two minutes) and finds it there from then on; see `buildOnce`. Needs python3 with venv and pip. */
export async function pythonEnvironment(): Promise<PythonEnvironment> {
  const what = "installing Python programs for the tests (once, about two minutes)";
  const folder = await buildOnce(`python-${await recipeHash()}`, what, (folder) =>
    makeVirtualEnvironment(folder, ["-r", REQUIREMENTS]),
  );
  return { python: join(folder, "bin", "python"), bin: join(folder, "bin") };
}

/** One with PyJWT alone, with which jobs verify assertions; see `pythonEnvironment`. */
export async function jwtEnvironment(): Promise<PythonEnvironment> {
  const what = "installing PyJWT for the tests (once, a few seconds)";
  const folder = await buildOnce(`python-jwt-${await recipeHash()}`, what, (folder) =>
    makeVirtualEnvironment(folder, ["pyjwt[crypto]==2.10.1"]),
  );
  return { python: join(folder, "bin", "python"), bin: join(folder, "bin") };
}

/** A new virtual environment in `folder` with what pip's arguments name. */
export async function makeVirtualEnvironment(folder: string, packages: readonly string[]): Promise<void> {
  await runProgram("python3", ["-m", "venv", folder]);
  const options = ["--quiet", "--disable-pip-version-check", "--no-input"];
  await runProgram(join(folder, "bin", "python"), ["-m", "pip", "install", ...options, ...packages]);
}

async function recipeHash(): Promise<string> {
  const version = await runProgram("python3", ["-c", "import sys; print(sys.version)"]);
  return createHash("sha256").update(version).update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 12);
}
