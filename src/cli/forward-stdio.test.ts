import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { packageRoot } from "../platform/package-info.ts";
import { serviceView, startFakeGate, taskView, temporaryHome, type FakeGate } from "./testing/fake-gate.ts";

function forwardStdio(gate: FakeGate): ReturnType<typeof spawn> {
  const env = {
    ...process.env,
    TASKGATE_HOME: gate.home.directory,
    XDG_CACHE_HOME: join(packageRoot, "node_modules", ".cache"),
  };
  return spawn(process.execPath, [join(packageRoot, "bin", "entry.mjs"), "forward", "--stdio", "ssh"], {
    env,
    stdio: ["pipe", "pipe", "pipe"],
  });
}

test("carries one connection over standard input and output, and ends with it", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  gate.tasks.set("ssh", taskView("ssh", { services: [serviceView("shell", { protocol: "tcp" })] }));
  gate.onConnect = (_request, socket, head) => {
    // The first bytes of the service come with the answer: none of them may be lost.
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\nhello ");
    socket.write(head);
    socket.pipe(socket);
  };
  const child = forwardStdio(gate);
  const [stdout, stderr] = [text(child.stdout!), text(child.stderr!)];
  child.stdin!.end("and back");
  const [code] = (await once(child, "close")) as [number];
  expect({ code, stdout: await stdout, stderr: await stderr }).toEqual({
    code: 0,
    stdout: "hello and back",
    stderr: "",
  });
});

test("ends when the service does, while standard input is still open", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  gate.tasks.set("ssh", taskView("ssh", { services: [serviceView("shell", { protocol: "tcp" })] }));
  gate.onConnect = (_request, socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nbye");
  const child = forwardStdio(gate);
  const stdout = text(child.stdout!);
  expect(await stdout).toBe("bye");
  child.stdin!.end();
  await once(child, "close");
});

test("a refusal is an exit code and a reason", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  gate.tasks.set("ssh", taskView("ssh", { services: [serviceView("shell", { protocol: "tcp" })] }));
  gate.onConnect = (_request, socket) => void socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\nnothing listens there\n");
  const child = forwardStdio(gate);
  const stderr = text(child.stderr!);
  const [code] = (await once(child, "close")) as [number];
  expect(code).toBe(1);
  expect(await stderr).toContain("nothing listens there (502)");
});
