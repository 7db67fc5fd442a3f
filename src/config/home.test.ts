import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { homeAt, makeHome, type Home } from "./home.ts";

let folder: string;
let home: Home;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tg-home-"));
  home = homeAt({ TASKGATE_HOME: join(folder, "state") });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("makes the state folder for its owner alone, and takes it again", () => {
  makeHome(home);
  makeHome(home);
  expect([home.directory, home.tasks].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700]);
});

test("refuses a state folder that others may write to: they could put their own token and socket there", () => {
  mkdirSync(home.directory);
  chmodSync(home.directory, 0o777);
  expect(() => makeHome(home)).toThrow(expect.objectContaining({ code: "denied", message: expect.stringContaining("chmod go-w") as string })); // prettier-ignore
  chmodSync(home.directory, 0o755);
  makeHome(home);
});

test("says which folder cannot be made, and what to do", () => {
  writeFileSync(join(folder, "file"), "");
  const inFile = homeAt({ TASKGATE_HOME: join(folder, "file", "state") });
  expect(() => makeHome(inFile)).toThrow(`cannot make the folder ${inFile.directory} (ENOTDIR). Name another one`);
});

test("refuses a path that has no room for its sockets, before anything is made", () => {
  const long = homeAt({ TASKGATE_HOME: join(folder, "x".repeat(100)) });
  expect(() => makeHome(long)).toThrow("94 bytes at most. Name another one: TASKGATE_HOME, or --home");
  expect(statSync(long.directory, { throwIfNoEntry: false })).toBeUndefined();
});

test("is in the user's own folder where HOME is empty or not set, never where somebody stands", () => {
  for (const home of ["", undefined]) {
    vi.stubEnv("HOME", home);
    expect(homeAt({}).directory).toBe(join(userInfo().homedir, ".taskgate"));
  }
  vi.unstubAllEnvs();
});

// Nobody but root may give a folder away; whoever else runs this sees that root's own is refused.
test("refuses a state folder of another user", () => {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    mkdirSync(home.directory);
    chownSync(home.directory, 65_534, 65_534);
  }
  const theirs = isRoot ? home : homeAt({ TASKGATE_HOME: "/" });
  expect(() => makeHome(theirs)).toThrow(expect.objectContaining({ code: "denied", message: expect.stringContaining("another user") as string })); // prettier-ignore
});
