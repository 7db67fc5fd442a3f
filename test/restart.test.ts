import { readdirSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskView } from "../src/api/wire.ts";
import { isSameProcess, processStart } from "../src/platform/process-identity.ts";
import { ROOT, startTestGate, type TestGate, until } from "./support/gate.ts";

const HELLO = join(ROOT, "examples", "services", "hello.mjs");
const TCP_ECHO = join(ROOT, "examples", "services", "tcp-echo.mjs");

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate();
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
});

async function pidOf(host: string): Promise<number> {
  const answer = await gate.ask(host, "/");
  return Number(/served by process (\d+)/.exec(answer.body)?.[1] ?? "0");
}

describe("tasks outlive the gate", () => {
  test("after kill -9 they are the same processes under the same names and ports, and no token or claim is lost", async () => {
    await gate.json("run", "--name", "hello", "--service", "web=http", "--", process.execPath, HELLO);
    await gate.json(
      "run",
      "--name",
      "raw",
      "--access",
      "public",
      "--service",
      "echo=tcp",
      "--",
      process.execPath,
      TCP_ECHO,
    );
    const before = await gate.json<TaskView[]>("ps");
    const pid = await pidOf("hello.localhost");
    const start = processStart(pid);
    const { token } = await gate.json<{ token: string }>("token", "create", "kept");
    await gate.kill("SIGKILL");
    expect(isSameProcess(pid, start ?? "")).toBe(true);
    await gate.up();
    await until(async () => (await gate.task("hello")).state === "running", "adoption");
    await until(async () => (await gate.task("raw")).state === "running", "adoption");
    expect(stable(await gate.json<TaskView[]>("ps"))).toEqual(stable(before));
    expect(await pidOf("hello.localhost")).toBe(pid);
    const answer = await gate.ask("hello.localhost", "/", {
      anonymous: true,
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
  });

  test("exit codes, restarts and logs of the meantime are known", async () => {
    const script =
      'console.log("to end"); setTimeout(() => { console.log("ended in the dark"); process.exit(7) }, 1500)';
    await gate.cli("run", "--name", "ending", "--no-wait", "--", process.execPath, "-e", script);
    await gate.kill("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await gate.up();
    await until(async () => (await gate.task("ending")).state === "failed", "the exit to be known");
    expect((await gate.task("ending")).reason).toMatch(/exited with code 7/);
    expect((await gate.cli("logs", "ending")).stdout).toContain("ended in the dark");
  });

  test("killed at random moments while tasks start, nothing that was promised is lost", async () => {
    const promised: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const name = `round-${String(round)}`;
      const running = gate.cli(
        "run",
        "--name",
        name,
        "--no-wait",
        "--service",
        "web=http",
        "--",
        process.execPath,
        HELLO,
      );
      await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 500));
      await gate.kill("SIGKILL");
      if ((await running).code === 0) promised.push(name);
      await gate.up();
    }
    const names = (await gate.json<TaskView[]>("ps")).map((task) => task.name);
    expect(names).toEqual(expect.arrayContaining(promised));
    for (const name of promised) {
      await until(async () => (await gate.ask(`${name}.localhost`, "/")).status === 200, `${name} to answer`);
    }
  });

  test("stop ends the whole process group, and leaves nothing of it behind", async () => {
    const tree = `trap '' TERM; ${process.execPath} -e 'process.on("SIGTERM",()=>{}); setInterval(()=>{},1000)' & echo child $!; wait`;
    const config = await gate.cli("run", "--name", "stubborn", "--no-wait", "--", "sh", "-c", tree);
    expect(config.code).toBe(0);
    await until(async () => (await gate.cli("logs", "stubborn")).stdout.includes("child "), "the child");
    const child = Number(/child (\d+)/.exec((await gate.cli("logs", "stubborn")).stdout)?.[1]);
    expect(processStart(child)).not.toBeNull();
    expect((await gate.cli("stop", "stubborn")).code).toBe(0);
    expect(processStart(child)).toBeNull();
    expect((await gate.cli("rm", "stubborn")).code).toBe(0);
    expect(readdirSync(join(gate.home, "tasks"))).not.toContain("stubborn");
  });
});

test("forward carries TCP with login, and goes on after a restart of the gate", async () => {
  await gate.json("run", "--name", "deep", "--service", "echo=tcp", "--", process.execPath, TCP_ECHO);
  const { spawn } = await import("node:child_process");
  const forward = spawn(join(ROOT, "bin", "taskgate"), ["forward", "deep", "0", "--json"], {
    env: { ...gate.environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const port = await new Promise<number>((resolve) => {
      forward.stdout.once("data", (line: Buffer) => resolve((JSON.parse(line.toString()) as { port: number }).port));
    });
    expect(await echo(port, "first")).toBe("first");
    await gate.kill("SIGKILL");
    const waiting = echo(port, "second"); // dialled while the gate is away
    await gate.up();
    expect(await waiting).toBe("second");
  } finally {
    forward.kill("SIGTERM");
  }
});

function echo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = "";
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    socket.setEncoding("utf8").on("data", (part: string) => (all += part));
    socket.on("error", reject).on("end", () => resolve(all));
    socket.end(text);
  });
}

/** What must be the same after a restart. */
function stable(tasks: readonly TaskView[]): unknown {
  return tasks.map((task) => ({
    name: task.name,
    services: task.services.map(({ name, host, port, url }) => ({ name, host, port, url })),
  }));
}
