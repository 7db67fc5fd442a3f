import { access, constants, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { GatewayError, type RunSpec } from "../../model/index.ts";
import { freeName, labelOf } from "./names.ts";

const COMMAND_BYTES = 128 * 1024;
const ENVIRONMENT_BYTES = 1024 * 1024;
/** Linux takes no longer string, of arguments and environment alike (MAX_ARG_STRLEN in execve(2)). */
const STRING_BYTES = 128 * 1024 - 1;
const NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
const MOST_REPLICAS = 64;
const MOST_SERVICES = 32;

/** Throws `bad_request` for what is no name. */
export function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new GatewayError(
    "bad_request",
    `${quote(name)} is no name of a task: expected lower-case letters, digits and dashes, 40 at most, such as my-notebook.`,
  );
}

/** A name after the program: `python3` for /usr/bin/python3, numbered where `isTaken`. */
export function nameAfter(program: string, isTaken: (name: string) => boolean): string {
  return freeName(labelOf(basename(program), 32) || "task", isTaken);
}

/** Throws `bad_request` or `too_large` for what can be seen to be wrong before anything is started. */
export async function checkRun(spec: RunSpec): Promise<void> {
  checkSizes(spec);
  checkServices(spec);
  await checkDirectory(spec.directory);
  await checkProgram(spec);
}

function checkSizes(spec: RunSpec): void {
  const command = spec.command.map((part) => Buffer.byteLength(part) + 1);
  if (spec.command.length === 0 || spec.command[0] === "") throw bad("There is no command to run.");
  if (sum(command) > COMMAND_BYTES) {
    throw large("The command is longer than 128 KiB. Put what is long into a file and name the file instead.");
  }
  const variables = Object.entries(spec.environment);
  const sizes = variables.map(([name, value]) => Buffer.byteLength(name) + Buffer.byteLength(value) + 2);
  if (sum(sizes) > ENVIRONMENT_BYTES) {
    throw large("The environment is larger than 1 MiB. Unset what the command does not need, or put it into a file.");
  }
  const long = variables.find((_, index) => (sizes[index] ?? 0) > STRING_BYTES);
  if (long !== undefined) {
    throw large(
      `The variable ${quote(long[0])} is longer than 128 KiB, which no program can be given. Put it into a file.`,
    );
  }
  if (variables.some(([name]) => name === "" || name.includes("=")))
    throw bad("A variable has no name, or one with =.");
  const texts = [...spec.command, spec.directory, ...variables.flat()];
  if (texts.some((text) => text.includes("\0"))) throw bad("The command or its environment has a zero byte in it.");
  if (!Number.isInteger(spec.replicas) || spec.replicas < 1 || spec.replicas > MOST_REPLICAS) {
    throw bad(`A task has 1 to ${String(MOST_REPLICAS)} replicas, not ${String(spec.replicas)}.`);
  }
}

function checkServices({ services, replicas }: RunSpec): void {
  if (services.length > MOST_SERVICES) throw bad(`A task declares ${String(MOST_SERVICES)} services at most.`);
  const names = services.map((service) => service.name);
  const wrong = names.find((name) => !NAME.test(name));
  if (wrong !== undefined) throw bad(`${quote(wrong)} is no name of a service: expected one such as web.`);
  if (new Set(names).size < names.length) throw bad("Two services have the same name.");
  const ports = services.flatMap((service) => service.port ?? []);
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65_535)) throw bad("A port is 1 to 65535.");
  if (new Set(ports).size < ports.length) throw bad("Two services have the same port.");
  if (ports.length > 0 && replicas > 1) {
    throw bad(
      `Several replicas cannot all listen on port ${String(ports[0])}. Leave the port out: each gets one of its own, as PORT says.`,
    );
  }
}

async function checkDirectory(directory: string): Promise<void> {
  if (!directory.startsWith("/")) throw bad(`The directory ${quote(directory)} is not absolute.`);
  const found = await stat(directory).catch(() => null);
  if (found === null) throw bad(`There is no directory ${directory}.`);
  if (!found.isDirectory()) throw bad(`${directory} is no directory.`);
}

/** Looks for the program as execvp(3) will: a path from the directory, a bare name along the PATH that the job gets. */
async function checkProgram({ command, directory, environment }: RunSpec): Promise<void> {
  const program = command[0] ?? "";
  if (program.includes("/")) {
    const problem = await whyNotRunnable(resolve(directory, program));
    if (problem !== null) throw bad(`${program} cannot be run: ${problem}.`);
    return;
  }
  const path = (environment.PATH ?? "/usr/local/bin:/usr/bin:/bin").split(":");
  for (const folder of path) {
    if ((await whyNotRunnable(join(resolve(directory, folder), program))) === null) return;
  }
  throw bad(`There is no program ${quote(program)} on the PATH.`);
}

async function whyNotRunnable(file: string): Promise<string | null> {
  const found = await stat(file).catch(() => null);
  if (found === null) return "there is no such file";
  if (!found.isFile()) return "it is no file";
  return await access(file, constants.X_OK).then(
    () => null,
    () => "it is not executable",
  );
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function bad(message: string): GatewayError {
  return new GatewayError("bad_request", message);
}

function large(message: string): GatewayError {
  return new GatewayError("too_large", message);
}
