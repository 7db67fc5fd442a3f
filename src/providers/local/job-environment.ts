import { join } from "node:path";

/** What a replica is told by its environment. */
export interface ReplicaPlace {
  readonly task: string;
  readonly replica: string;
  /** One for each declared service, in order; where none is declared, one to use at will. */
  readonly ports: readonly number[];
  /** A service is declared for the first port: `PORT` is ours to say, whatever the caller had. */
  readonly declared: boolean;
}

/** Variables that npm and our own start-up set, which mean nothing, or something else, to a job. */
const OURS = /^(npm_.*|NODE_COMPILE_CACHE|NODE_CHANNEL_FD|TASKGATE_.*)$/i;

/** npm sets these for what it runs, and only the first tells that it did. */
const NPM_MARK = "npm_execpath";
const NPM_ALSO = new Set(["INIT_CWD", "NODE", "COLOR", "EDITOR"]);

/** No secret: a job may call the command line of the gate that runs it. */
const KEPT = "TASKGATE_HOME";

/**
 * The caller's environment as its job gets it: without what npm and our own scripts added on the way (`npm_*`, compile cache, entries
 * put in front of PATH) and without anything of the gate's own (`TASKGATE_TOKEN` and the like; only `TASKGATE_HOME` stays).
 * `packageRoot` is the folder of our own package: its programs were not on the caller's PATH.
 */
export function jobEnvironment(
  caller: Readonly<Record<string, string>>,
  packageRoot: string,
): Readonly<Record<string, string>> {
  const underNpm = caller[NPM_MARK] !== undefined;
  const kept = Object.entries(caller).filter(
    ([name]) => name === KEPT || !(OURS.test(name) || (underNpm && NPM_ALSO.has(name))),
  );
  const environment = Object.fromEntries(kept);
  if (environment.PATH !== undefined) environment.PATH = jobPath(environment.PATH, caller, packageRoot);
  return environment;
}

/** What says how to talk, not what to open: the rest of a caller's environment holds its keys and tokens, the ways to its agents. */
const HARMLESS = /^(PATH|LANG|LANGUAGE|LC_[A-Z]+|TERM|COLORTERM|TZ)$/;

/** What of the caller's environment a job of another user gets, which must not know what the caller knows (as sudo(8) does). */
export function strangersEnvironment(job: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(job).filter(([name]) => HARMLESS.test(name)));
}

/** What one replica gets on top. Programs that buffer when they write to a pipe (Python) are asked not to, or logs would come late. */
export function replicaEnvironment(
  job: Readonly<Record<string, string>>,
  place: ReplicaPlace,
): Readonly<Record<string, string>> {
  const [first] = place.ports;
  const keepsPort = !place.declared && job.PORT !== undefined;
  return {
    PYTHONUNBUFFERED: "1",
    ...job,
    ...(first === undefined || keepsPort ? {} : { PORT: String(first) }),
    ...Object.fromEntries(place.ports.map((port, index) => [`TASKGATE_PORT_${String(index)}`, String(port)])),
    TASKGATE_TASK: place.task,
    TASKGATE_REPLICA: place.replica,
  };
}

/**
 * npm puts `node_modules/.bin` of the package that it runs, and of every folder above it, in front. They go where that package is ours;
 * a job that its owner's own npm script starts keeps them.
 */
function jobPath(path: string, caller: Readonly<Record<string, string>>, packageRoot: string): string {
  const entries = path.split(":");
  const ours = new Set([join(packageRoot, "node_modules", ".bin"), join(packageRoot, "node_modules", "node", "bin")]);
  if (caller.npm_package_json === join(packageRoot, "package.json")) {
    const first = entries.findIndex((entry) => !/(^|\/)node_modules\/\.bin\/?$|\/node-gyp-bin\/?$/.test(entry));
    entries.splice(0, first < 0 ? entries.length : first);
  }
  return entries.filter((entry) => !ours.has(entry)).join(":");
}
