import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskView } from "../src/api/wire.ts";
import { startTestGate, type TestGate, until } from "./support/gate.ts";

/** Tasks of which nobody said which port they will open: their names say how they are doing all the same. */

/** Opens its port once a file is there. */
const late = (file: string) => `
  const { createServer } = require("node:http");
  const timer = setInterval(() => {
    if (!require("node:fs").existsSync(${JSON.stringify(file)})) return;
    clearInterval(timer);
    createServer((_req, res) => res.end("here I am")).listen(0, "127.0.0.1");
  }, 50);
`;

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate();
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
});

const run = (name: string, script: string) =>
  gate.cli("run", "--name", name, "--no-wait", "--", process.execPath, "-e", script);

test("a task that has opened no port yet says that it is starting, with its log to its owner only", async () => {
  await run("slow", 'console.log("loading the model"); setInterval(() => 0, 1000)');
  const page = async (anonymous: boolean) => gate.ask("slow.localhost", "/", { anonymous });
  await until(async () => (await page(false)).body.includes("loading the model"), "the page of a starting task");
  const own = await page(false);
  expect([own.status, own.headers["x-taskgate-error"], own.headers["retry-after"]]).toEqual([503, "starting", "1"]);
  expect(own.body).toMatch(/slow is starting[^]*Waiting for it to open a port/);
  const strangers = await page(true);
  expect(strangers.status).not.toBe(503);
  expect(strangers.body).not.toContain("loading the model");
  expect((await gate.json<TaskView[]>("ps")).find(({ name }) => name === "slow")?.services).toEqual([]);
});

test("a task that ended before it opened any says how, and what it said last", async () => {
  await run("gone", 'console.error("no such dataset"); process.exit(3)');
  const page = async () => gate.ask("gone.localhost", "/");
  await until(async () => (await page()).headers["x-taskgate-error"] === "crashed", "the page of a crashed task");
  const { status, body } = await page();
  expect(status).toBe(503);
  expect(body).toMatch(/gone has crashed[^]*Exited with code 3[^]*no such dataset/);
});

test("once it opens a port its name leads there", async () => {
  const file = join(gate.home, "go");
  await run("late", late(file));
  await until(async () => (await gate.ask("late.localhost", "/")).status === 503, "the page of a starting task");
  writeFileSync(file, "");
  await until(async () => (await gate.ask("late.localhost", "/")).body === "here I am", "the task itself");
});
