import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ListenConfig } from "../../config/schema.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { bindListener } from "./listener.ts";

const DEPS = { authority: null, ticketSecret: null, clock: systemClock, logger: silentLogger };
const FREE = ListenConfig.parse({ address: "127.0.0.1:0" });

test("keeps connections that come before anybody takes them", async () => {
  await using listener = await bindListener(FREE, DEPS);
  const early = net.connect(listener.port, listener.address);
  await once(early, "connect");
  const taken: string[] = [];
  listener.accept((socket) => {
    taken.push(String(socket.remotePort));
    socket.end("hello");
  });
  const [greeting] = (await once(early, "data")) as [Buffer];
  expect([greeting.toString(), taken]).toEqual(["hello", [String(early.localPort)]]);
  early.destroy();
});

test("says that a port is taken, that an address is not this machine's, and that a certificate is none", async () => {
  await using listener = await bindListener(FREE, DEPS);
  const taken = ListenConfig.parse({ address: `127.0.0.1:${String(listener.port)}` });
  await expect(bindListener(taken, DEPS)).rejects.toMatchObject({
    code: "conflict",
    message: `listen.address: 127.0.0.1:${String(listener.port)} is taken by another program`,
  });
  await expect(bindListener(ListenConfig.parse({ address: "192.0.2.1:0" }), DEPS)).rejects.toMatchObject({
    code: "bad_request",
  });
  const folder = await mkdtemp(join(tmpdir(), "taskgate-listener-"));
  const pem = selfSigned(["a.localhost"]);
  const other = selfSigned(["a.localhost"]);
  const files = { certificate: join(folder, "certificate.pem"), key: join(folder, "key.pem") };
  const withTls = ListenConfig.parse({ address: "127.0.0.1:0", tls: files });
  await expect(bindListener(withTls, DEPS)).rejects.toMatchObject({ code: "bad_request" });
  await writeFile(files.certificate, pem.certificate);
  await writeFile(files.key, other.key);
  await expect(bindListener(withTls, DEPS)).rejects.toMatchObject({ code: "bad_request" });
  await writeFile(files.key, pem.key);
  await using good = await bindListener(withTls, DEPS);
  expect(good.tls).not.toBeNull();
  await rm(folder, { recursive: true });
});

test("takes no more connections once it is closed", async () => {
  await using listener = await bindListener(FREE, DEPS);
  listener.accept((socket) => socket.end());
  listener.close();
  const [error] = (await once(net.connect(listener.port, listener.address), "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
});

test("outlives the end of descriptors: who comes then waits or is turned away, and the next ones are served again", async () => {
  const here = JSON.stringify(import.meta.resolve("./listener.ts"));
  const schema = JSON.stringify(import.meta.resolve("../../config/schema.ts"));
  const script = `
    const { bindListener } = await import(${here});
    const { ListenConfig } = await import(${schema});
    const clock = { now: () => Date.now(), after: () => ({ [Symbol.dispose]() {} }) };
    const listener = await bindListener(ListenConfig.parse({ address: "127.0.0.1:0" }), { authority: null, ticketSecret: null, clock, logger: null });
    listener.accept((socket) => void socket.on("data", (chunk) => socket.write(chunk)).on("end", () => socket.end()));
    console.log(listener.port);`;
  const child = spawn("bash", ["-c", 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, script]);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(line.toString());
  const crowd = Array.from({ length: 150 }, () => net.connect(port, "127.0.0.1"));
  for (const socket of crowd) socket.on("error", () => undefined);
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const socket of crowd) socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const late = net.connect(port, "127.0.0.1");
  late.write("still here");
  const [echoed] = (await once(late, "data")) as [Buffer];
  expect([echoed.toString(), child.exitCode]).toEqual(["still here", null]);
  late.destroy();
  child.kill("SIGKILL");
});
