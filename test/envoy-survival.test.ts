import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from "vitest";
import type { VersionView } from "../src/api/wire.ts";
import { type App, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { envoyPid, envoyStats, startEnvoyGate } from "./support/envoy-gate.ts";
import { type TestGate, until } from "./support/gate.ts";
import { API } from "./support/hostile.ts";
import { type Entrance, type Survivor, Survivors } from "./support/survivors.ts";

// What is open through a real Envoy while everything around it changes: none of it is lost, and every byte of it comes.

const CHANGES = 1000;
/** Files that are changed at once, and how often: what comes within 50 ms is one change. */
const CHURNS = ["churn0", "churn1", "churn2", "churn3"];
const CHURN_MS = 100;
const BEAT_MS = 100;
const EACH = { sockets: 20, calls: 10, raw: 5, tunnels: 5, events: 10, downloads: 5 };

let folder: string;
let gate: TestGate;
let jobs: Survivors;
let others: readonly App[];
let rawPort: number;
let entrance: Entrance;
let open: Survivor[] = [];
let beating: NodeJS.Timeout;

const files = () => ({ tasks: join(folder, "tasks.yaml"), certificate: join(folder, "tls.crt"), key: join(folder, "tls.key") }); // prettier-ignore

/** Replaces files whole, each at once. */
function put(contents: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(contents)) {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

const endpointOf = ({ address }: Pick<App, "address">) => `127.0.0.1:${String(address.port)}`;

/** The survivors' tasks: their owner may come in whatever the rest of their access is, and their own endpoint is always one of theirs. */
function tasks(access: unknown, more: readonly string[]): string {
  const service = (name: string, protocol: string, app: App, rest: object = {}) => ({
    ...{ name, access, services: [{ name: "main", protocol, endpoints: [endpointOf(app), ...more], ...rest }] },
  });
  const list = [service("web", "http", jobs.web), service("rpc", "grpc", jobs.rpc), service("way", "tcp", jobs.raw)];
  const raw = {
    name: "raw",
    protocol: "tcp",
    endpoints: [endpointOf(jobs.raw), ...more],
    port: rawPort,
    access: "public",
  };
  return JSON.stringify({ tasks: [...list, { name: "port", services: [raw] }] });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-survival-"));
  jobs = await Survivors.start();
  others = [await startHttpApp((_, response) => response.end("one")), await startHttpApp((_, response) => response.end("two"))]; // prettier-ignore
  rawPort = await freePort();
  const { certificate, key } = selfSigned(["*.localhost", "rpc.localhost"]);
  const names = files();
  put({ [names.certificate]: certificate, [names.key]: key, [names.tasks]: tasks("nobody", []) });
  const tls = { certificate: names.certificate, key: names.key };
  for (const name of CHURNS) put({ [join(folder, `${name}.yaml`)]: JSON.stringify({ tasks: [] }) });
  const sources = ["tasks", ...CHURNS].map((name) => ({
    name,
    path: join(folder, `${name}.yaml`),
    allowLoopback: true,
  }));
  const config = join(folder, "config.yaml");
  const tcp = { ports: `${String(rawPort)}-${String(rawPort)}` };
  writeFileSync(config, JSON.stringify({ listen: { tls }, tcp, files: sources }));
  gate = await startEnvoyGate({ config });
  entrance = { port: gate.file().port, ca: certificate, token: gate.token() };
  await until(async () => (await ask("web.localhost")).status === 200, "the jobs");
}, 180_000);
afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await jobs[Symbol.asyncDispose]();
  for (const other of others) await other[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** One request over TLS with the owner's token. */
async function ask(host: string, path = "/"): Promise<{ readonly status: number; readonly body: string }> {
  const { port, token } = entrance;
  const asked = https.request({
    ...{ host: "127.0.0.1", port, path, servername: host, rejectUnauthorized: false, agent: false },
    headers: { host: `${host}:${String(port)}`, "x-taskgate-authorization": `Bearer ${token}` },
  });
  const [response] = (await once(asked.end(), "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

/** Of the table. */
async function revision(): Promise<number> {
  return (JSON.parse((await ask("taskgate.localhost", `${API}/version`)).body) as VersionView).revision;
}

/** Opens everything; all of it moves bytes until it is finished. */
beforeEach(async () => {
  const many = async <T>(count: number, one: () => T | Promise<T>): Promise<T[]> => {
    const list: T[] = [];
    for (let at = 0; at < count; at += 1) list.push(await one());
    return list;
  };
  open = [
    ...(await many(EACH.sockets, () => jobs.webSocket(entrance, "web.localhost"))),
    ...(await many(EACH.calls, () => jobs.chat(entrance, "rpc.localhost"))),
    ...(await many(EACH.raw, () => jobs.rawPort(rawPort))),
    ...(await many(EACH.tunnels, () => jobs.tunnel(entrance, "way.localhost"))),
    ...(await many(EACH.events, () => jobs.answer(entrance, "web.localhost", "events"))),
    ...(await many(EACH.downloads, () => jobs.answer(entrance, "web.localhost", "download"))),
  ];
  beating = setInterval(() => open.forEach((one) => one.beat()), BEAT_MS);
});
afterEach(() => clearInterval(beating));

/** Everything lives, and moves bytes still. */
async function expectAllWhole(): Promise<void> {
  await sleep(3 * BEAT_MS);
  expect(open.flatMap(({ lost }) => lost ?? [])).toEqual([]);
  clearInterval(beating);
  const faults = await Promise.all(open.map((one) => one.finish()));
  expect(faults.filter((fault) => fault !== null)).toEqual([]);
}

test(`everything survives ${String(CHANGES)} changes of the table around it, and of its own services' access and endpoints`, async () => {
  const began = await revision();
  let made = 0;
  // Of three services each, one comes or goes, one changes its endpoint, and one who may come in.
  const churn = async (file: string) => {
    for (let at = 1; made < CHANGES; at += 1) {
      const one = (name: string, count: number) => ({
        ...{ name: `${file}-${name}`, access: count % 2 === 0 ? "nobody" : "authenticated" },
        services: [{ name: "main", endpoints: [endpointOf(others[(count >> 1) % 2]!)] }],
      });
      const list = [one("a", at), one("b", at >> 1), ...(at % 2 === 0 ? [] : [one("c", 0)])];
      put({ [join(folder, `${file}.yaml`)]: JSON.stringify({ tasks: list }) });
      made += 3;
      await sleep(CHURN_MS);
      if (at % 10 !== 0) continue;
      const leads = async () => (await ask(`${file}-a.localhost`)).body === ["one", "two"][(at >> 1) % 2];
      await until(leads, `${file}-a to lead there`, 10_000);
    }
  };
  const own = async () => {
    for (let at = 0; made < CHANGES; at += 1) {
      const access = ["nobody", "authenticated", { anyone: "nobody", users: ["somebody"] }][at % 3];
      put({ [files().tasks]: tasks(access, at % 2 === 0 ? [endpointOf(others[0]!)] : []) });
      await sleep(CHURN_MS);
    }
  };
  const changers = [own(), ...CHURNS.map(churn)];
  await Promise.all(changers).finally(() => (made = CHANGES));
  expect((await revision()) - began).toBeGreaterThan(CHANGES / 10); // what comes at once is one table
  put({ [files().tasks]: tasks("nobody", []) });
  await expectAllWhole();
});

test("everything survives a gate that is killed; the next one has the same Envoy, and sends it nothing that it has", async () => {
  const pid = envoyPid(gate);
  const told = () => envoyStats(gate, "^cluster_manager.cluster_(added|modified|removed)$|^listener_manager.listener_(added|modified|removed)$|\\.(cds|lds|rds).update_success$"); // prettier-ignore
  const before = await told();
  expect(before.size).toBeGreaterThan(5);
  await gate.kill("SIGKILL");
  await sleep(1000);
  expect(open.flatMap(({ lost }) => lost ?? [])).toEqual([]);
  await gate.up();
  await until(async () => (await ask("web.localhost")).status === 200, "the next gate");
  expect(envoyPid(gate)).toBe(pid);
  await sleep(1000);
  expect(await told()).toEqual(before);
  await expectAllWhole();
});

test("everything survives a new certificate, which fresh visitors get", async () => {
  const fresh = selfSigned(["*.localhost", "rpc.localhost"]);
  put({ [files().key]: fresh.key, [files().certificate]: fresh.certificate });
  const { serialNumber } = new X509Certificate(fresh.certificate);
  await until(async () => (await shownSerial()) === serialNumber, "the new certificate", 20_000);
  await expectAllWhole();
  entrance = { ...entrance, ca: fresh.certificate };
});

async function shownSerial(): Promise<string> {
  const socket = connect({ port: entrance.port, host: "127.0.0.1", servername: "web.localhost", rejectUnauthorized: false }); // prettier-ignore
  await once(socket, "secureConnect");
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

test("everything survives an Envoy that takes over from the one before, and nobody is refused meanwhile", async () => {
  const pid = envoyPid(gate);
  process.kill(gate.file().pid, "SIGUSR2");
  const answers: number[] = [];
  await until(async () => {
    answers.push((await ask("web.localhost")).status);
    return envoyPid(gate) !== pid;
  }, "another Envoy");
  for (let more = 0; more < 20; more += 1) answers.push((await ask("web.localhost")).status);
  expect(new Set(answers)).toEqual(new Set([200]));
  await sleep(1000);
  await expectAllWhole();
});
