import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { familyOf } from "../bench/machine.ts";
import type { Row } from "../bench/suite.ts";
import { isSameProcess, processStart } from "../src/platform/process-identity.ts";
import { cleanEnvironment, ROOT, run, until } from "./support/gate.ts";

const BENCH = [join(ROOT, "bench", "main.ts")];
const SLOW_MACHINE_MS = 400_000;
/** Nobody who would have to be fetched. */
const ONLY = "taskgate,taskgate-login,node-undici";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "tg-bench-test-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bench(...args: readonly string[]) {
  return run(process.execPath, [...BENCH, ...args], cleanEnvironment(), ROOT);
}

function quick(suite: string, only: string, json: string) {
  return bench(suite, "--rounds", "1", "--seconds", "1", "--only", only, "--json", json);
}

test(
  "requests are measured through a gate, with and without login, and beside a peer",
  async () => {
    const json = join(folder, "http.json");
    const ran = await quick("http", ONLY, json);
    expect(ran.code, ran.stderr).toBe(0);
    const { suite, rows } = JSON.parse(readFileSync(json, "utf8")) as { suite: string; rows: readonly Row[] };
    expect(suite).toBe("http");
    for (const name of ONLY.split(",")) {
      const own = rows.find((row) => row.name === name);
      expect(own, ran.stderr).toMatchObject({ unit: "requests/s", ratio: null }); // nobody measured Envoy
      expect(own?.value).toBeGreaterThan(0);
      expect(ran.stdout).toContain(`${name}, per CPU second`);
    }
    for (const row of rows) expect(Object.keys(row)).toEqual(["name", "value", "unit", "ratio"]);
    expect(ran.stderr).not.toContain("FAILED");
  },
  SLOW_MACHINE_MS,
);

test(
  "what a login costs is measured in turns, and compared with asking for none",
  async () => {
    const json = join(folder, "login.json");
    const ran = await quick("login", "taskgate,taskgate-login", json);
    expect(ran.code, ran.stderr).toBe(0);
    const { rows } = JSON.parse(readFileSync(json, "utf8")) as { rows: readonly Row[] };
    expect(rows.filter(({ name }) => name.startsWith("taskgate,")).map(({ ratio }) => ratio)).toEqual([1, 1]);
    const ratios = rows.filter(({ name }) => name.startsWith("taskgate-login")).map(({ ratio }) => ratio);
    expect(ratios).toHaveLength(3);
    for (const ratio of ratios) expect(ratio).toBeGreaterThan(0);
  },
  SLOW_MACHINE_MS,
);

test(
  "WebSockets, raw TCP, large bodies and HTTP/2 get through a gate's bench",
  async () => {
    for (const suite of ["ws", "tcp", "body", "h2"]) {
      const json = join(folder, `${suite}.json`);
      const ran = await quick(suite, "taskgate", json);
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).not.toContain("FAILED");
      const { rows } = JSON.parse(readFileSync(json, "utf8")) as { rows: readonly Row[] };
      expect(rows[0]?.name, suite).toBe("taskgate");
      for (const row of rows) expect(row.value, `${suite}: ${row.name}`).toBeGreaterThan(0);
    }
  },
  SLOW_MACHINE_MS,
);

test("what is not understood is refused before anything starts", async () => {
  const wrong: readonly (readonly string[])[] = [
    [],
    ["nothing"],
    ["http", "ws"],
    ["http", "--rounds", "0"],
    ["http", "--rounds", "101"],
    ["http", "--seconds", "61"],
    ["http", "--seconds", "1.5"],
    ["http", "--only", "nobody"],
    ["http", "--no-such-option"],
  ];
  for (const args of wrong) {
    const ran = await bench(...args);
    expect(ran.code, args.join(" ")).toBe(2);
    expect(ran.stderr).toContain("Usage: npm run bench");
  }
});

test("Ctrl-C ends all that the bench started", async () => {
  const env = cleanEnvironment();
  const child = spawn(process.execPath, [...BENCH, "http", "--only", ONLY], { cwd: ROOT, env });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await until(() => said.includes("warming up") || child.exitCode !== null, "the bench to start");
  const family = familyOf(child.pid!)
    .slice(1)
    .map((pid) => ({ pid, start: processStart(pid) ?? "" }));
  expect(family.length, said).toBeGreaterThan(2); // a backend, a gate, a peer
  child.kill("SIGINT");
  expect(await exitOf(child)).toBe(130);
  await until(() => !family.some(({ pid, start }) => isSameProcess(pid, start)), "its processes to end");
});

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once("close", resolve));
}
