// Run as a program: CACHE FOLDER. Fills the compile cache with the TypeScript of a folder.
import { spawn } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import module from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const OF_TESTS = /\.(test|contract)\.ts$|(^|[\\/])(testing|contract)[\\/]/;
/** Of the gate, and of its workers (`src/platform/optimizing-compiler.ts`): what is compiled is kept by these flags. */
const FLAGS = [[], ["--no-maglev", "--no-opt"]];
const PROGRAM = fileURLToPath(import.meta.url);
/** Nothing after it is evaluated: by then all of it is compiled. */
const STOP = "data:text/javascript,throw undefined";

/**
 * Strips and compiles a checkout's sources in a process that ends, where they have changed since that was done last. The stripper holds 30
 * MiB for as long as its process lives: a gate that used it never gave them back, nor did its workers. `cache`: as for
 * `enableCompileCache`. What goes wrong here only leaves the work to the gate.
 *
 * @param {string} cache
 * @param {string} folder
 */
export async function compileAhead(cache, folder) {
  const stamp = join(cache, `${hash("sha256", folder).slice(0, 16)}.stamp`);
  try {
    const state = describe(folder);
    if (read(stamp) === state) return;
    mkdirSync(cache, { recursive: true });
    const programs = FLAGS.map((flags) =>
      spawn(process.execPath, [...flags, PROGRAM, cache, folder], { stdio: "ignore" }),
    );
    await Promise.all(programs.map((program) => once(program, "close")));
    writeFileSync(stamp, state);
  } catch {
    // nowhere to keep anything (then there is no cache either), or sources that change meanwhile
  }
}

/**
 * What is in a folder, and when it last changed, as far as a moment's look tells.
 *
 * @param {string} folder
 */
function describe(folder) {
  let [size, newest] = [0, 0];
  const names = sources(folder);
  for (const name of names) {
    const stat = statSync(join(folder, name));
    size += stat.size;
    newest = Math.max(newest, stat.mtimeMs);
  }
  return `${process.version} ${names.length} ${size} ${newest}\n`;
}

/** @param {string} folder */
function sources(folder) {
  return readdirSync(folder, { encoding: "utf8", recursive: true }).filter(
    (name) => name.endsWith(".ts") && !OF_TESTS.test(name),
  );
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/**
 * @param {string} cache
 * @param {string} folder
 */
async function fillCache(cache, folder) {
  module.enableCompileCache(cache);
  const urls = [STOP, ...sources(folder).map((name) => pathToFileURL(join(folder, name)).href)];
  const text = urls.map((url) => `import ${JSON.stringify(url)};`).join("");
  await import(`data:text/javascript,${encodeURIComponent(text)}`).catch(() => undefined);
}

const [, program, cache, folder] = process.argv;
if (program === PROGRAM && cache !== undefined && folder !== undefined) await fillCache(cache, folder);
