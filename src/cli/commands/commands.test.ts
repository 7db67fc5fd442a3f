import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { expect, test, vi } from "vitest";
import { EXIT } from "../failure.ts";
import { serviceView, startFakeGate, taskView, temporaryHome, type FakeGate } from "../testing/fake-gate.ts";
import { runCli, type Call, type Result } from "../testing/run-cli.ts";

type Cli = (words: readonly string[], call?: Omit<Call, "words">) => Promise<Result>;

async function withGate(work: (gate: FakeGate, cli: Cli) => Promise<void>): Promise<void> {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  await work(gate, (words, call = {}) =>
    runCli({ words, ...call, environment: { TASKGATE_HOME: home.directory, ...call.environment } }),
  );
}

test("without a gate, says so and what to do, with an exit code of its own", async () => {
  using home = temporaryHome();
  const result = await runCli({ words: ["ps"], environment: { TASKGATE_HOME: home.directory } });
  expect(result).toMatchObject({ exitCode: EXIT.noGate, stdout: "" });
  expect(result.stderr).toBe(
    `taskgate: no gate runs for ${home.directory}\n  Try: taskgate up --background (tasks that ran go on, and are taken in again)\n`,
  );
});

test("--home names the state folder like TASKGATE_HOME", async () => {
  await withGate(async (gate) => {
    const result = await runCli({ words: ["ps", "--json", "--home", gate.home.directory] });
    expect(result).toEqual({ exitCode: EXIT.ok, stdout: "[]\n", stderr: "" });
  });
});

test("ps --json prints the tasks and nothing else", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb"));
    const result = await cli(["ps", "--json"]);
    expect(JSON.parse(result.stdout)).toEqual([taskView("nb")]);
    expect(result).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
  });
});

test("ps --watch shows every change, waits for a gate that restarts, and ends by Ctrl-C", async () => {
  await withGate(async (gate, cli) => {
    const controller = new AbortController();
    const seen: string[][] = [];
    const onOutput = (text: string): void =>
      void seen.push((JSON.parse(text) as { name: string }[]).map((task) => task.name));
    const done = cli(["ps", "--watch", "--json"], { signal: controller.signal, onOutput });
    await vi.waitFor(() => expect(seen).toEqual([[]]), { timeout: 10_000 });
    const change = { kind: "change", set: [taskView("nb")], removed: [], problems: [] };
    for (const stream of gate.eventStreams) stream.write(`event: change\ndata: ${JSON.stringify(change)}\n\n`);
    await vi.waitFor(() => expect(seen.at(-1)).toEqual(["nb"]), { timeout: 10_000 });
    await gate.kill();
    gate.tasks.set("back", taskView("back"));
    await gate.revive();
    await vi.waitFor(() => expect(seen.at(-1)).toEqual(["back"]), { timeout: 10_000 });
    controller.abort();
    const result = await done;
    expect(result.exitCode).toBe(EXIT.ok);
    expect(result.stderr.match(/waiting for it/g)).toHaveLength(1);
  });
});

test("run sends the command with the caller's directory and environment, and prints how to get there", async () => {
  await withGate(async (gate, cli) => {
    const environment = { LANG: "C", npm_config_x: "1" };
    const words = [
      "run",
      "--name",
      "nb",
      "--service",
      "web=http",
      "--restart",
      "on-failure",
      "--access",
      "public",
      "--path",
      "/nb/",
    ];
    const result = await cli([...words, "--", "jupyter", "lab", "--port=$PORT"], { environment });
    expect(result).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
    expect(gate.ran).toEqual([
      {
        name: "nb",
        command: ["jupyter", "lab", "--port=$PORT"],
        directory: tmpdir(),
        environment: { LANG: "C", TASKGATE_HOME: gate.home.directory },
        services: [{ name: "web", protocol: "http" }],
        replicas: 1,
        restart: "on-failure",
        anyone: "public",
        path: "/nb/",
      },
    ]);
    expect(result.stdout.replaceAll(gate.home.directory, "HOME")).toMatchInlineSnapshot(`
      "nb is running
        web        http://nb.localhost:7080/

      In a browser, logged in:
        taskgate open nb
      From a program:
        curl -H "Host: nb.localhost" -H "Authorization: Bearer $(cat HOME/token)" http://127.0.0.1:7080/
      Its log:
        taskgate logs -f nb
      "
    `);
  });
});

test("run takes what follows the command's name as its arguments, dashes and all", async () => {
  await withGate(async (gate, cli) => {
    await cli(["run", "--name", "x", "python3", "-m", "http.server", "--json"]);
    expect(gate.ran[0]?.command).toEqual(["python3", "-m", "http.server", "--json"]);
  });
});

test("run --json prints the task and nothing else, when it is ready", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb", { state: "starting" }));
    const done = cli(["run", "--name", "nb", "--json", "--", "x"]);
    await vi.waitFor(() => expect(gate.asked).toContain("GET /tasks/local/nb"), { timeout: 10_000 });
    gate.tasks.set("nb", taskView("nb"));
    const result = await done;
    expect(result).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
    expect(JSON.parse(result.stdout)).toEqual(taskView("nb"));
  });
});

test("run of a task that fails says why, with the last lines of its log", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb", { state: "failed", reason: "exit code 3", services: [] }));
    gate.logs.set("nb", "one\n\x1b[31mtwo\x1b[0m\n");
    const result = await cli(["run", "--name", "nb", "--", "x"]);
    expect(result).toEqual({
      exitCode: EXIT.failure,
      stdout: "",
      stderr: "taskgate: nb failed: exit code 3\n  | one\n  | two\n",
    });
    expect(gate.asked).toContain("GET /tasks/local/nb/logs?tail=15");
  });
});

test("run that is not ready in time leaves the task and says so", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb", { state: "starting", reason: "port 8888 is not open yet" }));
    const result = await cli(["run", "--name", "nb", "--wait", "1ms", "--", "x"]);
    expect(result.exitCode).toBe(EXIT.failure);
    expect(result.stderr).toContain("nb is not ready yet: port 8888 is not open yet");
    expect(result.stderr).toContain("It goes on.");
    expect(await cli(["run", "--name", "nb", "--no-wait", "--", "x"])).toMatchObject({ exitCode: EXIT.ok });
  });
});

test("run interrupted while it waits leaves the task running and says so", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb", { state: "starting" }));
    const controller = new AbortController();
    const done = cli(["run", "--name", "nb", "--", "x"], { signal: controller.signal });
    await vi.waitFor(() => expect(gate.asked).toContain("GET /tasks/local/nb"), { timeout: 10_000 });
    controller.abort();
    expect(await done).toMatchObject({ exitCode: EXIT.interrupted, stdout: "" });
    expect((await done).stderr).toContain("nb goes on");
  });
});

test("run --follow prints the log and ends as the task does", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb", { state: "finished", services: [] }));
    gate.logs.set("nb", "all done\n");
    const result = await cli(["run", "--name", "nb", "--follow", "--", "x"]);
    expect(result.exitCode).toBe(EXIT.ok);
    expect(result.stdout).toContain("all done\n");
    expect(gate.asked).toContain("GET /tasks/local/nb/logs?follow=true");
  });
});

test("a misspelt task is answered with the nearest one", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("notebook", taskView("notebook"));
    for (const words of [["logs"], ["stop"], ["rm"], ["restart"], ["open"], ["forward"]]) {
      const result = await cli([...words, "notbook"]);
      expect(result).toMatchObject({ exitCode: EXIT.notFound, stdout: "" });
      expect(result.stderr).toContain("no task is named notbook\n  Try: did you mean notebook?");
    }
  });
});

test("stop goes on after one that fails, and tells it", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("a", taskView("a"));
    gate.tasks.set("b", taskView("b"));
    const result = await cli(["stop", "a", "none", "b"]);
    expect(result).toMatchObject({ exitCode: EXIT.notFound, stdout: "a has finished\nb has finished\n" });
    expect(result.stderr).toContain("none");
    expect(JSON.parse((await cli(["rm", "a", "--json"])).stdout)).toEqual({ removed: ["a"] });
    expect([...gate.tasks.keys()]).toEqual(["b"]);
  });
});

test("logs are printed as they are, and asked for as wanted", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb"));
    gate.logs.set("nb", "\x1b[32mgreen\x1b[0m\nno line end");
    expect(await cli(["logs", "nb", "--tail", "5", "--replica", "1"])).toEqual({
      exitCode: EXIT.ok,
      stdout: "\x1b[32mgreen\x1b[0m\nno line end",
      stderr: "",
    });
    expect(gate.asked).toContain("GET /tasks/nb/logs?tail=5&replica=1");
  });
});

test("a log that is followed is left by Ctrl-C, which is no failure", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb"));
    gate.logs.set("nb", "a line\n");
    const controller = new AbortController();
    const onOutput = (): void => controller.abort(new DOMException("stopped by SIGINT", "AbortError"));
    const followed = await cli(["logs", "-f", "nb"], { signal: controller.signal, onOutput });
    expect(followed).toEqual({ exitCode: EXIT.ok, stdout: "a line\n", stderr: "" });
  });
});

test("token create prints the token alone; revoke takes an id, or a name that one has", async () => {
  await withGate(async (gate, cli) => {
    expect((await cli(["token", "create"])).stdout).toBe("tg_secret\n");
    expect(JSON.parse((await cli(["token", "create", "--for", "8h", "--json"])).stdout)).toMatchObject({
      token: "tg_secret",
    });
    expect((await cli(["token", "list"])).stdout).toContain("command line");
    expect(await cli(["token", "revoke", "command line"])).toMatchObject({ exitCode: EXIT.ok });
    expect(await cli(["token", "revoke", "none"])).toMatchObject({ exitCode: EXIT.notFound });
    expect((await cli(["token", "revoke", "twice"])).stderr).toContain("several tokens are named twice");
    expect(gate.asked).toContain("DELETE /tokens/t1");
  });
});

test("open prints a login link that leads on where there is no browser", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("nb", taskView("nb"));
    const result = await cli(["open", "nb"], { environment: { DISPLAY: "", WAYLAND_DISPLAY: "" } });
    expect(result).toMatchObject({ exitCode: EXIT.ok, stdout: `${gate.file.url}/login#code=once\n` });
    expect(JSON.parse((await cli(["open", "nb", "--json"])).stdout)).toMatchObject({
      target: "http://nb.localhost:7080/",
    });
  });
});

test("open gives the browser a page that leads on: the link is in no command line", async () => {
  await withGate(async (gate, cli) => {
    const record = join(gate.home.directory, "record");
    const opener = join(gate.home.directory, "opener");
    writeFileSync(opener, `#!/bin/sh\nprintf %s "$*" > '${record}'\n`, { mode: 0o755 });
    const result = await cli(["open"], { environment: { BROWSER: opener } });
    expect(result).toEqual({ exitCode: EXIT.ok, stdout: "", stderr: `Opened ${gate.file.url}\n` });
    const [argument = ""] = readFileSync(record, "utf8").split(" ");
    expect(argument).toMatch(/^file:.*\.html$/);
    expect(readFileSync(new URL(argument), "utf8")).toContain("login#code=once");
    const failing = await cli(["open"], { environment: { BROWSER: "/nonexistent" } });
    expect(failing).toMatchObject({ exitCode: EXIT.ok, stdout: `${gate.file.url}/login#code=once\n` });
  });
});

test("open of what no browser can open says how to get there", async () => {
  await withGate(async (gate, cli) => {
    gate.tasks.set("db", taskView("db", { services: [serviceView("sql", { protocol: "tcp" })] }));
    const result = await cli(["open", "db/sql"]);
    expect(result.exitCode).toBe(EXIT.failure);
    expect(result.stderr).toContain("Try: taskgate forward db/sql");
    expect((await cli(["open", "db/sqk"])).stderr).toContain("did you mean sql?");
  });
});

test("up where a gate runs says so, with a new login link", async () => {
  await withGate(async (gate, cli) => {
    const result = await cli(["up"]);
    expect(result).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
    expect(result.stdout).toContain(`A gate is already up at ${gate.file.url}`);
    expect(result.stdout).toContain("login#code=once");
    expect(JSON.parse((await cli(["up", "--background", "--json"])).stdout)).toMatchObject({
      state: "running",
      url: gate.file.url,
    });
  });
});

test("version asks nobody", async () => {
  await withGate(async (gate, cli) => {
    expect(JSON.parse((await cli(["version", "--json"])).stdout)).toMatchObject({ gate: { url: gate.file.url } });
    expect(gate.asked).toEqual([]);
    expect(existsSync(gate.home.gateLog)).toBe(false);
  });
});
