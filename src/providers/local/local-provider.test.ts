import { createServer } from "node:net";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isCode, type GatewayError } from "../../model/index.ts";
import { processStart } from "../../platform/process-identity.ts";
import type { Store } from "../../store/store.ts";
import { describeProvider, recordSource, type ProviderStand } from "../provider.contract.ts";
import { attachRecordOf } from "./task-record.ts";
import type { LocalProvider } from "./local-provider.ts";
import {
  createLocal,
  linesOf,
  openStore,
  OWNER,
  runSpec,
  serve,
  startWholeStand,
  temporaryHome,
  WAIT,
  type LocalStand,
} from "./testing/local-stand.ts";

const NEVER = new AbortController().signal;
const WEB = { name: "web", protocol: "http" } as const;

/** A world of commands that end at once. While the suite's provider is not started, another one over the same records acts for it. */
async function startContractStand(): Promise<ProviderStand> {
  const home = temporaryHome();
  const store = await openStore(home);
  const [provider, other] = [createLocal(home, store), createLocal(home, store)];
  const act = async (work: (provider: LocalProvider) => Promise<unknown>): Promise<void> => {
    try {
      await work(provider);
    } catch (error) {
      if (!isCode(error, "unavailable")) throw error;
      await using scope = new AsyncDisposableStack();
      scope.use(await other.start(() => undefined, NEVER));
      await work(other);
    }
  };
  const ended = async (by: LocalProvider, name: string): Promise<void> => {
    // Following the log ends when the task has.
    await linesOf(by.control.logs(name, { follow: true }, NEVER));
  };
  return {
    provider,
    add: (name) =>
      act(async (by) => {
        await by.runner.run(runSpec(["true"], { name }), NEVER);
        await ended(by, name);
      }),
    change: (name) => act((by) => by.runner.restart(name, NEVER)),
    remove: (name) => act((by) => by.control.remove(name, NEVER)),
    addBad: null, // only this program writes its records
    fail: null, // its own store is read once, at the start
    mend: null,
    async [Symbol.asyncDispose]() {
      const watch = await other.start(() => undefined, NEVER);
      const names = (await store.list("tasks")).keys();
      for (const name of names) await other.control.remove(name, NEVER);
      await watch[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    },
  };
}

describeProvider("local", startContractStand, { loopback: true });

describe("a task of this machine", () => {
  let stand: LocalStand;
  beforeAll(async () => {
    stand = await startWholeStand();
  });
  afterAll(() => stand[Symbol.asyncDispose]());

  /** The code and message that it fails with. */
  const failure = async (work: Promise<unknown>): Promise<Pick<GatewayError, "code" | "message">> => {
    const error: unknown = await work.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: "GatewayError" });
    return error as GatewayError;
  };

  test("is running with a healthy endpoint once its declared service listens, on a port that the gate picked", async () => {
    const name = await stand.run(serve("process.env.PORT"), { name: "declared", services: [WEB], path: "/nb/" });
    const task = await stand.until(name, { state: "running" });
    const [service] = task.services;
    expect(task).toMatchObject({ id: "declared", owner: OWNER, access: { grants: [], anyone: "nobody" } });
    expect(service).toMatchObject({
      name: "web",
      protocol: "http",
      guard: "gate",
      exposures: [{ by: "path", prefix: "/nb/", strip: true }],
    });
    expect(task.endpoints.web).toEqual([
      { address: { ip: "127.0.0.1", port: service!.port }, replica: "0", weight: 1, health: "healthy" },
    ]);
    const answer = await fetch(`http://127.0.0.1:${String(service!.port)}/`);
    expect(await answer.text()).toBe("hello");
  });

  test("gets a service for every port that it opens by itself, each under a name of its own", async () => {
    const name = await stand.run(serve("0", "0"), { name: "finds" });
    const task = await stand.until(name, (now) => expect(now.services).toHaveLength(2));
    const names = task.services.map((service) => service.name);
    expect(new Set(names).size).toBe(2);
    expect(task.state).toBe("running");
    for (const each of names) expect(task.endpoints[each]).toHaveLength(1);
  });

  test("keeps a service that closed on its list, without endpoints", async () => {
    const closing = `const s = require("node:http").createServer((q, r) => r.end()); s.listen(0, "127.0.0.1");
      process.on("SIGUSR2", () => { s.close(); s.closeAllConnections(); }); setInterval(() => {}, 1000);`;
    const name = await stand.run([process.execPath, "-e", `${closing} console.log(process.pid)`], { name: "closes" });
    const before = await stand.until(name, (now) => expect(Object.values(now.endpoints).flat()).toHaveLength(1));
    const [pid] = await stand.logs(name);
    process.kill(Number(pid), "SIGUSR2");
    const after = await stand.until(name, (now) => expect(Object.values(now.endpoints).flat()).toEqual([]));
    expect(after.services).toEqual(before.services);
    expect(after.state).toBe("running");
  });

  test("has ports of its own in every replica, and endpoints for each", async () => {
    const services = [WEB, { name: "api", protocol: "http" }] as const;
    const command = serve("process.env.TASKGATE_PORT_0", "process.env.TASKGATE_PORT_1");
    const name = await stand.run(command, { name: "many", services, replicas: 2 });
    const task = await stand.until(name, { state: "running" });
    const ports = Object.values(task.endpoints).flatMap((list) =>
      list.map((endpoint) => ("port" in endpoint.address ? endpoint.address.port : 0)),
    );
    expect(new Set(ports).size).toBe(4);
    for (const list of Object.values(task.endpoints)) expect(list.map((e) => e.replica).sort()).toEqual(["0", "1"]);
  });

  test("is told by its environment who it is, and gets the caller's directory and variables", async () => {
    const environment = { ...runSpec([]).environment, MINE: "yes", TASKGATE_TOKEN: "secret", npm_config_x: "1" };
    const script = "echo $TASKGATE_TASK/$TASKGATE_REPLICA $PORT $TASKGATE_PORT_0 $MINE; pwd; env";
    const name = await stand.run(["sh", "-c", script], { name: "env", environment, directory: "/usr" });
    await stand.until(name, { state: "finished" });
    const [first = "", second, ...rest] = await stand.logs(name);
    expect(first).toMatch(/^env\/0 (\d+) \1 yes$/);
    expect(second).toBe("/usr");
    expect(rest.join("\n")).not.toMatch(/secret|npm_|NODE_COMPILE_CACHE/);
  });

  test("keeps its command and environment to its owner", async () => {
    const name = await stand.run(["true"], { name: "secretive" });
    const folder = join(stand.home.tasks, name);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "spec.json")).mode & 0o777).toBe(0o600);
    await stand.until(name, { state: "finished" });
    expect(statSync(join(folder, "state.json")).mode & 0o777).toBe(0o600);
  });

  test.each([
    ["true", "finished", "exited with code 0"],
    ["exit 3", "failed", "exited with code 3"],
    ["kill -9 $$", "failed", "killed by SIGKILL (out of memory?)"],
    ["kill -USR1 $$", "failed", "killed by SIGUSR1"],
    ["no-such-program-anywhere", "failed", "exited with code 127 (a command was not found)"],
  ] as const)("that ends by `%s` is %s: %s", async (script, state, reason) => {
    const name = await stand.run(["sh", "-c", script]);
    await stand.until(name, { state, reason });
  });

  test("is started again on failure, ever later, and says how often", async () => {
    const script = "test -e $0 && exec sleep 1000; test -e $0.1 && touch $0; touch $0.1; exit 7";
    const mark = join(stand.home.directory, "mark");
    const name = await stand.run(["sh", "-c", script, mark], { name: "again", restart: "on-failure" });
    await stand.until(name, (task) => expect(task.reason).toContain("last exited with code 7, restarted 2 times"));
  });

  test("is not started again on failure when it ended well", async () => {
    const name = await stand.run(["sh", "-c", "echo once"], { name: "well", restart: "on-failure" });
    await stand.until(name, { state: "finished" });
    expect(await stand.logs(name)).toEqual(["once"]);
  });

  test("that is always started again ends when it is stopped, also between two starts", async () => {
    const name = await stand.run(["false"], { name: "always", restart: "always" });
    await stand.until(name, (task) => expect(task.reason).toMatch(/started again/));
    await stand.provider.control.stop(name, NEVER);
    await stand.until(name, { state: "finished", reason: "stopped" });
  });

  test("keeps its port over a restart, and its log", async () => {
    const name = await stand.run(["sh", "-c", "echo $PORT"], { name: "anew", services: [WEB] });
    await stand.until(name, { state: "finished" });
    await stand.provider.runner.restart(name, NEVER);
    await stand.until(name, { state: "finished" });
    await vi.waitFor(async () => expect(await stand.logs(name)).toHaveLength(2), WAIT);
    const lines = await stand.logs(name);
    expect(lines[0]).toBe(lines[1]);
  });

  test("cannot be restarted while it runs", async () => {
    const name = await stand.run(["sleep", "1000"]);
    expect(await failure(stand.provider.runner.restart(name, NEVER))).toMatchObject({ code: "conflict" });
  });

  test("that ignores SIGTERM is killed with all it started when the grace is over", async () => {
    // The child ignores it, too; the third outlives its parent in the same session, in a group of its own.
    const script = `trap "" TERM; sh -c 'trap "" TERM; echo $$; while :; do sleep 1; done' & 
      setsid -f true; set -m; (sh -c 'trap "" TERM; echo $$; while :; do sleep 1; done' &); echo $$; while :; do sleep 1; done`;
    const name = await stand.run(["bash", "-c", script], { name: "stubborn" });
    await vi.waitFor(async () => expect(await stand.logs(name)).toHaveLength(3), WAIT);
    const pids = (await stand.logs(name)).map(Number);
    for (const pid of pids) expect(processStart(pid)).not.toBeNull();
    await stand.provider.control.stop(name, NEVER);
    for (const pid of pids) expect(processStart(pid)).toBeNull();
    await stand.until(name, { state: "finished", reason: "stopped" });
  });

  test("takes with it what it leaves behind when it ends by itself", async () => {
    const name = await stand.run(["sh", "-c", "sleep 1000 & echo $!"], { name: "leaver" });
    await stand.until(name, { state: "finished" });
    const [pid] = await stand.logs(name);
    expect(processStart(Number(pid))).toBeNull();
  });

  test("can write to /dev/stdout and /dev/stderr, and both are in its log, in order", async () => {
    const script = "echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four >&2; printf five";
    const name = await stand.run(["sh", "-c", script]);
    await stand.until(name, { state: "finished" });
    expect(await stand.logs(name)).toEqual(["one", "two", "three", "four", "five"]);
    expect(await stand.logs(name, 2)).toEqual(["four", "five"]);
  });

  test("is stopped and forgotten when it is removed, and its name can be had again", async () => {
    const name = await stand.run(["sh", "-c", "echo $$; exec sleep 1000"], { name: "gone" });
    await vi.waitFor(async () => expect(await stand.logs(name)).toHaveLength(1), WAIT);
    const [pid] = await stand.logs(name);
    await stand.provider.control.remove(name, NEVER);
    expect(processStart(Number(pid))).toBeNull();
    expect(existsSync(join(stand.home.tasks, name))).toBe(false);
    await vi.waitFor(() => expect(stand.task(name)).toBeUndefined(), WAIT);
    expect(await failure(stand.provider.control.stop(name, NEVER))).toMatchObject({ code: "not_found" });
    expect(await stand.run(["true"], { name: "gone" })).toBe("gone");
  });

  test("is named after its program, numbered where that is taken", async () => {
    const [one, two] = await Promise.all([stand.run(["uname"]), stand.run(["uname"])]);
    expect([one, two].sort()).toEqual(["uname", "uname-2"]);
  });

  test("does not get a name that another has, also when both come at once", async () => {
    const both = await Promise.allSettled([
      stand.run(["true"], { name: "twin" }),
      stand.run(["true"], { name: "twin" }),
    ]);
    expect(both.map((each) => each.status).sort()).toEqual(["fulfilled", "rejected"]);
    const error = await failure(stand.run(["true"], { name: "twin" }));
    expect(error).toMatchObject({ code: "conflict" });
    expect(error.message).toContain("taskgate rm twin");
  });

  test.each(["", "..", "a/b", "UP", "-a", "a-", "a".repeat(41), "a\n", "spec.json", "ünicode", "a b", "%2e"])(
    "cannot be named %j",
    async (name) => {
      expect(await failure(stand.run(["true"], { name }))).toMatchObject({ code: "bad_request" });
    },
  );

  test("is refused before it is on record where it could never run", async () => {
    const before = stand.record.names();
    const errors = await Promise.all([
      failure(stand.run(["no-such-program-anywhere"])),
      failure(stand.run([join(stand.home.directory, "gate.db")])),
      failure(stand.run(["true"], { directory: "/no/such/directory" })),
      failure(stand.run(["true"], { services: [{ ...WEB, port: 18_001 }], replicas: 2 })),
      failure(stand.run(["true"], { services: [WEB, WEB] })),
      failure(stand.run(["true", "a\0b"])),
    ]);
    expect(errors.map((error) => error.code)).toEqual(errors.map(() => "bad_request"));
    expect(errors[0].message).toContain("no-such-program-anywhere");
    expect(errors[2].message).toContain("/no/such/directory");
    const large = await Promise.all([
      failure(stand.run(["true", "x".repeat(130 * 1024)])),
      failure(stand.run(["true"], { environment: { PATH: "/bin", ...manyVariables() } })),
    ]);
    expect(large.map((error) => error.code)).toEqual(["too_large", "too_large"]);
    expect(stand.record.names()).toEqual(before);
  });

  test("that cannot be started after all says why", async () => {
    const directory = join(stand.home.directory, "vanishing");
    mkdirSync(directory);
    const spec = { name: "vanishing", directory, restart: "on-failure" } as const;
    const name = await stand.run(["sh", "-c", "rmdir $PWD; exit 1"], spec);
    await stand.until(name, (task) => expect(task.reason).toContain(`the directory ${directory} is not there`));
  });

  test("may declare a fixed port, but not one that is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await vi.waitFor(() => expect(server.listening).toBe(true));
    const { port } = server.address() as { port: number };
    const spec = { name: "fixed", services: [{ ...WEB, port }] };
    expect(await failure(stand.run(serve(String(port)), spec))).toMatchObject({ code: "conflict" });
    await new Promise((resolve) => server.close(resolve));
    await stand.run(serve(String(port)), spec);
    const task = await stand.until("fixed", { state: "running" });
    expect(task.services[0]).toMatchObject({ port });
  });

  test("never gets visitors of a declared port that somebody else's process listens on", async () => {
    const name = await stand.run(["sleep", "1000"], { name: "squatted", services: [WEB] });
    const { port } = (await stand.until(name, { state: "starting" })).services[0]!;
    const server = createServer().listen(port, "127.0.0.1");
    await stand.until("squatted", (task) => expect(task.reason).toContain(`waiting for web on port ${String(port)}`));
    // A whole look at the ports later, known by a task that came after the server: still no endpoint.
    await stand.run(serve("process.env.PORT"), { name: "after", services: [WEB] });
    await stand.until("after", { state: "running" });
    expect(stand.task("squatted")!.endpoints.web).toEqual([]);
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("attached ports", () => {
  test("run while something listens, and say so when nothing does", async () => {
    await using stand = await startWholeStand();
    const name = await stand.run(serve("process.env.PORT"), { name: "origin", services: [WEB] });
    const { port } = (await stand.until(name, { state: "running" })).services[0]!;
    expect(await stand.provider.runner.attach({ port: port!, anyone: "nobody" }, NEVER)).toBe(`port-${String(port)}`);
    const id = `port-${String(port)}`;
    const task = await stand.until(id, { state: "running" });
    const [service] = task.services;
    expect(service).toMatchObject({ protocol: "http", port });
    expect([stand.provider.control.isOwn(name), stand.provider.control.isOwn(id)]).toEqual([true, false]);
    expect(task.endpoints[service!.name]).toMatchObject([{ address: { ip: "127.0.0.1", port }, health: "healthy" }]);
    await expect(stand.provider.control.stop(id, NEVER)).rejects.toMatchObject({ code: "unsupported" });
    await expect(linesOf(stand.provider.control.logs(id, { follow: true }, NEVER))).rejects.toMatchObject({
      code: "unsupported",
    });
    await stand.provider.control.stop(name, NEVER);
    const gone = await stand.until(id, { state: "failed", reason: `nothing listens on port ${String(port)}` });
    expect(gone.services).toEqual(task.services);
    expect(gone.endpoints[service!.name]).toEqual([]);
    await stand.provider.runner.restart(name, NEVER);
    await stand.until(id, { state: "running" });
  });

  test("are never the gate's own, at any time", async () => {
    const own = new Set([7080]);
    await using stand = await startWholeStand({ ownPorts: () => own });
    const { runner } = stand.provider;
    await expect(runner.attach({ port: 7080, anyone: "nobody" }, NEVER)).rejects.toMatchObject({ code: "denied" });
    const services = [{ name: "web", protocol: "http", port: 7080 }] as const;
    await expect(stand.run(["true"], { services })).rejects.toMatchObject({ code: "denied" });
    // This process is the gate here, and listens on a port that it did not tell of.
    const server = createServer().listen(0, "127.0.0.1");
    await vi.waitFor(() => expect(server.listening).toBe(true));
    const { port } = server.address() as { port: number };
    await runner.attach({ port, name: "mine", protocol: "http", anyone: "nobody" }, NEVER);
    const task = await stand.until("mine", { state: "failed", reason: `port ${String(port)} is the gate's own` });
    expect(Object.values(task.endpoints).flat()).toEqual([]);
    await new Promise((resolve) => server.close(resolve));
  });
});

test("says that it is stale while its records cannot be read, and comes back", async () => {
  using home = temporaryHome();
  await using store = await openStore(home);
  let fails = true;
  const failing: Store = {
    ...bound(store),
    list: (kind) => (fails ? Promise.reject(new Error("the disk is gone")) : store.list(kind)),
  };
  const provider = createLocal(home, failing);
  const record = recordSource();
  await using scope = new AsyncDisposableStack();
  scope.use(await provider.start(record.publish, NEVER));
  expect(record.stale).toBe(true);
  await expect(provider.runner.run(runSpec(["true"]), NEVER)).rejects.toMatchObject({ code: "unavailable" });
  fails = false;
  await vi.waitFor(() => expect(record.stale).toBe(false), WAIT);
});

test("takes a thousand tasks, and says what to do about one more", async () => {
  using home = temporaryHome();
  await using store = await openStore(home);
  const record = (name: string) =>
    attachRecordOf({ port: 1, protocol: "http", anyone: "nobody" }, { name, now: Date.now() });
  const names = Array.from({ length: 1000 }, (_, index) => `t-${String(index)}`);
  await Promise.all(names.map((name) => store.put("tasks", name, record(name), { version: null })));
  const provider = createLocal(home, store);
  const heard = recordSource();
  await using scope = new AsyncDisposableStack();
  scope.use(await provider.start(heard.publish, NEVER));
  expect(heard.tasks.size).toBe(1000);
  await expect(provider.runner.run(runSpec(["true"]), NEVER)).rejects.toMatchObject({
    code: "too_large",
    message: expect.stringContaining("taskgate rm") as string,
  });
});

test("names TASKGATE_HOME where it is too long for a socket", async () => {
  using home = temporaryHome();
  await using store = await openStore(home);
  const provider = createLocal({ ...home, tasks: join(home.directory, "x".repeat(90)) }, store);
  await using scope = new AsyncDisposableStack();
  scope.use(await provider.start(() => undefined, NEVER));
  await expect(provider.runner.run(runSpec(["true"]), NEVER)).rejects.toThrow(/TASKGATE_HOME/);
});

function manyVariables(): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`V${String(index)}`, "x".repeat(60 * 1024)]));
}

function bound(store: Store): Store {
  return {
    get: (kind, key) => store.get(kind, key),
    list: (kind) => store.list(kind),
    put: (kind, key, value, options) => store.put(kind, key, value, options),
    remove: (kind, key, version) => store.remove(kind, key, version),
    watch: (kind, from, changed) => store.watch(kind, from, changed),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
