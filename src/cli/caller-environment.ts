import { dirname, join } from "node:path";
import { packageRoot } from "../platform/package-info.ts";
import type { Environment } from "./terminal.ts";

/** Never a task's business: the command line's own login. */
const OWN = new Set(["TASKGATE_TOKEN"]);

/** What npm tells the scripts that it runs: https://docs.npmjs.com/cli/using-npm/scripts#environment. */
const NPM_NAME = /^npm_/i;

/**
 * The environment that a task gets: the caller's, without our token, without what npm set, and without our own packages on the PATH, where
 * a task would find our Node before its own. Packages of the caller's project stay.
 */
export function callerEnvironment(environment: Environment, root: string = packageRoot): Record<string, string> {
  const underOwnNpm = environment.npm_package_json === join(root, "package.json");
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || OWN.has(name) || NPM_NAME.test(name)) continue;
    if (underOwnNpm && isNpmValue(name, value, environment)) continue;
    kept[name] = name === "PATH" ? withoutOwnPackages(value, root, underOwnNpm) : value;
  }
  return kept;
}

/** npm also sets names that people set themselves: they go only where the value is npm's. */
function isNpmValue(name: string, value: string, environment: Environment): boolean {
  switch (name) {
    case "INIT_CWD":
      return true;
    case "NODE":
      return value === environment.npm_node_execpath;
    case "EDITOR":
      return value === environment.npm_config_editor;
    case "COLOR":
      return value === "0" || value === "1";
    default:
      return false;
  }
}

function withoutOwnPackages(path: string, root: string, underOwnNpm: boolean): string {
  const dropped = new Set([join(root, "node_modules", ".bin")]);
  // npm puts the packages of every folder above in front as well, and its node-gyp's.
  if (underOwnNpm) for (const folder of ancestors(root)) dropped.add(join(folder, "node_modules", ".bin"));
  return path
    .split(":")
    .filter((entry) => !dropped.has(entry) && !(underOwnNpm && entry.endsWith("/node-gyp-bin")))
    .join(":");
}

function ancestors(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [] : [parent, ...ancestors(parent)];
}
