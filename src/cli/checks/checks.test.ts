import { chmodSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { homeAt, writeGateFile } from "../../config/home.ts";
import { startFakeGate, temporaryHome } from "../testing/fake-gate.ts";
import { runCli } from "../testing/run-cli.ts";
import type { Finding } from "./finding.ts";
import { checkHome } from "./home-checks.ts";
import { checkClock, checkDescriptors, checkDiscovery, checkNames, checkNode } from "./machine-checks.ts";

async function findings(
  environment: Record<string, string>,
): Promise<{ exitCode: number; byName: Map<string, Finding> }> {
  const { exitCode, stdout } = await runCli({ words: ["doctor", "--json"], environment });
  const all = JSON.parse(stdout) as Finding[];
  return { exitCode, byName: new Map(all.map((finding) => [finding.name, finding])) };
}

test("a gate that answers, with its token, is well", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  const { exitCode, byName } = await findings({ TASKGATE_HOME: home.directory });
  expect(exitCode).toBe(0);
  expect(byName.get("gate")).toMatchObject({ level: "ok", message: expect.stringContaining(gate.file.url) as string });
  expect(byName.get("token")?.level).toBe("ok");
  expect(byName.get("exposure")?.level).toBe("ok");
});

test("a token that the gate refuses, another version and plain HTTP to the world are told", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  writeGateFile(home, { ...gate.file, version: "0.0.1", address: "0.0.0.0", domain: "apps.example.com" });
  const { exitCode, byName } = await findings({ TASKGATE_HOME: home.directory, TASKGATE_TOKEN: "other" });
  expect(exitCode).toBe(1);
  expect(byName.get("token")).toMatchObject({
    level: "fail",
    message: "this token is not known (token from TASKGATE_TOKEN)",
  });
  expect(byName.get("version")?.level).toBe("warn");
  expect(byName.get("exposure")?.level).toBe("warn");
  expect(byName.get("domain")?.message).toContain("apps.example.com");
});

test("where no gate runs, says whether one could: the port that is taken is named", async () => {
  using home = temporaryHome();
  const taken = createServer().listen({ host: "127.0.0.1", port: 0 });
  await once(taken, "listening");
  const where = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const { exitCode, byName } = await findings({
    TASKGATE_HOME: home.directory,
    TASKGATE_LISTEN_ADDRESS: where,
    TASKGATE_ADMIN_ENABLED: "false",
  });
  taken.close();
  expect(exitCode).toBe(1);
  expect(byName.get("gate")?.level).toBe("warn");
  expect(byName.get("ports")).toMatchObject({ level: "fail", message: `${where} cannot be listened on (EADDRINUSE)` });
});

test("a configuration that cannot be used is a finding, and the rest is looked at all the same", async () => {
  using home = temporaryHome();
  const { exitCode, byName } = await findings({ TASKGATE_HOME: home.directory, TASKGATE_LISTEN_ADDRESS: "nowhere" });
  expect(exitCode).toBe(1);
  expect(byName.get("config")?.message).toContain("listen.address");
  expect(byName.has("disk")).toBe(true);
});

test("what others can read in the state folder fails", () => {
  using home = temporaryHome();
  writeFileSync(home.token, "x", { mode: 0o600 });
  expect(checkHome(home).filter((finding) => finding.level !== "ok")).toEqual([]);
  chmodSync(home.token, 0o640);
  chmodSync(home.directory, 0o755);
  expect(checkHome(home).filter((finding) => finding.level === "fail")).toEqual([
    expect.objectContaining({ name: "home", remedy: `chmod go-rwx ${home.directory}` }),
    expect.objectContaining({ name: "permissions", message: `${home.token} can be read or changed by others (0640)` }),
  ]);
  chmodSync(home.directory, 0o500);
  const below = homeAt({ TASKGATE_HOME: join(home.directory, "below") });
  for (const each of process.getuid?.() === 0 ? [] : [home, below]) {
    expect(checkHome(each)).toMatchObject([{ level: "fail", message: `${home.directory} cannot be written to` }]);
  }
  chmodSync(home.directory, 0o700);
  const spaced = homeAt({ TASKGATE_HOME: join(home.directory, "my home") });
  mkdirSync(spaced.directory, { mode: 0o755 });
  expect(checkHome(spaced)).toContainEqual(
    expect.objectContaining({ name: "home", remedy: `chmod go-rwx '${spaced.directory}'` }),
  );
  const file = homeAt({ TASKGATE_HOME: join(home.token, "state") });
  expect(checkHome(file)).toMatchObject([{ level: "fail", message: `${home.token} is no folder` }]);
  const long = homeAt({ TASKGATE_HOME: join(home.directory, "x".repeat(100)) });
  expect(checkHome(long)).toMatchObject([{ level: "fail", remedy: "a shorter TASKGATE_HOME" }]);
  rmSync(home.directory, { recursive: true });
  expect(checkHome(home)).toMatchObject([{ level: "warn" }]);
});

test("a clock that was set back shows by files of the future", () => {
  using home = temporaryHome();
  expect(checkClock(home).level).toBe("ok");
  writeFileSync(home.database, "");
  utimesSync(home.database, new Date(), new Date(Date.now() + 3_600_000));
  expect(checkClock(home)).toMatchObject({
    level: "fail",
    message: expect.stringContaining("3600 s behind") as string,
  });
});

test("a Node that is too old, and a system without /proc, are told", () => {
  expect([checkNode("24.0.0").level, checkNode("25.1.0").level, checkNode("20.20.2").level]).toEqual([
    "ok",
    "ok",
    "fail",
  ]);
  expect(checkDiscovery("darwin")).toMatchObject({
    level: "warn",
    remedy: expect.stringContaining("--service") as string,
  });
});

test("names that are not resolved: of localhost a surprise, of another domain a failure, and localhost elsewhere is one too", async () => {
  const nowhere = () => Promise.resolve([]);
  expect((await checkNames("localhost", nowhere)).level).toBe("warn");
  expect((await checkNames("apps.example.com", nowhere)).level).toBe("fail");
  expect((await checkNames("apps.example.com", () => Promise.resolve(["10.0.0.1"]))).level).toBe("ok");
  expect((await checkNames("localhost", () => Promise.resolve(["::1", "127.0.0.1"]))).level).toBe("ok");
  expect((await checkNames("localhost", () => Promise.resolve(["10.0.0.1"]))).level).toBe("fail");
});

test("warns where a process may not open as many files as the connections that it takes need", () => {
  const limits = (hard: string) => () =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   ${hard}   files\n`;
  const four = { connections: 20_000, processes: 4 };
  expect(checkDescriptors({ connections: 20_000, processes: 1 }, limits("20000"))).toMatchObject({
    level: "warn",
    message: expect.stringContaining("limits.connections is 20000, which takes up to 40512 descriptors") as string,
    remedy: expect.stringContaining("LimitNOFILE=40512") as string,
  });
  expect(checkDescriptors(four, limits("20000")).level).toBe("ok");
  expect(checkDescriptors(four, limits("unlimited")).level).toBe("ok");
  const missing = () => {
    throw new Error("ENOENT");
  };
  expect(checkDescriptors(four, missing).level).toBe("ok");
});
