import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskView } from "../src/api/wire.ts";
import { homeAt, readGateFile } from "../src/config/home.ts";
import { cleanEnvironment, ROOT, run, startTestGate, type TestGate, until } from "./support/gate.ts";

/** Status of a GET by address and Host header. */
function status(address: string, port: number, host: string): Promise<number> {
  return new Promise((resolve) => {
    request({ host: address, port, path: "/", headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", () => resolve(0))
      .end();
  });
}

describe("npm start on a bare clone", () => {
  let folder: string;
  let clone: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tg-clone-"));
    clone = join(folder, "task gate"); // people have folders with spaces in their names
    environment = {
      ...cleanEnvironment(),
      TASKGATE_HOME: join(folder, "my home"),
      TASKGATE_LISTEN_ADDRESS: "127.0.0.1:0",
      TASKGATE_ADMIN_ADDRESS: "127.0.0.1:0",
    };
    const cloned = await run("git", ["clone", "--quiet", ROOT, clone], environment);
    expect(cloned.stderr).toBe("");
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("sets everything up, shows a demo and a login link that works, and stops on Ctrl-C without leaving the demo behind", async () => {
    const npm = spawn("npm", ["start"], {
      cwd: clone,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let output = "";
    npm.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    npm.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const ended = new Promise<number | null>((resolve) => npm.once("close", resolve));
    try {
      await until(
        () => /\/\.taskgate\/login\S*#code=\S+/.test(output) || npm.exitCode !== null,
        "the login link",
        240_000,
      );
      expect(output).toMatch(/installing dependencies/);
      const file = readGateFile(homeAt(environment));
      expect(file).not.toBeNull();
      const { address, port } = file!;
      expect(await status(address, port, `taskgate.localhost:${String(port)}`)).toBeLessThan(400);
      await until(
        async () => (await status(address, port, `demo.localhost:${String(port)}`)) === 401,
        "the demo, closed",
      );
    } finally {
      process.kill(-npm.pid!, "SIGINT");
    }
    await ended; // npm leaves at once on Ctrl-C; the gate takes its leave properly
    await until(() => readGateFile(homeAt(environment)) === null, "the gate to stop");
    await until(
      async () => (await run("pgrep", ["-f", join(folder, "my home")], environment)).stdout === "",
      "nothing to be left",
    );
  });

  test("bin/taskgate works from the checkout by whatever Node comes first on the PATH, and through a link", async () => {
    const version = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    const ran = await run(join(clone, "bin", "taskgate"), ["version"], environment, "/");
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain(version.version);
    await run("ln", ["-s", join(clone, "bin", "taskgate"), join(folder, "linked")], environment);
    expect((await run(join(folder, "linked"), ["version"], environment, "/")).code).toBe(0);
  });
});

describe("five minutes to a service of one's own", () => {
  let gate: TestGate;

  beforeAll(async () => {
    gate = await startTestGate();
  });

  afterAll(async () => {
    await gate[Symbol.asyncDispose]();
  });

  test("what run prints to copy works as it stands in a shell", async () => {
    const ran = await gate.cli("run", "--name", "files", "--", "python3", "-m", "http.server", "0");
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain(`http://files.localhost:${String(gate.file().port)}/`);
    const line = ran.stdout.split("\n").find((candidate) => candidate.trimStart().startsWith("curl "));
    expect(line).toBeDefined();
    const copied = await run("sh", ["-c", line!], gate.environment);
    expect(copied.stdout).toContain("Directory listing");
  });

  test("what ps --json says is enough for a Python program", async () => {
    const task = await gate.task("files");
    const program = `
import json, sys, urllib.request
service, token = json.loads(sys.argv[1]), sys.argv[2]
request = urllib.request.Request(f"http://127.0.0.1:{service['port']}/", headers={"Host": service["host"], "Authorization": f"Bearer {token}"})
print(urllib.request.urlopen(request).status)`;
    const { token } = await gate.json<{ token: string }>("token", "create", "python");
    const ran = await run("python3", ["-c", program, JSON.stringify(task.services[0]), token], gate.environment);
    expect(ran).toMatchObject({ code: 0, stdout: "200\n" });
  });

  test("attach takes in what already runs, and rm only forgets it", async () => {
    const server = spawn("python3", ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const port = await new Promise<number>((resolve) => {
        server.stdout.on("data", (text: Buffer) => {
          const found = /port (\d+)/.exec(text.toString());
          if (found !== null) resolve(Number(found[1]));
        });
      });
      const task = await gate.json<TaskView>("attach", String(port), "--name", "taken-in");
      expect(task).toMatchObject({ name: "taken-in", state: "running" });
      expect((await gate.ask("taken-in.localhost", "/")).status).toBe(200);
      expect((await gate.cli("rm", "taken-in")).code).toBe(0);
      expect(server.exitCode).toBeNull();
      expect((await gate.ask("taken-in.localhost", "/")).status).toBe(404);
    } finally {
      server.kill();
    }
  });

  test("doctor finds nothing to fail on a fresh gate, and completion completes the names of tasks", async () => {
    const checks = await gate.json<{ readonly level: string; readonly name: string }[]>("doctor");
    expect(checks.filter((check) => check.level === "fail")).toEqual([]);
    const script = `source <("$1" completion bash); COMP_WORDS=(taskgate logs fi); COMP_CWORD=2; COMP_LINE="taskgate logs fi"; COMP_POINT=16
      PATH="$(dirname "$1"):$PATH"; $(complete -p taskgate | sed 's/.*-F \\([^ ]*\\).*/\\1/') taskgate fi logs; echo "\${COMPREPLY[@]}"`;
    const ran = await run("bash", ["-c", script, "bash", join(ROOT, "bin", "taskgate")], gate.environment);
    expect(ran.stdout).toContain("files");
  });
});
