import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { startTestGate, type TestGate, until } from "./support/gate.ts";

/** Answers /NUMBER with a cookie that has a run of so many spaces inside. */
const SPACES = `
  require("node:http").createServer((request, response) => {
    const run = " ".repeat(Number(request.url.slice(1)) || 0);
    response.writeHead(200, ["Content-Type", "text/html", "Set-Cookie", "a=b; domain=x" + run + "y"]).end("spaces");
  }).listen(process.env.PORT, "127.0.0.1");
`;

let gate: TestGate;
let folder: string;
/** Of a file that nobody could read, later on: the gate has not heard of it then. */
let victim: Awaited<ReturnType<typeof startHttpApp>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-attacks-"));
  victim = await startHttpApp((_request, response) => response.end("victim"));
  const endpoints = [`127.0.0.1:${String(victim.address.port)}`];
  const tasks = [{ name: "victim", services: [{ name: "web", endpoints, path: "/victim/" }] }];
  writeFileSync(join(folder, "tasks.yaml"), JSON.stringify({ tasks }));
  const files = [{ name: "crew", path: join(folder, "tasks.yaml"), allowLoopback: true }];
  writeFileSync(join(folder, "config.yaml"), JSON.stringify({ files }));
  gate = await startTestGate({ dataPlane: "envoy", config: join(folder, "config.yaml") });
  const job = ["--service", "web=http", "--access", "public", "--", process.execPath, "-e", SPACES];
  await gate.json("run", "--name", "spaces", ...job);
});
afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await victim[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe("a job's answer", () => {
  test("does not keep an Envoy from everybody else, however long it is to be looked at", async () => {
    const begun = performance.now();
    expect((await gate.ask("spaces.localhost", "/55000")).body).toBe("spaces");
    // Some milliseconds where each byte is looked at once; many seconds where each run of spaces is, from each of them.
    expect(performance.now() - begun).toBeLessThan(3000);
  });
});

describe("what an Envoy has and its gate has not heard of yet", () => {
  const visit = (headers: Readonly<Record<string, string>> = {}) =>
    gate.ask("paths.localhost", "/victim/x", { anonymous: true, headers });

  beforeAll(async () => {
    await until(
      async () => (await gate.ask("paths.localhost", "/victim/x")).body === "victim",
      "the service of the file",
    );
    expect((await visit()).status).toBe(401);
    await gate.kill("SIGKILL");
    writeFileSync(join(folder, "tasks.yaml"), "{");
    await gate.up();
  });

  test("is not come to by the name of a service that one may come to", async () => {
    expect((await visit({ "x-taskgate-service": "spaces" })).body).toBe("spaces");
  });

  test("may be there: who asks for it is told to try again", async () => {
    const { status, headers } = await visit();
    expect([status, headers["x-taskgate-error"]]).toEqual([503, "gate_unreachable"]);
  });
});
