import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { writeGateFile } from "../config/home.ts";
import { Secret } from "../platform/secret.ts";
import { createApiClient } from "./api-client.ts";
import { EXIT } from "./failure.ts";
import { startFakeGate, taskView, temporaryHome, TOKEN } from "./testing/fake-gate.ts";
import { runCli } from "./testing/run-cli.ts";

const signal = new AbortController().signal;
const token = new Secret(TOKEN);

test("asks the gate by its host and with the token", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  gate.tasks.set("nb", taskView("nb"));
  const client = createApiClient({ gate: gate.file, token });
  await expect(client.task("nb", signal)).resolves.toMatchObject({ name: "nb" });
  await expect(client.task("local/nb", signal)).resolves.toMatchObject({ name: "nb" });
});

test("tells a gate that is gone from one that refuses", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  const stranger = createApiClient({ gate: gate.file, token: new Secret("other") });
  await expect(stranger.tasks(signal)).rejects.toMatchObject({
    exitCode: EXIT.denied,
    message: "this token is not known",
  });
  const client = createApiClient({ gate: gate.file, token });
  await gate.kill();
  await expect(client.tasks(signal)).rejects.toMatchObject({ exitCode: EXIT.noGate });
  await expect(client.tasks(signal)).rejects.toThrow("ECONNREFUSED");
});

test("never shows the token in what fails", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  const environment = { TASKGATE_HOME: home.directory, TASKGATE_TOKEN: "a\nb-secret" };
  const result = await runCli({ words: ["ps"], environment });
  expect(result.exitCode).toBe(EXIT.denied);
  expect(result.stderr).toContain("TASKGATE_TOKEN");
  expect(result.stderr + result.stdout).not.toContain("secret");
  expect(gate.asked).toEqual([]);
});

test("an abort throws its own reason", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  const aborted = AbortSignal.abort(new DOMException("enough", "AbortError"));
  await expect(createApiClient({ gate: gate.file, token }).tasks(aborted)).rejects.toThrow("enough");
});

test("an answer of something else that listens there is said, with the versions where they differ", async () => {
  using home = temporaryHome();
  const server = createServer((_request, response) => response.end("<html>hello</html>"));
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  await using gate = await startFakeGate(home);
  const file = { ...gate.file, version: "9.9.9", port: (server.address() as AddressInfo).port };
  writeGateFile(home, file);
  const result = await runCli({ words: ["ps"], environment: { TASKGATE_HOME: home.directory } });
  server.close();
  expect(result).toMatchObject({ exitCode: EXIT.failure, stdout: "" });
  expect(result.stderr).toContain("no JSON");
  expect(result.stderr).toContain("the running gate is taskgate 9.9.9");
});

test("a gate file of a process that is gone counts as no gate", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  writeGateFile(home, { ...gate.file, processStart: "another" });
  const result = await runCli({ words: ["ps"], environment: { TASKGATE_HOME: home.directory } });
  expect(result.exitCode).toBe(EXIT.noGate);
  expect(result.stderr).toContain("is gone");
  expect(result.stderr).toContain("taskgate up");
});
