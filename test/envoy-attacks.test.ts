import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestGate, type TestGate } from "./support/gate.ts";

/** Answers /NUMBER with a cookie that has a run of so many spaces inside. */
const SPACES = `
  require("node:http").createServer((request, response) => {
    const run = " ".repeat(Number(request.url.slice(1)) || 0);
    response.writeHead(200, ["Content-Type", "text/html", "Set-Cookie", "a=b; domain=x" + run + "y"]).end("spaces");
  }).listen(process.env.PORT, "127.0.0.1");
`;

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate({ dataPlane: "envoy" });
  await gate.json("run", "--name", "spaces", "--service", "web=http", "--", process.execPath, "-e", SPACES);
});
afterAll(() => gate[Symbol.asyncDispose]());

describe("a job's answer", () => {
  test("does not keep an Envoy from everybody else, however long it is to be looked at", async () => {
    const begun = performance.now();
    expect((await gate.ask("spaces.localhost", "/55000")).body).toBe("spaces");
    // Some milliseconds where each byte is looked at once; many seconds where each run of spaces is, from each of them.
    expect(performance.now() - begun).toBeLessThan(3000);
  });
});
