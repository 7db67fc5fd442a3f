import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { writeGateFile } from "../config/home.ts";
import { selfSigned } from "../dataplanes/testing/self-signed.ts";
import { EXIT } from "./failure.ts";
import { startForwarder } from "./forwarder.ts";
import { startFakeGate, taskView, temporaryHome, type FakeGate } from "./testing/fake-gate.ts";
import { runCli } from "./testing/run-cli.ts";

async function withSecureGate(
  work: (gate: FakeGate) => Promise<void>,
  names: readonly string[] = ["taskgate.localhost"],
): Promise<void> {
  using home = temporaryHome();
  const tls = { ...selfSigned(names), file: join(home.directory, "certificate.pem") };
  writeFileSync(tls.file, tls.certificate);
  await using gate = await startFakeGate(home, tls);
  await work(gate);
}

test("a gate with a certificate of its own making is known by it", async () => {
  await withSecureGate(async (gate) => {
    gate.tasks.set("nb", taskView("nb"));
    const result = await runCli({ words: ["ps", "--json"], environment: { TASKGATE_HOME: gate.home.directory } });
    expect(result).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
  });
});

test("a gate's own certificate is known whatever names it holds, such as *.localhost", async () => {
  await withSecureGate(
    async (gate) => {
      const result = await runCli({ words: ["ps", "--json"], environment: { TASKGATE_HOME: gate.home.directory } });
      expect(result).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
    },
    ["*.localhost"],
  );
});

test("forwards go by TLS as well, half-closes included", async () => {
  await withSecureGate(async (gate) => {
    gate.onConnect = (_request, socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      void text(socket).then((all) => socket.end(all.toUpperCase()));
    };
    const deps = { home: gate.home, environment: {}, host: "x.localhost", say: () => undefined };
    await using forwarder = await startForwarder(deps, 0);
    const socket = connect({ port: forwarder.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.end("hello");
    expect(await text(socket)).toBe("HELLO");
  });
});

test("a gate that another certificate is known of gets no token, by request or forward", async () => {
  await withSecureGate(async (gate) => {
    const other = join(gate.home.directory, "other.pem");
    writeFileSync(other, selfSigned(["taskgate.localhost"]).certificate);
    writeGateFile(gate.home, { ...gate.file, certificateFile: other });
    const result = await runCli({ words: ["ps"], environment: { TASKGATE_HOME: gate.home.directory } });
    expect(result.exitCode).toBe(EXIT.failure);
    expect(result.stderr).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY/);
    const said: string[] = [];
    const deps = { home: gate.home, environment: {}, host: "x.localhost", say: (line: string) => void said.push(line) };
    await using forwarder = await startForwarder(deps, 0);
    const socket = connect({ port: forwarder.port, host: "127.0.0.1" });
    await once(socket, "error");
    expect(said.join()).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY/);
    expect(gate.asked).toEqual([]);
  });
});
