import { execFileSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";

/**
 * Path of a program of a Debian package, the first that is there of `paths` (which may hold `*`); installs the package where this may.
 * Throws where it is missing and cannot be installed.
 */
export function debianProgram(name: string, paths: readonly string[]): string {
  const found = find(paths);
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    throw new Error(`none of ${paths.join(", ")} is there: install the package ${name}`);
  }
  process.stderr.write(`installing Debian's package ${name} (once, under a minute) …\n`);
  const options = { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } } as const;
  execFileSync("apt-get", ["update", "-qq"], options);
  execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", name], options);
  const installed = find(paths);
  if (installed === undefined) throw new Error(`the package ${name} has none of ${paths.join(", ")}`);
  return installed;
}

function find(paths: readonly string[]): string | undefined {
  return paths.flatMap((path) => (path.includes("*") ? globSync(path) : [path])).find((path) => existsSync(path));
}
