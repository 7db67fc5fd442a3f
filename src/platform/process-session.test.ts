import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test, vi } from "vitest";
import { bootId, isSameProcess, processStart } from "./process-identity.ts";
import { endSession, ProcessSession, sessionLeftBehind, sessionOfChild } from "./process-session.ts";

const WAIT = { timeout: 15_000, interval: 20 };

/** Runs a shell script as the leader of a session; gives the pids that it prints, one a line. */
async function startSession(script: string, pids: number, environment: Record<string, string> = {}) {
  const child = spawn("bash", ["-c", script], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...environment },
  });
  const printed: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) if (printed.push(Number(line)) === pids) break;
  const leader = { pid: child.pid!, start: processStart(child.pid!)! };
  onTestFinished(async () => {
    const session = new ProcessSession(leader.pid, [...sessionOfChild(leader.pid).members()]);
    await endSession(session, () => 0);
  });
  return { child, leader, printed };
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

test("names a process by pid and start, and this boot by an id", () => {
  const start = processStart(process.pid)!;
  expect(isSameProcess(process.pid, start)).toBe(true);
  expect(isSameProcess(process.pid, `${start}1`)).toBe(false);
  expect(bootId()).toBe(bootId());
  if (process.platform === "linux") expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
});

test("has every process of the session, groups of their own and orphans included, and none of another", async () => {
  const script = "set -m; (sleep 1000 & echo $!); sleep 1000 & echo $!; echo $$; setsid sleep 3 & exec sleep 1000";
  const { leader, printed } = await startSession(script, 3);
  const members = sessionOfChild(leader.pid).members();
  const pids = members.map((member) => member.pid);
  for (const pid of printed) expect(pids).toContain(pid);
  if (process.platform === "linux") expect(new Set(members.map((member) => member.group)).size).toBeGreaterThan(1);
  expect(pids).not.toContain(process.pid);
});

test("ends politely what ends politely, and kills what does not when it is time", async () => {
  const trap = "trap 'exit 5' TERM";
  const polite = await startSession(`${trap}; echo $$; while :; do sleep 0.05; done`, 1);
  const exit = once(polite.child, "exit");
  await endSession(sessionOfChild(polite.leader.pid), () => Infinity);
  expect(await exit).toEqual([5, null]);

  const stubborn = await startSession(`trap '' TERM; echo $$; while :; do sleep 0.05; done`, 1);
  const death = once(stubborn.child, "exit");
  let deadline = Infinity;
  const ending = endSession(sessionOfChild(stubborn.leader.pid), () => deadline);
  // The end may come nearer while it is waited for.
  deadline = 0;
  await ending;
  expect(await death).toEqual([null, "SIGKILL"]);
});

test("ends a process that was stopped", async () => {
  const { child, leader } = await startSession("trap 'exit 6' TERM; echo $$; while :; do sleep 0.05; done", 1);
  const exit = once(child, "exit");
  process.kill(leader.pid, "SIGSTOP");
  await endSession(sessionOfChild(leader.pid), () => Infinity);
  expect(await exit).toEqual([6, null]);
});

test("knows what its leader left behind, and that it is over once nobody is left", async () => {
  const { child, leader, printed } = await startSession("sleep 1000 & echo $!; exec sleep 1000", 1);
  const session = sessionOfChild(leader.pid);
  await killed(child);
  expect(session.members().map((member) => member.pid)).toEqual(printed);
  process.kill(printed[0]!, "SIGKILL");
  await vi.waitFor(() => expect(session.members()).toEqual([]), WAIT);
});

test("is empty for good when none that it knew is there, whoever has its id now", async () => {
  const { leader } = await startSession("echo $$; exec sleep 1000", 1);
  const session = new ProcessSession(leader.pid, [{ pid: leader.pid, group: leader.pid, start: "another time" }]);
  expect(session.members()).toEqual([]);
  session.signal("SIGKILL");
  expect(isSameProcess(leader.pid, leader.start)).toBe(true);
});

const linux = process.platform === "linux";

test(
  linux ? "takes up a session by its leader, or by the mark of those it left" : "takes up a session by its leader",
  async () => {
    const script = "sleep 1000 & echo $!; exec sleep 1000";
    const { child, leader, printed } = await startSession(script, 1, { MARK: "mine" });
    const wrong = { ...leader, start: `${leader.start}1` };
    expect(sessionLeftBehind(leader, ["MARK=other"]).members().length).toBeGreaterThan(0);
    expect(sessionLeftBehind(wrong, ["MARK=mine"]).members()).toEqual([]);
    await killed(child);
    if (!linux) return;
    expect(
      sessionLeftBehind(leader, ["MARK=mine"])
        .members()
        .map((member) => member.pid),
    ).toEqual(printed);
    expect(sessionLeftBehind(leader, ["MARK=other"]).members()).toEqual([]);
  },
);
