import { execFile, execFileSync, type ExecFileException } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../platform/package-info.ts";
import { temporaryHome } from "./testing/fake-gate.ts";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  file: string,
  words: readonly string[],
  options: { readonly path?: string; readonly home: string },
): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const env = {
    PATH: options.path ?? "/usr/bin:/bin",
    HOME: options.home,
    XDG_CACHE_HOME: join(packageRoot, "node_modules", ".cache"),
  };
  execFile(file, words, { cwd: tmpdir(), env }, (error: ExecFileException | null, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
  });
  return promise;
}

/** A `node` that says it is of a version, and otherwise says what it was called with. */
function fakeNode(folder: string, version: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "node");
  writeFileSync(file, `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo "ran $@"; fi\n`);
  chmodSync(file, 0o755);
  return folder;
}

/** The script in a package of its own, without a Node of its own. */
function barePackage(folder: string): string {
  cpSync(join(packageRoot, "bin"), join(folder, "bin"), { recursive: true });
  return join(folder, "bin", "taskgate");
}

test("works from any directory and through symbolic links, whichever Node comes first on the PATH", async () => {
  using home = temporaryHome();
  const links = join(home.directory, "a b");
  mkdirSync(links);
  symlinkSync(join(packageRoot, "bin", "taskgate"), join(links, "real"));
  symlinkSync("./real", join(links, "tg"));
  const old = fakeNode(join(home.directory, "old"), "v20.20.2");
  const result = await run(join(links, "tg"), ["version", "--json"], {
    home: home.directory,
    path: `${old}:/usr/bin:/bin`,
  });
  expect(result).toMatchObject({ code: 0, stderr: "" });
  expect((JSON.parse(result.stdout) as { node: string }).node).toMatch(/^v2[4-9]/);
});

test("takes a Node of the PATH that is new enough, where the package has none", async () => {
  using home = temporaryHome();
  const script = barePackage(join(home.directory, "package"));
  const path = `${fakeNode(join(home.directory, "new"), "v25.1.0")}:/usr/bin:/bin`;
  const result = await run(script, ["ps", "a b"], { home: home.directory, path });
  expect(result.stdout).toBe(`ran ${join(dirname(script), "entry.mjs")} ps a b\n`);
});

test("says what to do where no Node is new enough, or none is there", async () => {
  using home = temporaryHome();
  const script = barePackage(join(home.directory, "package"));
  const old = `${fakeNode(join(home.directory, "old"), "v20.20.2")}:/usr/bin:/bin`;
  expect(await run(script, ["ps"], { home: home.directory, path: old })).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "taskgate: Node 24 or newer is needed, and the one on the PATH is v20.20.2.\n" +
      "  Try: install Node 24 (https://nodejs.org) and put it first on the PATH.\n",
  });
  // The tools that the script needs, and no node.
  const tools = join(home.directory, "tools");
  mkdirSync(tools);
  for (const tool of ["sh", "dirname", "readlink"]) symlinkSync(join("/usr/bin", tool), join(tools, tool));
  const none = await run(script, ["ps"], { home: home.directory, path: tools });
  expect(none).toMatchObject({ code: 1, stdout: "" });
  expect(none.stderr).toContain("there is none on the PATH");
});

test("leaves nothing where it is called, also where HOME is empty", () => {
  using home = temporaryHome();
  const cwd = join(home.directory, "here");
  mkdirSync(cwd);
  const env = { PATH: "/usr/bin:/bin", HOME: "", TASKGATE_HOME: home.directory };
  execFileSync(join(packageRoot, "bin", "taskgate"), ["version"], { cwd, env });
  expect(readdirSync(cwd)).toEqual([]);
});

test("exit codes of the command line come through", async () => {
  using home = temporaryHome();
  const script = join(packageRoot, "bin", "taskgate");
  expect((await run(script, ["nonsense"], { home: home.directory })).code).toBe(2);
  expect((await run(script, ["ps"], { home: home.directory })).code).toBe(4);
});
