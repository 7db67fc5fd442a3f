import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type App, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { envoyPid, envoyStats, startEnvoyGate } from "./support/envoy-gate.ts";
import { type Answer, type TestGate, until } from "./support/gate.ts";

// What the YTsaurus task proxy does wrong with its Envoys, each shown not to go wrong with ours. Its defects that show on any plane are in
// test/peer-defects.test.ts, which is played on Envoy, too: host and id header that disagree, a static prefix without login, forwarded
// credentials, a refused WebSocket, a Host with a port, ports that nobody declared, a reused port.

/** Its routes end after 15 s. */
const LONGER_THAN_THEIRS_MS = 16_500;

let folder: string;
let gate: TestGate;
let apps: Record<"slow" | "one" | "two" | "good", App>;

const port = (app: App) => app.address.port;
const task = (name: string, services: readonly object[]) => ({ name, access: "public", services });
const web = (endpoints: readonly string[], name = "web") => ({ name, endpoints });

/** Replaces the tasks whole. */
function put(tasks: readonly object[]): void {
  writeFileSync(join(folder, "new"), JSON.stringify({ tasks }));
  renameSync(join(folder, "new"), join(folder, "tasks.yaml"));
}

const at = (app: App) => [`127.0.0.1:${String(port(app))}`];
const ALWAYS = () => [
  task("slow", [web(at(apps.slow))]),
  task("good", [web(at(apps.good))]),
  // Joined without a separator, both are the same name.
  task("ab", [web(at(apps.good)), web(at(apps.one), "c")]),
  task("a", [web(at(apps.good)), web(at(apps.two), "bc")]),
];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-defects-"));
  const says = (text: string) => startHttpApp((_request, response) => response.end(text));
  const slow = await startHttpApp((request, response) => {
    if (request.url === "/answer") return void setTimeout(() => response.end("at last"), LONGER_THAN_THEIRS_MS);
    response.write("begun");
    setTimeout(() => response.end(" and ended"), LONGER_THAN_THEIRS_MS);
  });
  apps = { slow, one: await says("one"), two: await says("two"), good: await says("good") };
  put(ALWAYS());
  const config = join(folder, "config.yaml");
  const files = [{ name: "crew", path: join(folder, "tasks.yaml"), allowLoopback: true }];
  writeFileSync(config, JSON.stringify({ files }));
  gate = await startEnvoyGate({ config });
  await until(async () => (await visit("good")).body === "good", "the good task");
}, 180_000);
afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  for (const app of Object.values(apps)) await app[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const visit = (name: string, path = "/"): Promise<Answer> => gate.ask(`${name}.localhost`, path, { anonymous: true });

test.concurrent("a stream ends after 15 s: here it goes on", async () => {
  const answer = await visit("slow", "/stream");
  expect([answer.status, answer.body]).toEqual([200, "begun and ended"]);
});

test.concurrent("an answer that takes longer than 15 s is a 504: here it is waited for", async () => {
  const answer = await visit("slow", "/answer");
  expect([answer.status, answer.body]).toEqual([200, "at last"]);
});

test("a service without endpoints has the whole configuration refused: here it is explained, and others serve and change", async () => {
  put([...ALWAYS(), task("empty", [web([])]), task("fresh", [web(at(apps.one))])]);
  await until(async () => (await visit("fresh")).body === "one", "the task beside it");
  const answer = await visit("empty");
  expect(answer.status).toBeGreaterThanOrEqual(502);
  expect(answer.headers["x-taskgate-error"]).toBeDefined();
});

test("a port out of range has the whole configuration refused: here it is that task's problem alone", async () => {
  const addresses = ["127.0.0.1:-1", "127.0.0.1:4294967295", "127.0.0.1:65536", "127.0.0.1:0"];
  const bad = addresses.map((address, index) => task(`bad${String(index)}`, [web([address])]));
  put([...ALWAYS(), ...bad, task("beside", [web(at(apps.two))])]);
  await until(async () => (await visit("beside")).body === "two", "the task beside them");
  const { body } = await gate.ask("taskgate.localhost", "/.taskgate/api/v1/problems");
  for (const address of addresses) expect(body).toContain(address);
});

test("one bad object freezes all: here every other one goes on to change, also after another start", async () => {
  const bad = [task("host", [{ ...web(at(apps.one)), hostLabel: "no/label" }]), task("twice", [web([]), web([])]), { nonsense: true }]; // prettier-ignore
  for (const app of [apps.one, apps.two]) {
    put([...ALWAYS(), ...bad, task("moves", [web(at(app))])]);
    const word = app === apps.one ? "one" : "two";
    await until(async () => (await visit("moves")).body === word, `the task to be at ${word}`);
  }
  await gate.kill("SIGKILL");
  await gate.up();
  put([...ALWAYS(), ...bad, task("moves", [web(at(apps.one))])]);
  await until(async () => (await visit("moves")).body === "one", "the task to move on");
});

test("names that are joined without a separator are one name (ab + c, a + bc): here each is its own", async () => {
  const services = async (name: string) => (await gate.task(name)).services;
  const hosts = [...(await services("ab")), ...(await services("a"))].map(({ host }) => host ?? "");
  expect(new Set(hosts).size).toBe(4);
  const said = async (name: string, service: string) => {
    const host = (await services(name)).find((one) => one.name === service)?.host ?? "";
    return (await gate.ask(host.replace(/:\d+$/, ""), "/", { anonymous: true })).body;
  };
  expect([await said("ab", "c"), await said("a", "bc")]).toEqual(["one", "two"]);
});

test("any change replaces the listener: here none does", async () => {
  const told = () => envoyStats(gate, "^listener_manager.listener_(added|modified|removed)$");
  const before = await told();
  for (const app of [apps.one, apps.two, apps.one]) {
    put([...ALWAYS(), task("turns", [web(at(app))])]);
    await until(async () => (await visit("turns")).body === (app === apps.one ? "one" : "two"), "the change");
  }
  expect(await told()).toEqual(before);
});

/** TCP ports that a process listens at. */
function listening(pid: number): readonly number[] {
  const folder = `/proc/${String(pid)}/fd`;
  const links = readdirSync(folder).map((name) => readlinkSync(join(folder, name)));
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const lines = ["tcp", "tcp6"].flatMap((family) => readFileSync(`/proc/net/${family}`, "utf8").trim().split("\n").slice(1)); // prettier-ignore
  const ports = lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    return state === "0A" && inodes.has(inode) ? [parseInt(local.split(":")[1] ?? "", 16)] : [];
  });
  return [...new Set(ports)];
}

test("admin and xDS listen for everybody who reaches the machine: here neither has a TCP port", () => {
  const { pid, port: own, adminAddress } = gate.file();
  const metrics = Number(adminAddress?.split(":").at(-1));
  expect([listening(envoyPid(gate)), listening(pid)]).toEqual([[own], [metrics]]);
  for (const name of ["admin.sock", "xds.sock", "gate.sock"])
    expect(statSync(join(gate.home, "envoy", name)).isSocket()).toBe(true);
  expect(statSync(join(gate.home, "envoy")).mode & 0o077).toBe(0);
});
