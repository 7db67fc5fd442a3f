import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import type { VersionView } from "../src/api/wire.ts";
import { processStart } from "../src/platform/process-identity.ts";
import { startExampleTasks } from "./support/example-tasks.ts";
import { envoyPid, startEnvoyGate } from "./support/envoy-gate.ts";
import { type TestGate, until } from "./support/gate.ts";

let gate: TestGate;

beforeAll(async () => {
  gate = await startEnvoyGate();
  await startExampleTasks(gate);
}, 180_000);
afterAll(() => gate[Symbol.asyncDispose]());

/** A conversation with a job that goes on for as long as nobody ends it. */
class Talk implements Disposable {
  readonly #socket: WebSocket;
  #count = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
  }

  static async open(): Promise<Talk> {
    const { port } = gate.file();
    const host = `chat.localhost:${String(port)}`;
    const headers = { host, "x-taskgate-authorization": `Bearer ${gate.token()}` };
    const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/ws`, { headers });
    await once(socket, "open");
    return new Talk(socket);
  }

  /** Whether the job still answers. */
  async goesOn(): Promise<boolean> {
    const said = `word ${String((this.#count += 1))}`;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const hear = (data: Buffer): void => {
      if (data.toString().includes(said)) resolve(true);
    };
    this.#socket.on("message", hear).once("close", () => resolve(false));
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(said);
    const timer = setTimeout(() => resolve(false), 5000);
    const heard = await promise;
    clearTimeout(timer);
    this.#socket.off("message", hear);
    return heard;
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}

const hello = async () => (await gate.ask("hello.localhost", "/")).status;

describe("a gate with an Envoy of its own", () => {
  test("says what moves its bytes, and serves its page, its API and its tasks", async () => {
    const { port, gateHost } = gate.file();
    const version = await gate.ask(gateHost, "/.taskgate/api/v1/version");
    expect((JSON.parse(version.body) as VersionView).dataPlane).toBe("envoy");
    expect(await gate.json("version")).toMatchObject({ gate: { dataPlane: "envoy" } });
    expect((await gate.ask(gateHost, "/.taskgate/", { anonymous: true })).body).toContain("<!doctype html>");
    expect(await hello()).toBe(200);
    expect((await gate.ask("hello.localhost", "/", { anonymous: true })).status).toBe(401);
    const unknown = await gate.ask("nobody.localhost", "/");
    expect([unknown.status, unknown.headers["x-taskgate-error"]]).toEqual([404, "unknown_host"]);
    expect(port).toBeGreaterThan(0);
  });

  test("is killed and started again: the same Envoy goes on, and so does what is open", async () => {
    using talk = await Talk.open();
    const pid = envoyPid(gate);
    await gate.kill("SIGKILL");
    expect(processStart(pid)).not.toBeNull();
    expect(await talk.goesOn(), "without a gate").toBe(true);
    await gate.up();
    expect(envoyPid(gate)).toBe(pid);
    expect(await talk.goesOn(), "with the next gate").toBe(true);
    expect(await hello()).toBe(200);
  });

  test("is killed, and not followed by one that moves the bytes itself: that says who has the port, and what to do", async () => {
    using talk = await Talk.open();
    const pid = envoyPid(gate);
    const address = `127.0.0.1:${String(gate.file().port)}`;
    await gate.kill("SIGKILL");
    for (const how of [["--set", "workers=0"], ["--set", "workers=2"], ["--background"]]) {
      const ran = await gate.cli("up", "--data-plane", "embedded", "--listen", address, ...how);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain(
        `${address} is held by the Envoy that an earlier gate of this state folder left running (process ${String(pid)})`,
      );
      expect(ran.stderr).toContain("taskgate up --data-plane envoy takes it over");
    }
    expect(await talk.goesOn()).toBe(true);
    await gate.up();
    expect(envoyPid(gate)).toBe(pid);
  });

  test("renews its Envoy: no request is refused, and what is open goes on", async () => {
    using talk = await Talk.open();
    const pid = envoyPid(gate);
    process.kill(gate.file().pid, "SIGUSR2");
    const answers: number[] = [];
    await until(async () => {
      answers.push(await hello());
      return envoyPid(gate) !== pid;
    }, "another Envoy");
    for (let more = 0; more < 20; more += 1) answers.push(await hello());
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(await talk.goesOn()).toBe(true);
    using another = await Talk.open();
    expect(await another.goesOn()).toBe(true);
  });

  test("brings back an Envoy that was killed", async () => {
    const pid = envoyPid(gate);
    process.kill(pid, "SIGKILL");
    await until(async () => (await hello().catch(() => 0)) === 200, "another Envoy", 10_000);
    expect(envoyPid(gate)).not.toBe(pid);
  });

  test("stops with its Envoy, which lets what is open end", async () => {
    using talk = await Talk.open();
    const pid = envoyPid(gate);
    const stopping = gate.kill("SIGTERM");
    await until(async () => (await hello().catch(() => 0)) === 0, "a closed port", 10_000);
    expect(await talk.goesOn()).toBe(true);
    talk[Symbol.dispose]();
    await stopping;
    expect(processStart(pid)).toBeNull();
    await gate.up();
    expect(await hello()).toBe(200);
  });

  test("says that its port is another program's", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const ran = await gate.cli("up", "--home", `${gate.home}/second`, "--listen", `127.0.0.1:${String(port)}`);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`listen.address: 127.0.0.1:${String(port)} is taken by another program`);
    server.close();
  });

  test("says how to get an Envoy where there is none", async () => {
    const ran = await gate.cli(
      "up",
      "--home",
      `${gate.home}/second`,
      "--listen",
      "127.0.0.1:0",
      "--set",
      "envoy.program=/no/envoy",
    );
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("envoy.program: /no/envoy is no program that can be run");
  });
});
