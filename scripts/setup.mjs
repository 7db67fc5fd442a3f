// Plain JavaScript on purpose: it runs on whatever Node comes first on the PATH (20 or newer), before anything is installed.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = join(root, "node_modules", ".taskgate-installed");
const node = join(root, "node_modules", ".bin", "node");

/** What is installed is named by the lock file's hash. */
const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

function installed() {
  return existsSync(node) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
}

function fail(message) {
  process.stderr.write(`taskgate: ${message}\n`);
  process.exit(1);
}

function install() {
  process.stderr.write("taskgate: installing dependencies (npm ci; once, about 20 seconds) …\n");
  const started = Date.now();
  const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    encoding: "utf8",
  });
  if (result.error !== undefined) fail(`cannot run npm: ${result.error.message}`);
  if (result.status !== 0) fail(`npm ci failed:\n${result.stdout}${result.stderr}`);
  writeFileSync(stamp, wanted);
  process.stderr.write(`taskgate: installed in ${Math.round((Date.now() - started) / 1000)} s\n`);
}

function nodeVersion() {
  try {
    return execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
  } catch {
    return null;
  }
}

if (!installed()) install();
const version = nodeVersion();
if (version === null || Number(version.slice(1).split(".")[0]) < 24) {
  fail(
    `Node 24 is needed, and the one that came with the packages is ${version ?? "missing"}. ` +
      "Are install scripts off? Run: npm ci --ignore-scripts=false",
  );
}
