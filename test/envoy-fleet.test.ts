import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildBootstrap, secretFiles } from "../src/dataplanes/envoy/bootstrap.ts";
import { envoyFiles } from "../src/dataplanes/envoy/local/envoy-files.ts";
import { readRecord } from "../src/dataplanes/envoy/local/record.ts";
import { type App, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { type Authority, makeAuthority } from "../src/dataplanes/testing/make-authority.ts";
import { envoyProgram } from "../testbed/envoy.ts";
import type { EnvoysView } from "../src/api/wire-envoys.ts";
import { type Answer, ROOT, startTestGate, type TestGate, until } from "./support/gate.ts";

const HELLO = join(ROOT, "examples", "services", "hello.mjs");

const folder = mkdtempSync(join(tmpdir(), "taskgate-fleet-"));
const running: ChildProcess[] = [];
let gate: TestGate;
let program: string;
let authority: Authority;
let ports: Record<"xds" | "gate" | "all" | "part", number>;
/** What is in the file of tasks that both fleets serve. */
let apps: Record<"checked" | "broken" | "whole", App>;
const well = { checked: true, own: false, mended: false };

const file = (name: string) => join(folder, name);

async function writeCertificate(name: string, names: readonly string[], from = authority): Promise<void> {
  const { certificate, key } = await from.issue(names);
  writeFileSync(file(`${name}.pem`), certificate);
  writeFileSync(file(`${name}-key.pem`), key, { mode: 0o600 });
}

/** Starts an Envoy of the fleet that shows this certificate, as the documents say. */
async function startEnvoy(fleet: string, certificate: string, node: string): Promise<() => string> {
  const words = ["--certificate", file(`${certificate}.pem`), "--key", file(`${certificate}-key.pem`)];
  const admin = String(await freePort());
  const ran = await gate.cli(
    ...["envoy", "bootstrap", "--fleet", fleet, "--config", file("gate.yaml"), "--host", "localhost"],
    ...[...words, "--authority", file("authority.pem"), "--admin-port", admin],
  );
  if (ran.code !== 0) throw new Error(ran.stderr);
  const bootstrap = file(`${node}.json`);
  writeFileSync(bootstrap, ran.stdout);
  execFileSync(program, ["--mode", "validate", "-c", bootstrap, "--service-node", node], { stdio: "ignore" });
  const envoy = spawn(
    program,
    ["-c", bootstrap, "--service-node", node, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  running.push(envoy);
  let said = "";
  envoy.stderr.on("data", (data: Buffer) => (said += data.toString()));
  return () => said;
}

/** As somebody who is logged in; null: nobody answers. */
const ask = (port: number, host: string): Promise<Answer | null> => gate.ask(host, "/", { port }).catch(() => null);

/** Whether the gate's own Envoy has this port of the loopback, by which it asks others. */
function isOfOwnEnvoy(port: number): boolean {
  const own = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const inode = lines.map((line) => line.trim().split(/\s+/)).find((words) => words[1]?.endsWith(own))?.[9] ?? "none";
  const folder = `/proc/${String(readRecord(envoyFiles(join(gate.home, "envoy")).record)?.pid)}/fd`;
  return readdirSync(folder).some((fd) => {
    try {
      return readlinkSync(join(folder, fd)) === `socket:[${inode}]`;
    } catch {
      return false; // closed meanwhile
    }
  });
}

const waitFor = (condition: () => boolean | Promise<boolean>, what: string) => until(condition, what, 15_000);

beforeAll(async () => {
  program = await envoyProgram();
  authority = await makeAuthority();
  const [xds = 0, own = 0, all = 0, part = 0] = await Promise.all(Array.from({ length: 4 }, () => freePort()));
  ports = { xds, gate: own, all, part };
  for (const name of ["authority.pem", "clients.pem"]) writeFileSync(file(name), authority.certificate);
  await writeCertificate("gate", ["DNS:localhost"]);
  await writeCertificate("edge", ["URI:spiffe://example.com/edge"]);
  await writeCertificate("edge2", ["DNS:edge2"]);
  await writeCertificate("stranger", ["DNS:stranger"]);
  apps = {
    checked: await startHttpApp((req, res) => {
      const isWell = well.checked || (well.own && isOfOwnEnvoy(req.socket.remotePort ?? 0));
      res.writeHead(isWell ? 200 : 500).end("checked");
    }),
    broken: await startHttpApp((req, res) => (well.mended ? res.end("mended") : req.socket.destroy())),
    whole: await startHttpApp((_req, res) => void res.end("whole")),
  };
  const at = ({ address }: App) => `127.0.0.1:${String(address.port)}`;
  const task = (name: string, endpoints: readonly App[], policy: object) => ({
    name,
    access: "public",
    services: [{ name: "web", endpoints: endpoints.map(at), policy }],
  });
  writeFileSync(
    file("tasks.yaml"),
    JSON.stringify({
      tasks: [
        task("checked", [apps.checked], { activeHealth: { path: "/", everyMs: 500 } }),
        task("pair", [apps.broken, apps.whole], {}),
      ],
    }),
  );
  writeFileSync(
    file("gate.yaml"),
    JSON.stringify({
      dataPlane: "envoy",
      files: [{ name: "elsewhere", path: file("tasks.yaml"), allowLoopback: true }],
      limits: { ejectAfter: 2, ejectFirst: "3s", ejectLongest: "3s" },
      envoy: {
        xds: {
          address: `127.0.0.1:${String(xds)}`,
          gateAddress: `127.0.0.1:${String(own)}`,
          tls: { certificate: file("gate.pem"), key: file("gate-key.pem"), clientAuthority: file("clients.pem") },
        },
        fleets: [
          { name: "edge", clients: ["spiffe://example.com/edge"], listen: `127.0.0.1:${String(all)}` },
          { name: "edge2", listen: `127.0.0.1:${String(part)}`, providers: ["elsewhere"] },
        ],
      },
    }),
  );
  gate = await startTestGate({ config: file("gate.yaml"), dataPlane: "envoy" });
  await gate.json("run", "--name", "hello", "--service", "web=http", "--", process.execPath, HELLO);
}, 180_000);

afterAll(async () => {
  for (const envoy of running) {
    envoy.kill();
    if (envoy.exitCode === null && envoy.signalCode === null) await once(envoy, "exit");
  }
  await gate[Symbol.asyncDispose]();
  for (const app of Object.values(apps)) await app[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test("Envoys elsewhere serve tasks, explanations and the gate's own page, each fleet its own part", async () => {
  await startEnvoy("edge", "edge", "edge-1");
  await startEnvoy("edge2", "edge2", "edge2-1");
  await waitFor(async () => (await ask(ports.all, "hello.localhost"))?.status === 200, "the task by the first fleet");
  const page = await ask(ports.all, "taskgate.localhost");
  expect([page?.status, page?.headers.location], JSON.stringify(page)).toEqual([302, "/.taskgate/"]);
  await waitFor(
    async () => (await ask(ports.part, "taskgate.localhost"))?.status === 302,
    "the gate by the second fleet",
  );
  expect((await ask(ports.part, "hello.localhost"))?.status, "of a provider that it does not serve").not.toBe(200);
  await gate.json("stop", "hello");
  await waitFor(async () => (await ask(ports.all, "hello.localhost"))?.status === 503, "an explanation");
  const stopped = await ask(ports.all, "hello.localhost");
  expect(stopped?.headers["x-taskgate-error"]).toBe("stopped");
  await gate.json("restart", "hello");
  await waitFor(async () => (await ask(ports.all, "hello.localhost"))?.status === 200, "the task again");
});

test("the command line says which Envoys there are, and what each has", async () => {
  const status = () => gate.json<EnvoysView>("envoy", "status");
  await waitFor(async () => (await status()).envoys.every(({ behind }) => behind === 0), "all to have all");
  const { envoys } = await status();
  const names = envoys.map(({ fleet, id }) => (fleet === "local" ? fleet : `${fleet} ${id}`));
  expect(names).toEqual(["edge edge-1", "edge2 edge2-1", "local"]);
  for (const { fleet, ...envoy } of envoys) {
    expect(envoy).toMatchObject({ version: "1.40.0", streams: 1, refused: 0, stuckSince: null });
    expect(envoy.address, fleet).toEqual(fleet === "local" ? null : expect.stringMatching(/^127\.0\.0\.1:\d+$/));
  }
  const { stdout } = await gate.cli("envoy", "status");
  expect(stdout).toMatch(/FLEET +ENVOY +VERSION/);
  expect(stdout).toMatch(/edge +edge-1 +1\.40\.0 +127\.0\.0\.1:\d+ +connected for/);
});

/** Who passes over an endpoint of the task that others reach. */
const disputes = async (name: string) =>
  (await gate.task(name)).problems.filter(({ code }) => code === "endpoint_disputed").map(({ message }) => message);

test("how endpoints are is what Envoys elsewhere say: of their checks, and of what they pass over", async () => {
  const healthOf = async (name: string) => (await gate.task(name)).services[0]?.health;
  const replicasOf = async (name: string) =>
    (await gate.task(name)).services[0]?.replicas.map(({ health }) => health).join(" ");
  await waitFor(async () => (await healthOf("checked")) === "healthy", "checks to be answered");
  well.checked = false;
  await waitFor(async () => (await healthOf("checked")) === "unhealthy", "checks to fail");
  expect((await gate.cli("ps")).stdout).toMatch(/checked.*unhealthy/);
  well.own = true;
  await waitFor(async () => (await healthOf("checked")) === "healthy", "checks of the gate's own Envoy to be answered");
  expect(await disputes("checked")).toEqual([
    `edge-1, edge2-1 pass over 127.0.0.1:${String(apps.checked.address.port)}, which other Envoys reach.`,
  ]);
  well.checked = true;
  await waitFor(async () => (await disputes("checked")).length === 0, "checks to be answered again");

  await waitFor(async () => {
    await ask(ports.all, "pair.localhost");
    return (await replicasOf("pair")) === "unhealthy healthy";
  }, "an endpoint to be passed over");
  expect(await disputes("pair"), "no other Envoy had to do with it").toEqual([]);
  well.mended = true;
  await waitFor(
    async () => (await gate.ask("pair.localhost", "/")).body === "mended",
    "the gate's own Envoy to reach it",
  );
  await waitFor(async () => (await disputes("pair")).length === 1, "both to be heard");
  expect(await disputes("pair")).toEqual([
    `edge-1 passes over 127.0.0.1:${String(apps.broken.address.port)}, which other Envoys reach.`,
  ]);
  expect(await replicasOf("pair")).toBe("healthy healthy");
  await waitFor(
    async () => (await disputes("pair")).length === 0,
    "it to be tried again, which that Envoy alone knows",
  );
});

test("the next gate hears them again; one that is gone is away, and has no say", async () => {
  await gate.kill("SIGKILL");
  await gate.up();
  Object.assign(well, { checked: false, own: true });
  // Envoys come back after a pause of their own, up to half a minute, and are asked in turn.
  await until(
    async () => ((await disputes("checked"))[0] ?? "").startsWith("edge-1, edge2-1 pass over "),
    "all of them",
    60_000,
  );
  // It may have answered what it was asked before it comes for its configuration.
  await until(async () => typeof (await stateOf("edge-1")) === "number", "it to be connected", 60_000);
  const [first] = running;
  first?.kill("SIGKILL");
  await waitFor(async () => (await stateOf("edge-1")) === null, "it to be away");
  expect((await gate.cli("envoy", "status")).stdout).toMatch(/edge-1 .* away /);
  await until(
    async () => !((await disputes("checked"))[0] ?? "").startsWith("edge-1"),
    "its word to be forgotten",
    60_000,
  );
});

test("a gate without an Envoy of its own is served by its fleets alone, and answers its command line all the same", async () => {
  const [xds, own, port] = [await freePort(), await freePort(), await freePort()];
  const config = file("without.yaml");
  const address = (at: number) => `127.0.0.1:${String(at)}`;
  const fleets = [{ name: "edge", listen: address(port) }];
  const envoy = { local: false, xds: { address: address(xds), gateAddress: address(own) }, fleets };
  writeFileSync(config, JSON.stringify({ dataPlane: "envoy", envoy }));
  await using alone = await startTestGate({
    ...{ config, port, dataPlane: "envoy" },
    environment: { TASKGATE_ENVOY: "/nowhere/envoy" },
  });
  await alone.json("run", "--name", "hello", "--service", "web=http", "--", process.execPath, HELLO);
  const admin = String(await freePort());
  const ran = await alone.cli("envoy", "bootstrap", "--fleet", "edge", "--config", config, "--admin-port", admin);
  expect(ran.stderr).toBe("");
  writeFileSync(file("without.json"), ran.stdout);
  const words = ["-c", file("without.json"), "--service-node", "edge-9", "--concurrency", "1", "--disable-hot-restart"];
  running.push(spawn(program, words, { stdio: "ignore" }));
  await waitFor(
    async () => (await alone.ask("hello.localhost", "/").catch(() => null))?.status === 200,
    "the task by the fleet",
  );
  const { envoys } = await alone.json<EnvoysView>("envoy", "status");
  expect(envoys.map(({ fleet, id }) => `${fleet} ${id}`)).toEqual(["edge edge-9"]);
});

test("one that shows another fleet's certificate gets nothing, and is told why", async () => {
  const said = await startEnvoy("edge", "stranger", "stranger-1");
  await waitFor(() => said().includes("names%20none%20of%20the%20clients%20of%20fleet%20edge"), "a refusal");
});

test("an Envoy that has its certificates as pods do reads them again when they change", async () => {
  const mounted = mkdtempSync(join(folder, "mounted-"));
  const admin = await freePort();
  /** As a kubelet does it: another folder, and a link that leads there at once. */
  const mount = async (name: string): Promise<void> => {
    mkdirSync(join(mounted, name));
    const { certificate, key } = await authority.issue(["URI:spiffe://example.com/edge", `DNS:${name}`]);
    const files = { "tls.crt": certificate, "tls.key": key, "ca.crt": authority.certificate };
    for (const [at, content] of Object.entries(files)) writeFileSync(join(mounted, name, at), content);
    symlinkSync(name, join(mounted, "..next"));
    renameSync(join(mounted, "..next"), join(mounted, "..data"));
  };
  await mount("first");
  for (const at of ["tls.crt", "tls.key", "ca.crt"]) symlinkSync(`..data/${at}`, join(mounted, at));
  const secrets = secretFiles(mounted);
  for (const [name, content] of Object.entries(secrets)) writeFileSync(file(`${name}.json`), JSON.stringify(content));
  const at = (port: number) => ({ host: "localhost", port });
  const bootstrap = buildBootstrap({
    ...{ fleet: "edge", admin: { host: "127.0.0.1", port: admin }, connections: 100 },
    ...({ control: [at(ports.xds)], gate: at(ports.gate) } as const),
    tls: { client: file("client.json"), authority: file("authority.json") },
  });
  writeFileSync(file("mounted.json"), JSON.stringify(bootstrap));
  const words = [
    "-c",
    file("mounted.json"),
    "--service-node",
    "edge-pod",
    "--concurrency",
    "1",
    "--disable-hot-restart",
  ];
  running.push(spawn(program, words, { stdio: "ignore" }));
  await waitFor(async () => (await stateOf("edge-pod")) !== undefined, "it to be known by its first certificate");
  const shown = async (): Promise<string> => (await fetch(`http://127.0.0.1:${String(admin)}/certs`)).text();
  expect(await shown()).toContain('"dns": "first"');
  await mount("second");
  await waitFor(async () => (await shown()).includes('"dns": "second"'), "the second to be read");
});

test("other authorities, and a new certificate of the gate, count without a restart", async () => {
  const next = await makeAuthority();
  await writeCertificate("later", ["URI:spiffe://example.com/edge"], next);
  await writeCertificate("gate", ["DNS:localhost"]);
  writeFileSync(file("clients.pem"), next.certificate);
  const log = () => readFileSync(join(gate.home, "gate.log"), "utf8");
  await waitFor(() => log().includes("certificates for Envoys read again"), "the gate to read its files");
  await startEnvoy("edge", "later", "edge-2");
  await waitFor(() => log().includes('"node":"edge-2"'), "an Envoy by the next authority");
});

/** Since when it is connected; null: it is not. */
async function stateOf(id: string): Promise<number | null | undefined> {
  return (await gate.json<EnvoysView>("envoy", "status")).envoys.find((envoy) => envoy.id === id)?.since;
}
