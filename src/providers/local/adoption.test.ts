import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Home } from "../../config/home.ts";
import type { RunSpec } from "../../model/index.ts";
import { bootId, isSameProcess, processStart } from "../../platform/process-identity.ts";
import { highestClaim, readClaim } from "./supervisor/claim.ts";
import { readState, writeState, type SupervisorState } from "./supervisor/state.ts";
import { OWNER, runSpec, serve, startLocalStand, temporaryHome, WAIT, type LocalStand } from "./testing/local-stand.ts";

const NEVER = new AbortController().signal;
const WEB = { name: "web", protocol: "http" } as const;

/** A home, and what runs in it is ended with the test. */
function homeOfTest(): Home {
  const home = temporaryHome();
  onTestFinished(async () => {
    const stand = await startLocalStand(home);
    await stand.removeAll();
    await stand[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });
  return home;
}

/** A process with a provider in it, to be killed. */
async function startGateProcess(home: Home) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "testing", "gate-process.ts"), home.directory], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async run(spec: RunSpec): Promise<string> {
      this.ask(spec);
      return String((await lines.next()).value);
    },
    ask(spec: RunSpec): void {
      child.stdin.write(`${JSON.stringify(spec)}\n`);
    },
    async kill(): Promise<void> {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

const folderOf = (home: Home, name: string): string => join(home.tasks, name);

function supervisorOf(home: Home, name: string): number {
  const folder = folderOf(home, name);
  return readClaim(folder, highestClaim(folder))!.pid;
}

async function leaderOf(stand: { readonly home: Home }, name: string): Promise<{ pid: number; start: string }> {
  return await vi.waitFor(() => {
    const leader = readState(folderOf(stand.home, name))?.replicas[0]?.process;
    expect(leader).toBeTruthy();
    return leader!;
  }, WAIT);
}

async function isGone(leader: { pid: number; start: string }): Promise<void> {
  await vi.waitFor(() => expect(isSameProcess(leader.pid, leader.start)).toBe(false), WAIT);
}

test("a gate that follows one that was killed has its tasks, under their names, with their ports", async () => {
  const home = homeOfTest();
  const gate = await startGateProcess(home);
  await gate.run(runSpec(serve("process.env.PORT"), { name: "web", services: [WEB], replicas: 2 }));
  await gate.run(runSpec(serve("0"), { name: "found" }));
  const leader = await leaderOf({ home }, "web");
  await gate.kill();
  await using stand = await startLocalStand(home);
  // They are in the first publication already.
  expect(stand.record.updates[0]).toMatchObject({ kind: "whole" });
  expect(stand.record.names()).toEqual(["found", "web"]);
  const task = await stand.until("web", { state: "running" });
  expect(task.endpoints.web).toHaveLength(2);
  expect(await leaderOf(stand, "web")).toEqual(leader);
  const found = await stand.until("found", { state: "running" });
  expect(found.services).toHaveLength(1);
  expect(found.endpoints[found.services[0]!.name]).toHaveLength(1);
});

test("what happened while there was no gate is known: exit codes, restarts, logs", async () => {
  const home = homeOfTest();
  const gate = await startGateProcess(home);
  const go = join(home.directory, "go");
  const wait = `while ! test -e ${go}; do sleep 0.05; done`;
  await gate.run(runSpec(["sh", "-c", `echo before; ${wait}; echo after; exit 5`], { name: "ends" }));
  await gate.run(
    runSpec(["sh", "-c", `${wait}; test -e ${go}.1 && exec sleep 1000; touch ${go}.1; exit 6`], {
      name: "again",
      restart: "on-failure",
    }),
  );
  await leaderOf({ home }, "ends");
  await leaderOf({ home }, "again");
  await gate.kill();
  writeFileSync(go, "");
  await vi.waitFor(() => expect(readState(folderOf(home, "ends"))).toMatchObject({ ended: true }), WAIT);
  await vi.waitFor(
    () => expect(readState(folderOf(home, "again"))?.replicas[0]).toMatchObject({ restarts: 1, phase: "running" }),
    WAIT,
  );
  await using stand = await startLocalStand(home);
  expect(stand.task("ends")).toMatchObject({ state: "failed", reason: "exited with code 5", owner: OWNER });
  expect(stand.task("again")!.reason).toContain("last exited with code 6, restarted once");
  expect(await stand.logs("ends")).toEqual(["before", "after"]);
});

test("a task that a killed gate had on record and had not started yet is started by the next one", async () => {
  const home = homeOfTest();
  const stand = await startLocalStand(home);
  const name = await stand.run(["sh", "-c", "echo $$; exec sleep 1000"], { name: "late" });
  await stand.provider.control.stop(name, NEVER);
  await stand[Symbol.asyncDispose]();
  // What is there when a gate is killed between writing the record and starting the supervisor.
  const folder = folderOf(home, name);
  for (const file of readdirSync(folder)) if (file !== "spec.json") rmSync(join(folder, file));
  await using next = await startLocalStand(home);
  await vi.waitFor(async () => expect(await next.logs(name)).toHaveLength(1), WAIT);
});

test("a gate that is killed at any moment of a start leaves a task that runs once, or none", async () => {
  const home = homeOfTest();
  for (let round = 0; round < 4; round += 1) {
    const gate = await startGateProcess(home);
    gate.ask(runSpec(["sh", "-c", "echo $$; exec sleep 1000"], { name: `round-${String(round)}` }));
    const delay = round * 50;
    await new Promise((resolve) => setTimeout(resolve, delay));
    await gate.kill();
  }
  await using stand = await startLocalStand(home);
  for (const name of stand.record.names()) {
    await vi.waitFor(async () => expect(await stand.logs(name)).toHaveLength(1), WAIT);
    const leader = await leaderOf(stand, name);
    expect(await stand.logs(name)).toEqual([String(leader.pid)]);
  }
  // Folders of no task are gone.
  expect(readdirSync(home.tasks).sort()).toEqual(stand.record.names());
});

test("two supervisors never run the same task", async () => {
  const home = homeOfTest();
  await using stand = await startLocalStand(home);
  const name = await stand.run(["sh", "-c", "echo $$; exec sleep 1000"], { name: "one" });
  const leader = await leaderOf(stand, name);
  const options = { generation: 1, logBytes: 1_000_000, logFiles: 3, graceMs: 1000 };
  const main = join(import.meta.dirname, "supervisor", "main.ts");
  const second = spawn(process.execPath, [main, JSON.stringify(options)], {
    cwd: folderOf(home, name),
    stdio: "inherit",
  });
  expect(await once(second, "exit")).toEqual([0, null]);
  expect(await stand.logs(name)).toEqual([String(leader.pid)]);
  expect(await leaderOf(stand, name)).toEqual(leader);
});

test("when a supervisor is killed, what it ran is ended, and the task failed and says why", async () => {
  const home = homeOfTest();
  await using stand = await startLocalStand(home);
  const name = await stand.run(["sh", "-c", "sleep 1000 & echo $!; exec sleep 1000"], { name: "orphan" });
  const leader = await leaderOf(stand, name);
  await vi.waitFor(async () => expect(await stand.logs(name)).toHaveLength(1), WAIT);
  const [child] = await stand.logs(name);
  process.kill(supervisorOf(home, name), "SIGKILL");
  const task = await stand.until(name, { state: "failed" });
  expect(task.reason).toContain("supervisor was killed");
  expect(isSameProcess(leader.pid, leader.start)).toBe(false);
  expect(processStart(Number(child))).toBeNull();
});

test("when a supervisor was killed while there was no gate, children that outlived their leader are ended, too", async () => {
  const home = homeOfTest();
  const gone = await startLocalStand(home);
  const name = await gone.run(["sh", "-c", "sleep 1000 & echo $!; exec sleep 1000"], { name: "orphan" });
  const leader = await leaderOf(gone, name);
  await vi.waitFor(async () => expect(await gone.logs(name)).toHaveLength(1), WAIT);
  const [child] = await gone.logs(name);
  await gone[Symbol.asyncDispose]();
  process.kill(supervisorOf(home, name), "SIGKILL");
  process.kill(leader.pid, "SIGKILL");
  await isGone(leader);
  expect(processStart(Number(child))).not.toBeNull();
  await using stand = await startLocalStand(home);
  await stand.until(name, { state: "failed" });
  expect(processStart(Number(child))).toBeNull();
});

test("a task that is to be started again gets a new supervisor when its own was killed", async () => {
  const home = homeOfTest();
  await using stand = await startLocalStand(home);
  const spec = { name: "phoenix", services: [WEB], restart: "on-failure" } as const;
  const name = await stand.run(serve("process.env.PORT"), spec);
  const before = await stand.until(name, { state: "running" });
  const leader = await leaderOf(stand, name);
  process.kill(supervisorOf(home, name), "SIGKILL");
  await isGone(leader);
  const after = await stand.until(name, (task) => {
    expect(task.state).toBe("running");
    expect(task.reason).toContain("restarted once");
  });
  expect(after.endpoints).toEqual(before.endpoints);
  expect(await leaderOf(stand, name)).not.toEqual(leader);
});

/** A home with a task whose supervisor is gone and whose state says what `change` says. */
async function forgedHome(
  change: (state: SupervisorState) => SupervisorState,
  restart: RunSpec["restart"] = "no",
): Promise<Home> {
  const home = homeOfTest();
  const stand = await startLocalStand(home);
  const name = await stand.run(["sleep", "1000"], { name: "forged", restart });
  const leader = await leaderOf(stand, name);
  await stand[Symbol.asyncDispose]();
  process.kill(supervisorOf(home, name), "SIGKILL");
  process.kill(leader.pid, "SIGKILL");
  await isGone(leader);
  writeState(folderOf(home, name), change(readState(folderOf(home, name))!));
  return home;
}

/** A process of somebody else's, in a session of its own. */
function bystander(environment: Record<string, string> = {}): { readonly pid: number; readonly start: string } {
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore", env: { ...process.env, ...environment } });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { pid: child.pid!, start: processStart(child.pid!)! };
}

const withLeader =
  (leader: { readonly pid: number; readonly start: string }) =>
  (state: SupervisorState): SupervisorState => ({
    ...state,
    replicas: state.replicas.map((replica) => ({ ...replica, process: leader })),
  });

test("a process that got the pid of a task's is never signalled", async () => {
  const { pid, start } = bystander({ TASKGATE_TASK: "forged", TASKGATE_REPLICA: "0" });
  const home = await forgedHome(withLeader({ pid, start: `${start}0` }));
  await using stand = await startLocalStand(home);
  await stand.until("forged", { state: "failed" });
  await stand.provider.control.stop("forged", NEVER);
  expect(isSameProcess(pid, start)).toBe(true);
});

test("after the machine restarted nothing is signalled, and the policy says what is started again", async () => {
  const { pid, start } = bystander();
  const home = await forgedHome((state) => ({ ...withLeader({ pid, start })(state), boot: "another" }), "always");
  const folder = folderOf(home, "forged");
  writeFileSync(join(folder, "claim.1"), JSON.stringify({ ...readClaim(folder, 1), boot: "another" }));
  await using stand = await startLocalStand(home);
  await stand.until("forged", (task) => expect(task.reason).toContain("restarted once"));
  expect(isSameProcess(pid, start)).toBe(true);
  expect(readState(folder)?.boot).toBe(bootId());
});

test("after the machine restarted a task that is not started again says so", async () => {
  const home = await forgedHome((state) => ({ ...state, boot: "another" }));
  const folder = folderOf(home, "forged");
  writeFileSync(join(folder, "claim.1"), JSON.stringify({ ...readClaim(folder, 1), boot: "another" }));
  await using stand = await startLocalStand(home);
  await stand.until("forged", { state: "failed", reason: "the machine restarted" });
});

test.each(["{", "", '{"format":1,"replicas":[{"replica":"0"}]}', "null"])(
  "a state file that says %j is a lost supervisor's, and its task can be started again",
  async (text) => {
    const home = await forgedHome((state) => state);
    writeFileSync(join(folderOf(home, "forged"), "state.json"), text);
    await using stand = await startLocalStand(home);
    await stand.until("forged", { state: "failed" });
    await stand.provider.runner.restart("forged", NEVER);
    await leaderOf(stand, "forged");
    await stand.until("forged", { state: "starting" });
  },
);

test("a task whose folder somebody took away has failed, and can be removed", async () => {
  const home = await forgedHome((state) => state);
  rmSync(folderOf(home, "forged"), { recursive: true });
  mkdirSync(join(home.tasks, "stray"));
  await using stand = await startLocalStand(home);
  await stand.until("forged", { state: "failed", reason: "its folder is gone" });
  expect(existsSync(join(home.tasks, "stray"))).toBe(false);
  await stand.provider.control.remove("forged", NEVER);
});

test("a task whose folder is taken away while no gate runs is ended, since nobody could stop it any more", async () => {
  const home = homeOfTest();
  const gone = await startLocalStand(home);
  const name = await gone.run(["sleep", "1000"], { name: "lost" });
  const leader = await leaderOf(gone, name);
  const supervisor = supervisorOf(home, name);
  await gone[Symbol.asyncDispose]();
  rmSync(folderOf(home, name), { recursive: true });
  await isGone(leader);
  await vi.waitFor(() => expect(processStart(supervisor)).toBeNull(), WAIT);
});

test("a supervisor that is told to end by the system ends its task, and the policy applies", async () => {
  const home = homeOfTest();
  await using stand: LocalStand = await startLocalStand(home);
  const name = await stand.run(["sleep", "1000"], { name: "shutdown" });
  const leader = await leaderOf(stand, name);
  process.kill(supervisorOf(home, name), "SIGTERM");
  const task = await stand.until(name, { state: "failed" });
  expect(task.reason).toContain("SIGTERM");
  expect(isSameProcess(leader.pid, leader.start)).toBe(false);
});

test("a task that ended is stopped already, and a stop that comes while it starts is not lost", async () => {
  const home = homeOfTest();
  await using stand = await startLocalStand(home);
  const name = await stand.run(["sleep", "1000"], { name: "hasty" });
  await Promise.all([stand.provider.control.stop(name, NEVER), stand.provider.control.stop(name, NEVER)]);
  await stand.until(name, { state: "finished", reason: "stopped" });
  await stand.provider.control.stop(name, NEVER);
  await stand.provider.runner.restart(name, NEVER);
  await stand.provider.control.stop(name, NEVER);
  await stand.until(name, { state: "finished", reason: "stopped" });
  // Whatever was started meanwhile has ended: its folder says so, and nobody has it.
  expect(readState(folderOf(home, name))).toMatchObject({ ended: true, stopping: true });
});
