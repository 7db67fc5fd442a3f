import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { envoyProgram } from "../../../../testbed/envoy.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { freePort } from "../../testing/apps.ts";
import { until } from "../../testing/rig.ts";
import { type EnvoyFiles, envoyFiles } from "./envoy-files.ts";
import { findEnvoy, type EnvoyProgram } from "./find-envoy.ts";
import { LocalEnvoy, type LocalEnvoyDeps } from "./local-envoy.ts";
import { isAlive, readRecord } from "./record.ts";

let program: EnvoyProgram;
let folder: string;
let files: EnvoyFiles;
let port: number;

beforeAll(async () => {
  program = await findEnvoy({ configured: await envoyProgram(), environment: {} });
}, 120_000);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "taskgate-"));
  files = envoyFiles(join(folder, "envoy"));
  port = await freePort();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** An Envoy that says `word` to who asks, and keeps a connection for as long as it is asked nothing. */
function create(word: string, more: Partial<LocalEnvoyDeps> = {}): LocalEnvoy {
  const bootstrap = {
    node: { cluster: "local" },
    admin: { address: { pipe: { path: files.adminSocket, mode: 0o600 } } },
    static_resources: { listeners: [listener(word)] },
  };
  return new LocalEnvoy({
    ...{ program, files, bootstrap, port, address: "127.0.0.1", threads: 1, graceMs: 60_000, logBytes: 1_000_000 },
    ...{ changed: () => undefined, clock: systemClock, logger: silentLogger, ...more },
  });
}

function listener(word: string): object {
  const api = "type.googleapis.com/envoy.extensions.filters";
  const route = { match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: word } } };
  return {
    name: "main",
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type": `${api}.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: "visitors",
              route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }] },
              http_filters: [{ name: "router", typed_config: { "@type": `${api}.http.router.v3.Router` } }],
            },
          },
        ],
      },
    ],
  };
}

const word = async () => (await fetch(`http://127.0.0.1:${String(port)}/`)).text();

async function hold(): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n"); // the rest comes when it is asked for
  return socket;
}

async function finish(socket: Socket): Promise<string> {
  socket.write("\r\n");
  const [chunk] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

test("starts, is nobody's but its owner's, and is gone when it is disposed of", async () => {
  {
    await using envoy = create("one");
    await envoy.start();
    await until(() => statSync(files.adminSocket, { throwIfNoEntry: false }) !== undefined);
    expect(await word()).toBe("one");
    for (const file of [files.adminSocket, files.bootstrap, files.record, files.log]) {
      expect(statSync(file).mode & 0o077, file).toBe(0);
    }
    expect(statSync(files.folder).mode & 0o777).toBe(0o700);
  }
  await expect(word()).rejects.toThrow();
  expect(readRecord(files.record)).toBeNull();
});

test("is taken over by the next gate where nothing changed, and replaced where something did, with what is open", async () => {
  await create("one").start(); // its gate is killed: nothing of it is disposed of
  const first = readRecord(files.record);
  const held = await hold();
  await using second = create("one");
  await second.start();
  expect(second.pid).toBe(first?.pid);
  expect(await word()).toBe("one");

  await using third = create("two");
  await third.start();
  expect(third.pid).not.toBe(first?.pid);
  await until2(async () => (await word()) === "two");
  expect(await finish(held)).toContain("200 OK");
  const now = readRecord(files.record);
  expect(now).toMatchObject({ epoch: 1, former: [{ pid: first?.pid }] });
  expect(first !== null && isAlive(first)).toBe(true);
  await third[Symbol.asyncDispose]();
  expect(first !== null && isAlive(first), "the replaced one goes with it").toBe(false);
});

test("is started again when it dies, and that is told", async () => {
  const told: string[] = [];
  await using envoy = create("one", { changed: () => void told.push(envoy.problems[0]?.code ?? "well") });
  await envoy.start();
  const { pid } = envoy;
  process.kill(pid ?? 0, "SIGKILL");
  await until(() => told.includes("well"));
  expect(told).toEqual(["envoy_stopped", "well"]);
  expect(envoy.pid).not.toBe(pid);
  await until2(async () => (await word().catch(() => "")) === "one");
});

test("leaves no replaced one behind when the one that replaced it dies", async () => {
  await using envoy = create("one", { graceMs: 1000 });
  await envoy.start();
  const first = readRecord(files.record);
  await envoy.restart();
  process.kill(envoy.pid ?? 0, "SIGKILL");
  await until(() => envoy.pid !== null && readRecord(files.record)?.epoch === 0);
  await until(() => first !== null && !isAlive(first));
});

test("takes nobody new while it drains, and lets what is open end", async () => {
  await using envoy = create("one");
  await envoy.start();
  const held = await hold();
  const draining = envoy.drain(Date.now() + 10_000);
  await until2(async () => (await word().catch(() => null)) === null);
  expect(await finish(held)).toContain("connection: close");
  const began = Date.now();
  await draining;
  expect(Date.now() - began).toBeLessThan(2000);
});

test("says why one cannot start", async () => {
  await using envoy = create("one", { bootstrap: { no: "such thing" } });
  await expect(envoy.start()).rejects.toThrow(/Envoy did not start: [^]*no\s+such field/);
  expect(readFileSync(files.log, "utf8")).not.toBe("");
});

async function until2(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await condition());) {
    if (Date.now() > deadline) throw new Error("still not");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
