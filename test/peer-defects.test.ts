import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../src/dataplanes/testing/apps.ts";
import { enter, openSocket } from "./support/enter.ts";
import { ROOT, startTestGate, until } from "./support/gate.ts";
import { basic, CLOSE, type HostileGate, startHostileGate, statusOf } from "./support/hostile.ts";

// What went wrong in other systems that lead visitors to jobs, each shown not to go wrong here. docs/security.md has the list.

let hostile: HostileGate;

beforeAll(async () => {
  const methods = [{ type: "jupyterhub", name: "hub", url: "http://127.0.0.1:9/hub/" }];
  hostile = await startHostileGate({ login: { methods }, files: [{ name: "lab", path: "lab.yaml" }] }, (folder) => {
    const services = [{ name: "web", endpoints: ["127.0.0.1:9901", "[::1]:9901", "169.254.169.254:80"] }];
    writeFileSync(join(folder, "lab.yaml"), JSON.stringify({ tasks: [{ name: "ssrf", access: "public", services }] }));
  });
  await hostile.run("own", "--path", "/own/");
  await hostile.run("readable", "--access", "authenticated");
  await hostile.gate.json("run", "--name", "app", "--service", "ui=http", "--", process.execPath, join(ROOT, "test/support/recorder.mjs")); // prettier-ignore
  await hostile.gate.json("run", "--name", "chat", "--service", "web=http", "--", process.execPath, join(ROOT, "examples/services/chat.mjs")); // prettier-ignore
  await hostile.gate.json("run", "--name", "board", "--service", "raw=tcp", "--", process.execPath, join(ROOT, "examples/services/tcp-echo.mjs")); // prettier-ignore
});

afterAll(() => hostile[Symbol.asyncDispose]());

const login = () => `X-Taskgate-Authorization: Bearer ${hostile.gate.token()}\r\n`;

describe("task proxy", () => {
  test("Host of one service and id header of another: the one that is asked about is the one that is reached", async () => {
    const fields = `X-Taskgate-Service: readable\r\nAuthorization: ${basic("alice").authorization}\r\n${CLOSE}`;
    expect(statusOf(await hostile.send(`GET / HTTP/1.1\r\n${hostile.host("own")}${fields}\r\n`))).toBe(421);
    const authority = `own.localhost:${String(hostile.port)}`;
    const asked = { ":authority": authority, "x-taskgate-service": "readable", ...basic("alice") };
    expect(await hostile.askHttp2(asked)).toBe(421);
    expect(hostile.reached()).toEqual([]);
    expect(await hostile.statusFor("readable", basic("alice"))).toBe(200);
    hostile.reached();
  });

  test("Authorization and cookie reach job code: here neither does", async () => {
    const cookie = await enter(hostile.gate, "own.localhost");
    expect(await hostile.statusFor("own", { cookie, authorization: `Bearer ${hostile.gate.token()}` })).toBe(200);
    const [request] = hostile.reached();
    expect(JSON.stringify(request)).not.toMatch(/tg_|taskgate-session|"authorization"/i);
  });

  test("a service named ui skips the login below /static: here no name and no path does", async () => {
    for (const path of ["/static/x", "/static/../environment", "/staticfoo", "/static/%2e%2e/x", "//static/", "/favicon.ico", "/robots.txt", "/health", "/metrics", "/.well-known/x"]) // prettier-ignore
      for (const method of ["GET", "HEAD", "POST", "OPTIONS"])
        expect(statusOf(await hostile.send(`${method} ${path} HTTP/1.1\r\n${hostile.host("app")}${CLOSE}\r\n`)), path).toBe(401); // prettier-ignore
    expect(hostile.reached()).toEqual([]);
  });

  test("any address that a user writes is routable, the admin port too: here none of the machine's is", async () => {
    expect(await hostile.statusFor("ssrf", {})).toBeGreaterThanOrEqual(404);
    expect((await hostile.gate.cli("ps")).stdout).toMatch(/loopback/);
  });

  test("admin and control ports listen for everybody: here the one there is is on loopback, for reading, by its own name", async () => {
    const [address = "", port = ""] = (hostile.gate.file().adminAddress ?? "").split(":");
    expect(address).toBe("127.0.0.1");
    const ask = async (head: string) => {
      const socket = connect(Number(port), address);
      socket.write(`${head}\r\n${CLOSE}\r\n`);
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      return statusOf(text);
    };
    expect(await ask("GET /metrics HTTP/1.1\r\nHost: evil.example")).toBe(421);
    for (const path of ["/quitquitquit", "/healthcheck/fail", "/logging?level=debug", "/drain_listeners", "/metrics"])
      expect(await ask(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}`), path).toBeGreaterThanOrEqual(404);
  });

  test("a port that is used anew belongs to another tenant for a minute: here to nobody, at once", async () => {
    const port = await freePort();
    const job = ["--", process.execPath, join(ROOT, "test/support/recorder.mjs")];
    await hostile.gate.json("run", "--name", "left", "--access", "public", "--service", `web=http:${String(port)}`, ...job); // prettier-ignore
    expect(await hostile.statusFor("left", {})).toBe(200);
    await hostile.gate.cli("stop", "left");
    await using tenant = createServer((_request, response) => void response.end("another tenant")).listen(port, "127.0.0.1"); // prettier-ignore
    await once(tenant, "listening");
    for (let times = 0; times < 5; times += 1) {
      const answer = await hostile.gate.ask("left.localhost", "/");
      expect([answer.status >= 404, answer.body.includes("another tenant")]).toEqual([true, false]);
    }
    await hostile.gate.cli("rm", "left");
  });

  test("who may read may do everything, from any page: here another page's POST is refused", async () => {
    const cookie = await enter(hostile.gate, "own.localhost");
    hostile.reached();
    const headers = { cookie, origin: `http://readable.localhost:${String(hostile.port)}` };
    const answer = await hostile.gate.ask("own.localhost", "/", { anonymous: true, method: "POST", headers });
    expect(answer.status).toBe(403);
    expect(hostile.reached()).toEqual([]);
  });

  test("an app's own Authorization keeps the visitor's cookie from counting: here it passes, and the cookie counts", async () => {
    await using gate = await startTestGate();
    const hello = join(ROOT, "examples/services/hello.mjs");
    await gate.json("run", "--name", "hello", "--service", "web=http", "--", process.execPath, hello);
    const cookie = await enter(gate, "hello.localhost");
    const own = `Basic ${Buffer.from("app:its own password").toString("base64")}`;
    const headers = { cookie, authorization: own, accept: "application/json" };
    const answer = await gate.ask("hello.localhost", "/", { anonymous: true, headers });
    expect([answer.status, answer.body.includes(own)]).toEqual([200, true]);
  });

  test("an outage of the login service looks like a refusal: here it is 503", async () => {
    const answer = await hostile.gate.ask("own.localhost", "/", {
      ...{ anonymous: true, headers: { authorization: `jupyterhub ${"0".repeat(32)}` } },
    });
    expect([answer.status, answer.headers["x-taskgate-error"]]).toEqual([503, "unavailable"]);
  });

  test("a WebSocket is refused though its visitor may: here it opens", async () => {
    const socket = await openSocket(hostile.gate, "chat.localhost", await enter(hostile.gate, "chat.localhost"));
    expect(await Promise.race([socket.ended, new Promise((resolve) => setTimeout(resolve, 200, "open"))])).toBe("open");
  });

  test("a Host with a port is nobody's: here it is the service's, by the same access", async () => {
    const asked = (more: string) => hostile.send(`GET / HTTP/1.1\r\nHost: own.localhost:9090\r\n${more}${CLOSE}\r\n`);
    expect([statusOf(await asked("")), statusOf(await asked(login()))]).toEqual([401, 200]);
    hostile.reached();
  });

  test("ports that nobody declared are published: here, beside declared ones, they stay the owner's", async () => {
    const other = await freePort();
    const script = `const { createServer } = require("node:http"); for (const port of [process.env.PORT, ${String(other)}]) createServer((_, r) => r.end("port " + port)).listen(port, "127.0.0.1")`;
    await hostile.gate.json("run", "--name", "two", "--access", "public", "--service", "web=http", "--", process.execPath, "-e", script); // prettier-ignore
    await until(async () => (await hostile.statusFor("two", {})) === 200, "the declared port");
    const found = async () => (await hostile.gate.task("two")).services.find(({ name }) => name !== "web");
    await until(async () => (await found()) !== undefined, "the other port");
    const { url, anyone } = (await found()) ?? {};
    expect(anyone).toBe("nobody");
    const host = new URL(url ?? "").hostname.replace(".localhost", "");
    expect([await hostile.statusFor(host, {}), await hostile.statusFor(host, basic("alice"))]).toEqual([401, 403]);
    expect((await hostile.gate.ask(`${host}.localhost`, "/")).body).toContain(String(other));
    await hostile.gate.cli("rm", "two");
  });
});

describe("Dask Gateway", () => {
  test("dashboards without login: here every page of a job asks for one, below its path, too", async () => {
    for (const path of ["/status", "/info/main/workers.html", "/json/identity.json", "/statics/js/x.js"]) {
      expect(await hostile.statusFor("own", {}, path)).toBe(401);
      expect(await hostile.statusFor("paths", {}, `/own${path}`)).toBe(401);
    }
    expect(hostile.reached()).toEqual([]);
  });

  test("a redirect of a dashboard leads out of its prefix: here it stays below it", async () => {
    const bytes = "HTTP/1.1 302 Found\r\nLocation: /status\r\nContent-Length: 0\r\n\r\n";
    const path = `/own/raw/${Buffer.from(bytes).toString("base64url")}`;
    expect((await hostile.gate.ask("paths.localhost", path)).headers.location).toMatch(/\/own\/status$/);
    hostile.reached();
  });

  test("a password stands in the configuration: here it is taken from a file of its own alone", async () => {
    const file = join(hostile.folder, "in-the-clear.yaml");
    for (const key of ["password", "sharedPassword", "clientSecret"]) {
      const method = { type: "basic", name: "all", [key]: "open sesame" };
      writeFileSync(file, JSON.stringify({ login: { methods: [method] } }));
      const ran = await hostile.gate.cli("check", file);
      expect(ran.code).not.toBe(0);
      expect(ran.stdout + ran.stderr).toContain(key);
    }
  });
});

describe("Determined", () => {
  test("anybody who reaches the gateway port is in: here a TCP service that is not public has no port, and its way asks for a login", async () => {
    const [service] = (await hostile.gate.task("board")).services;
    expect(service?.port ?? null).toBeNull();
    const tunnel = (more: string) => hostile.send(`CONNECT board.localhost:80 HTTP/1.1\r\nHost: board.localhost:80\r\n${more}\r\n`, (answer) => answer.includes("\r\n\r\n")); // prettier-ignore
    expect(statusOf(await tunnel(""))).toBe(401);
    expect(statusOf(await tunnel(`Authorization: ${basic("bob").authorization}\r\n`))).toBe(403);
    expect(statusOf(await tunnel(login()))).toBe(200);
  });

  test("TensorBoard in the clear on a public port: here no gate listens beyond this machine without TLS unless it is told to", async () => {
    const file = join(hostile.folder, "clear.yaml");
    writeFileSync(file, JSON.stringify({ listen: { address: "0.0.0.0:7080" } }));
    const ran = await hostile.gate.cli("check", file);
    expect(ran.code).not.toBe(0);
    expect(ran.stdout + ran.stderr).toMatch(/plainOnPublicAddress/);
  });
});
