import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";

/** The state folder and what is where in it. Everything in it is for its owner alone. */
export interface Home {
  readonly directory: string;
  readonly database: string;
  /** The command line's token, 0600. */
  readonly token: string;
  /** Says that a gate runs, and where. */
  readonly gateFile: string;
  /** Where the API listens; the data plane leads to it. */
  readonly apiSocket: string;
  /** Log of a gate that was started in the background. */
  readonly gateLog: string;
  /** One folder per local task. */
  readonly tasks: string;
}

/** `TASKGATE_HOME`, else `~/.taskgate`. Nothing is made. */
export function homeAt(environment: Readonly<Record<string, string | undefined>>): Home {
  const set = environment.TASKGATE_HOME;
  const directory = set === undefined || set === "" ? join(homedir(), ".taskgate") : resolve(set);
  return {
    directory,
    database: join(directory, "gate.db"),
    token: join(directory, "token"),
    gateFile: join(directory, "gate.json"),
    apiSocket: join(directory, "api.sock"),
    gateLog: join(directory, "gate.log"),
    tasks: join(directory, "tasks"),
  };
}

/** Makes the folder (0700) and the one for tasks. */
export function makeHome(home: Home): void {
  mkdirSync(home.directory, { recursive: true, mode: 0o700 });
  mkdirSync(home.tasks, { recursive: true, mode: 0o700 });
}

/** What a running gate says of itself to the command line. */
export const GateFile = z.strictObject({
  pid: z.int(),
  /** Of the process, as the operating system tells it: pid and start time together name one process. */
  processStart: z.string(),
  version: z.string(),
  /** `http://taskgate.localhost:7080`. */
  url: z.string(),
  gateHost: z.string(),
  domain: z.string(),
  secure: z.boolean(),
  /** Absolute: the chain that it serves, by which the command line knows it. Absent where it serves plain HTTP. */
  certificateFile: z.string().optional(),
  /** What to dial. */
  address: z.string(),
  port: z.int(),
  adminAddress: z.string().nullable(),
});
export type GateFile = z.output<typeof GateFile>;

/** null: none there, or not readable as one. */
export function readGateFile(home: Home): GateFile | null {
  try {
    return GateFile.parse(JSON.parse(readFileSync(home.gateFile, "utf8")));
  } catch {
    return null;
  }
}

export function writeGateFile(home: Home, gate: GateFile): void {
  const temporary = `${home.gateFile}.${String(process.pid)}`;
  writeFileSync(temporary, `${JSON.stringify(gate)}\n`, { mode: 0o600 });
  renameSync(temporary, home.gateFile);
}

export function removeGateFile(home: Home): void {
  rmSync(home.gateFile, { force: true });
}
