import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { isSameProcess } from "../src/platform/process-identity.ts";
import { PLANE, type TestGate, until } from "./support/gate.ts";
import {
  API,
  CLOSE,
  expectOneMeaning,
  type HostileGate,
  JSON_BODY,
  PAGE,
  RECORDER,
  startHostileGate,
  statusOf,
} from "./support/hostile.ts";

/** Everything secret that came up: none of it may be in the gate's log. */
const secrets = new Set<string>();

let hostile: HostileGate;
let folder: string;
let gate: TestGate;
let port: number;
let token: string;
let process1: { readonly pid: number; readonly start: string };

beforeAll(async () => {
  hostile = await startHostileGate({ limits: { headerTime: "2s", connections: 600 } });
  ({ folder, gate, port } = hostile);
  const file = gate.file();
  process1 = { pid: file.pid, start: file.processStart };
  token = gate.token();
  secrets.add(token);
  await hostile.run("own", "--path", "/own/");
  await hostile.run("pub", "--access", "public");
});

afterAll(() => hostile[Symbol.asyncDispose]());

afterEach(() => {
  expect(isSameProcess(process1.pid, process1.start), "the gate lives").toBe(true);
});

const reached = () => hostile.reached();
const open = (text?: string) => hostile.open(text);
const send: HostileGate["send"] = (text, over) => hostile.send(text, over);
const askHttp2: HostileGate["askHttp2"] = (headers) => hostile.askHttp2(headers);
const mine = () => `X-Taskgate-Authorization: Bearer ${token}\r\n`;
const host = (name: string) => hostile.host(name);

/** Envoy refuses no head for these: it sets right what it reads, and what it says to a job is plain. */
const TAKEN_BY_ENVOY: ReadonlySet<string> = new Set([
  ...[
    "a folded field",
    "a bare line feed",
    "a bare carriage return",
    "a zero byte",
    "a chunk longer than it says",
    "a chunk with an endless extension",
  ],
]);

/** Envoy writes the line of a status itself, and one field for a folded one. */
const HARMLESS_BY_ENVOY: ReadonlySet<string> = new Set([
  ...["a split reason", "a folded field", "a protocol that nobody asked for", "a status that is none"],
]);

describe("who is asked for", () => {
  const TARGETS = [
    "GET http://pub.localhost/ HTTP/1.1\r\nHost: own.localhost\r\n",
    "GET http://x@own.localhost/ HTTP/1.1\r\nHost: own.localhost\r\n",
    "GET ftp://own.localhost/ HTTP/1.1\r\nHost: own.localhost\r\n",
  ];
  if (PLANE === "embedded") {
    test.each(TARGETS)("%j: 400, and no job hears of it", async (head) => {
      expect(statusOf(await send(`${head}${mine()}${CLOSE}\r\n`))).toBe(400);
      expect(reached()).toEqual([]);
    });
  } else {
    test("a target with a host is asked about, routed and told to the job by that host alone (RFC 9112, 3.2.2)", async () => {
      for (const head of TARGETS) await send(`${head}${mine()}${CLOSE}\r\n`);
      const all = reached();
      expectOneMeaning(all);
      expect(all.map(({ task }) => task)).toEqual(["pub", "own"]);
      const private1 = "GET http://own.localhost/ HTTP/1.1\r\nHost: pub.localhost\r\n";
      expect(statusOf(await send(`${private1}${CLOSE}\r\n`))).toBe(401);
      expect(reached()).toEqual([]);
    });
  }

  test.each<[string, number, string]>([
    ["two Hosts", 400, "GET / HTTP/1.1\r\nHost: own.localhost\r\nHost: pub.localhost\r\n"],
    ["no Host", 400, "GET / HTTP/1.1\r\n"],
    ["an empty Host", 400, "GET / HTTP/1.1\r\nHost:\r\n"],
    ["a list of Hosts", 400, "GET / HTTP/1.1\r\nHost: own.localhost, pub.localhost\r\n"],
    ["a Host with a user", 400, "GET / HTTP/1.1\r\nHost: x@own.localhost\r\n"],
    ["a Host with a path", 400, "GET / HTTP/1.1\r\nHost: own.localhost/..\r\n"],
    ["a Host of odd bytes", 400, "GET / HTTP/1.1\r\nHost: \u00f8wn.localhost\r\n"],
    ["a Host with a port that is none", 400, "GET / HTTP/1.1\r\nHost: own.localhost:99999\r\n"],
    ["a target with a fragment", 400, "GET /#x HTTP/1.1\r\nHost: own.localhost\r\n"],
    ["an id header of another service", 421, "GET / HTTP/1.1\r\nHost: own.localhost\r\nX-Taskgate-Service: pub\r\n"],
    ["an id header beside the gate", 421, "GET / HTTP/1.1\r\nHost: taskgate.localhost\r\nX-Taskgate-Service: own\r\n"],
    ["an empty id header", 421, "GET / HTTP/1.1\r\nHost: own.localhost\r\nX-Taskgate-Service:\r\n"],
    ["two id headers", 404, "GET / HTTP/1.1\r\nHost: x\r\nX-Taskgate-Service: pub\r\nX-Taskgate-Service: own\r\n"],
    ["an id header with underscores", 404, "GET / HTTP/1.1\r\nHost: x\r\nX_Taskgate_Service: own\r\n"],
    [
      "a rebound name with an id header",
      404,
      `GET ${API}/tasks HTTP/1.1\r\nHost: x\r\nX-Taskgate-Service: taskgate\r\n`,
    ],
    ["a rebound name at the API", 404, `GET ${API}/tasks HTTP/1.1\r\nHost: evil.example\r\n`],
    ["a bare address at the API", 404, `GET ${API}/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n`],
  ])("%s: %i, and no job hears of it", async (_what, status, head) => {
    expect(statusOf(await send(`${head}${mine()}${CLOSE}\r\n`))).toBe(status);
    expect(reached()).toEqual([]);
  });

  test("other spellings of a service's own host lead to it alone, by its own access", async () => {
    for (const name of ["OWN.localhost", "own.localhost.", "own.localhost:1"]) {
      expect(statusOf(await send(`GET / HTTP/1.1\r\nHost: ${name}\r\n${CLOSE}\r\n`))).toBe(401);
      expect(statusOf(await send(`GET / HTTP/1.1\r\nHost: ${name}\r\n${mine()}${CLOSE}\r\n`))).toBe(200);
    }
    expect(reached()).toHaveLength(3);
  });

  test("what is below /.taskgate/ reaches no job, and no other spelling of it is answered as the gate", async () => {
    const paths = ["", "/", "/x", "?x", "/session?code=x", "/api/v1/tasks", "/../x"].map((rest) => `/.taskgate${rest}`);
    for (const [name, prefix] of [
      ["own", ""],
      ["pub", ""],
      ["paths", "/pub"],
    ] as const)
      // prettier-ignore
      for (const path of paths) await send(`GET ${prefix}${path} HTTP/1.1\r\n${host(name)}${mine()}${CLOSE}\r\n`);
    expect(reached()).toEqual([]);
    const others = ["/%2etaskgate/session", "/./.taskgate/x", "//.taskgate/x", "/a/../.taskgate/x", "/.TASKGATE/x", "/.taskgate%2fx", "/\\.taskgate/x"]; // prettier-ignore
    for (const path of others)
      expect(await send(`GET ${path} HTTP/1.1\r\n${host("pub")}${CLOSE}\r\n`)).toContain("reached");
    expect(reached().map(({ url }) => url)).toEqual(others);
  });

  test("nobody is given the path where another service's login comes back", async () => {
    const asked = {
      command: [process.execPath, RECORDER],
      directory: folder,
      environment: { SEEN: join(folder, "seen") },
    };
    const services = [{ name: "web", protocol: "http" }];
    const body = JSON.stringify({ ...asked, name: "thief", services, path: "/own/.taskgate/" });
    const headers = { "content-type": "application/json" };
    expect((await gate.ask("taskgate.localhost", `${API}/tasks`, { method: "POST", headers, body })).status).toBe(201);
    await until(async () => (await gate.task("thief")).state === "running", "the thief");
    expect((await gate.task("thief")).problems[0]?.message).toContain(".taskgate");
    await send(`GET /own/.taskgate/session?code=x HTTP/1.1\r\n${host("paths")}${mine()}${CLOSE}\r\n`);
    expect(reached()).toEqual([]);
    await gate.cli("rm", "thief");
  });
});

describe("where a request ends", () => {
  const isAnswered = (answer: string) => answer.includes("\r\n\r\n");
  const post = (rest: string) => `POST / HTTP/1.1\r\n${host("own")}${mine()}${rest}`;

  test.each<[string, string]>([
    ["a length and a coding", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"],
    ["two lengths", "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc"],
    ["a list of lengths", "Content-Length: 3, 3\r\n\r\nabc"],
    ["a signed length", "Content-Length: +3\r\n\r\nabc"],
    ["an endless length", "Content-Length: 99999999999999999999999\r\n\r\nabc"],
    ["a coding before a blank", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
    ["two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["an unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
    ["a coding before chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a folded field", "X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"],
    ["a bare line feed", "X: a\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"],
    ["a bare carriage return", "X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"],
    ["a zero byte", "X: a\0b\r\nContent-Length: 0\r\n\r\n"],
    ["a chunk that ends in bare line feeds", "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n"],
    ["a chunk longer than it says", "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n"],
    ["a chunk of negative length", "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"],
    ["a chunk with an endless extension", `Transfer-Encoding: chunked\r\n\r\n3;${"x".repeat(100_000)}\r\nabc\r\n`],
  ])("%s: refused, and nothing whole reaches a job", async (what, rest) => {
    if (PLANE === "envoy" && TAKEN_BY_ENVOY.has(what)) {
      const socket = await open(post(rest));
      await sleep(300);
      socket.destroy();
      const all = reached();
      expectOneMeaning(all);
      return expect(all.length).toBeLessThanOrEqual(1);
    }
    const answer = await send(post(rest), PLANE === "envoy" ? isAnswered : undefined);
    expect([0, 400, 413, 501]).toContain(statusOf(answer));
    expect(answer.match(/HTTP\/1\.1 \d/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(reached()).toEqual([]);
  });

  test("what follows a refused upgrade is no request, and what follows a request needs a login of its own", async () => {
    const next = "GET /smuggled HTTP/1.1\r\nHost: own.localhost\r\nConnection: close\r\n\r\n";
    const upgrade = `GET /first HTTP/1.1\r\n${host("own")}${mine()}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    await send(upgrade + next);
    expect((await send(`GET /second HTTP/1.1\r\n${host("own")}${mine()}\r\n${next}`)).match(/HTTP\/1\.1 \d+/g)).toEqual(
      ["HTTP/1.1 200", "HTTP/1.1 401"],
    );
    expect(reached().map(({ url }) => url)).toEqual(["/first", "/second"]);
  });

  test("HTTP/2: disagreeing or impossible names, lengths and fields reach no job", async () => {
    const own = `own.localhost:${String(port)}`;
    const login = { "x-taskgate-authorization": `Bearer ${token}` };
    const bad: OutgoingHttpHeaders[] = [
      ...(PLANE === "envoy" ? [] : [{ ":authority": own, host: "pub.localhost" }]),
      { ":authority": `x@${own}` },
      { ":authority": own, ":path": "http://pub.localhost/" },
      { ":authority": own, ":path": "/x HTTP/1.1" },
      { ":authority": own, ":path": "/x\r\nX: y" },
      { ":authority": own, ":path": "/.taskgate/session" },
      { ":authority": own, ":method": "GET /y HTTP/1.1" },
      { ":authority": own, ":method": "FOO" },
      { ":authority": own, "content-length": "20" },
      { ":authority": own, "x-taskgate-service": "pub" },
    ];
    for (const headers of bad) expect(await askHttp2({ ...login, ...headers })).not.toBe(200);
    expect(reached()).toEqual([]);
    if (PLANE === "envoy") await askHttp2({ ...login, ":authority": own, host: "pub.localhost" }); // goes nowhere
    expectOneMeaning(reached());
    expect(await askHttp2({ ...login, ":authority": own, remote_user: "forged", "X-Taskgate-User": "forged" })).toBe(
      200,
    );
    const [request] = reached();
    expect(JSON.stringify(request)).not.toMatch(/remote.user|forged/i);
    expect(request?.rawHeaders.filter((name) => /^x.taskgate.user$/i.test(name))).toHaveLength(1);
  });
});

describe("what a job gets to see", () => {
  test("of a hostile request nothing of the gate's and nothing of who is asking, in head, cookies and trailers", async () => {
    const forged = ["Remote-User", "remote_user", "REMOTE.USER", "X-Forwarded-User", "X_Webauth_User", "X-Taskgate-User", "X_TASKGATE_AUTHORIZATION", "X~Taskgate~Assertion", "Cf-Access-Jwt-Assertion", "Proxy-Authorization"]; // prettier-ignore
    const fields = forged.map((name) => `${name}: forged\r\n`).join("");
    const session = `taskgate-session-${String(port)}=captured`;
    const cookies = [`a=1; ${session}; b=2`, `__Host-Taskgate-x=captured`, `TASKGATE-state=captured;c="x; ${session}"`];
    await send(
      `POST / HTTP/1.1\r\n${host("own")}${fields}Authorization: Bearer ${token}\r\nForwarded: for=forged\r\nX-Forwarded-For: forged\r\n` +
        `${cookies.map((cookie) => `Cookie: ${cookie}\r\n`).join("")}Transfer-Encoding: chunked\r\n` +
        `${PLANE === "envoy" ? CLOSE : "Connection: close, x-forwarded-for, host, x-forwarded-host\r\n"}\r\n3\r\nabc\r\n0\r\n${fields}Cookie: ${session}\r\nAuthorization: Bearer ${token}\r\nX-Sum: kept\r\n\r\n`,
    );
    const [request] = reached();
    expect(JSON.stringify(request)).not.toMatch(/forged|captured|tg_/);
    expect(request?.rawTrailers.map((text) => text.toLowerCase())).toEqual(["x-sum", "kept"]);
    const told = request?.rawHeaders.join("\n") ?? "";
    expect(told).toMatch(/x-forwarded-for\n127\.0\.0\.1/i);
    expect(told).toMatch(/cookie\na=1; b=2.*c="x/i);
  });

  test("a tunnel to a web service, where nothing is taken out, is for its owner alone; none leads elsewhere", async () => {
    const tunnel = (to: string, login = "") => send(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n${login}\r\n`, (answer) => answer.includes("\r\n\r\n")); // prettier-ignore
    expect(statusOf(await tunnel("pub.localhost:80"))).toBe(401);
    expect(statusOf(await tunnel("own.localhost:80"))).toBe(401);
    expect(statusOf(await tunnel("own.localhost:80", mine()))).toBe(200);
    const admin = gate.file().adminAddress ?? "";
    const elsewhere = [`127.0.0.1:${String(port)}`, admin, "169.254.169.254:80", "paths.localhost:80", "x.example:443"];
    for (const to of elsewhere) expect(statusOf(await tunnel(to, mine()))).toBe(404);
    expect(statusOf(await tunnel("taskgate.localhost:80", mine()))).toBe(403);
  });

  test("no variable of the gate's, and of another user's job nothing of the caller's", async () => {
    const own = JSON.parse((await gate.ask("own.localhost", "/environment")).body) as Record<string, string>;
    const known = ["TASKGATE_HOME", "TASKGATE_PORT_0", "TASKGATE_REPLICA", "TASKGATE_TASK"];
    expect(Object.keys(own).filter((name) => name.startsWith("TASKGATE_")).toSorted()).toEqual(known); // prettier-ignore
    const theirs = await gate.cli("run", "--name", "theirs", "--user", "nobody", "--no-wait", "--", "sh", "-c", `cat ${join(gate.home, "token")}; env`); // prettier-ignore
    if (process.getuid?.() !== 0) {
      expect(theirs.stderr).toContain("only a gate that runs as root");
      return;
    }
    await until(async () => !/starting|running/.test((await gate.task("theirs")).state), "its end");
    const { stdout } = await gate.cli("logs", "theirs");
    expect(stdout).toMatch(/USER=nobody/);
    expect(stdout).not.toMatch(/s3cret|SEEN|tg_/);
  });
});

describe("what a job answers", () => {
  const raw = (bytes: string) => `/raw/${Buffer.from(bytes, "latin1").toString("base64url")}`;
  const answer = (fields: string) => raw(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`);

  test("sets no cookie of the gate's or of a sibling's, and speaks in nobody's name", async () => {
    const bad = ["taskgate-session-1=x", "__Host-taskgate-session=x", "=taskgate-state=x", "a=1; Domain=localhost", "a=1; domain = .LOCALHOST", 'a=1; Domain="localhost"', "a=1; Domain=%6cocalhost"]; // prettier-ignore
    const fields = bad.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join("");
    const { headers } = await gate.ask("own.localhost", answer(`${fields}Set-Cookie: ok=1\r\nX-Taskgate-Error: forged\r\n`)); // prettier-ignore
    expect(headers["set-cookie"]).toEqual(["ok=1"]);
    expect(headers["x-taskgate-error"]).toBeUndefined();
  });

  test("to HEAD with announced trailers is passed on", async () => {
    const path = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n");
    expect((await gate.ask("own.localhost", path, { method: "HEAD" })).status).toBe(200);
  });

  test.each<[string, string]>([
    [
      "a length and a coding",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP",
    ],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc"],
    ["an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a split reason", "HTTP/1.1 200 O\rSet-Cookie: taskgate-x=1\r\n\r\n"],
    ["a folded field", "HTTP/1.1 200 OK\r\nX: a\r\n Set-Cookie: b\r\n\r\n"],
    ["a protocol that nobody asked for", "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 99 OK\r\n\r\n"],
    ["a head without end", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(20_000)}`],
    ["no HTTP", "\x16\x03\x01\0\xff".repeat(100)],
    ["nothing", ""],
  ])("%s: 502, for HTTP/1.1, HTTP/2 and WebSockets alike", async (what, bytes) => {
    const path = bytes.length > 1000 ? raw(`${bytes.slice(0, 1000)}\0`) : raw(bytes);
    if (PLANE === "envoy" && HARMLESS_BY_ENVOY.has(what)) {
      const answer = await send(`GET ${path} HTTP/1.1\r\n${host("own")}${mine()}${CLOSE}\r\n`);
      expect(answer).not.toMatch(/^set-cookie:/im);
      expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
      return void reached();
    }
    expect((await gate.ask("own.localhost", path)).status).toBe(502);
    const fields = { ":authority": `own.localhost:${String(port)}`, ":path": path, "x-taskgate-authorization": `Bearer ${token}` }; // prettier-ignore
    expect(await askHttp2(fields)).toBe(502);
    reached();
  });
});

describe("login and API", () => {
  const page = PAGE;
  const json = JSON_BODY;
  const anonymous = true;

  /** The whole way of a browser to a service; `state` is its cookie. */
  async function begin(path = "/deep?x=1"): Promise<{ query: URLSearchParams; state: string }> {
    const sent = await gate.ask("own.localhost", path, { anonymous, headers: page });
    expect(sent.status).toBe(302);
    const to = new URL(sent.headers.location ?? "");
    expect(to.origin).toBe(gate.file().url);
    return { query: to.searchParams, state: (sent.headers["set-cookie"]?.[0] ?? "").split(";")[0] ?? "" };
  }

  async function visit(body: unknown): Promise<{ status: number; location: URL | null }> {
    const answer = await gate.ask("taskgate.localhost", `${API}/visits`, { method: "POST", headers: json, body: JSON.stringify(body) }); // prettier-ignore
    const { location } = JSON.parse(answer.body) as { location?: string };
    if (location !== undefined) secrets.add(new URL(location).searchParams.get("code") ?? "");
    return { status: answer.status, location: location === undefined ? null : new URL(location) };
  }

  const asked = (query: URLSearchParams) => ({ host: query.get("host"), state: query.get("state"), path: query.get("path") }); // prettier-ignore
  const comeBack = (location: URL, cookie: string) => gate.ask(location.hostname, location.pathname + location.search, { anonymous, headers: { ...page, cookie } }); // prettier-ignore

  test("a code is good once, in the browser that began, on its host; its session opens nothing else", async () => {
    const { query, state } = await begin();
    const fixed = await visit(asked(query));
    expect((await comeBack(fixed.location!, "")).status).toBe(403); // another browser, which has no such state
    expect((await comeBack(fixed.location!, state)).status).toBe(401); // and that try has spent it
    const { location } = await visit(asked(query));
    const elsewhere = new URL(location!);
    elsewhere.hostname = "pub.localhost";
    expect((await comeBack(elsewhere, state)).status).toBe(403);

    const good = await visit(asked(query));
    const back = await comeBack(good.location!, state);
    expect([back.status, new URL(back.headers.location ?? "").host]).toEqual([302, query.get("host")]);
    const set = back.headers["set-cookie"]?.[0] ?? "";
    expect(set).toMatch(/; Path=\/; .*HttpOnly; SameSite=Lax/);
    expect(set).not.toMatch(/domain/i);
    const cookie = set.split(";")[0] ?? "";
    secrets.add(cookie.slice(cookie.indexOf("=") + 1));
    expect((await comeBack(good.location!, state)).status).toBe(401); // replayed

    const as = (more: Record<string, string> = {}) => ({ anonymous, headers: { cookie, ...more } });
    expect((await gate.ask("own.localhost", "/", as())).status).toBe(200);
    expect((await gate.ask("paths.localhost", "/own/", as())).status).toBe(401);
    expect((await gate.ask("taskgate.localhost", `${API}/tasks`, as())).status).toBe(401);
    const sibling = { origin: `http://pub.localhost:${String(port)}`, "sec-fetch-site": "same-site" };
    expect((await gate.ask("own.localhost", "/", { ...as(sibling), method: "POST" })).status).toBe(403);
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: ${sibling.origin}\r\nCookie: ${cookie}\r\n`;
    expect(statusOf(await send(`GET / HTTP/1.1\r\n${host("own")}${upgrade}\r\n`))).toBe(403);
    expect(JSON.stringify(reached())).not.toContain(cookie);
  });

  test("no path and no host of a request leads a browser out", async () => {
    for (const path of ["//evil.example/", "/\\evil.example", "/%0d%0aSet-Cookie:x", "/\t/evil.example"]) {
      const answer = await send(`GET ${path} HTTP/1.1\r\n${host("own")}Accept: text/html\r\n${CLOSE}\r\n`);
      const to = /location: (\S+)\r\n/i.exec(answer)?.[1];
      if (to === undefined) expect(statusOf(answer)).toBe(400);
      else expect(new URL(to).origin).toBe(gate.file().url);
    }
    const { query, state } = await begin("//evil.example/x");
    const back = await comeBack((await visit(asked(query))).location!, state);
    expect(new URL(back.headers.location ?? "").host).toBe(query.get("host"));
    const base = asked(query);
    for (const name of [
      "evil.example",
      `own.localhost.evil.example:${String(port)}`,
      `x@own.localhost:${String(port)}`,
      "own.localhost",
      "taskgate.localhost",
    ])
      // prettier-ignore
      expect((await visit({ ...base, host: name })).status).toBe(404);
    for (const path of ["http://evil.example/", "x", "/a\r\nb: c", "/.taskgate/session?code=x"])
      expect((await visit({ ...base, path })).status).toBe(400);
    for (const to of [
      "http://evil.example/",
      "javascript:alert(1)",
      `http://own.localhost.evil.example:${String(port)}/`,
    ]) {
      const body = JSON.stringify({ to });
      expect((await gate.ask("taskgate.localhost", `${API}/links`, { method: "POST", headers: json, body })).status).toBe(400); // prettier-ignore
    }
  });

  test("the API takes no cookie, no query, no other content type, and answers no other origin", async () => {
    const ask = (path: string, more: Parameters<TestGate["ask"]>[2]) => gate.ask("taskgate.localhost", path, more);
    const basic = { authorization: `Basic ${Buffer.from(`root:${token}`).toString("base64")}` };
    expect((await ask(`${API}/tasks`, { anonymous, headers: { cookie: `taskgate=${token}` } })).status).toBe(401);
    expect((await ask(`${API}/tasks?token=${token}`, { anonymous })).status).toBe(401);
    expect((await ask(`${API}/tasks`, { anonymous, headers: basic })).status).toBe(401);
    for (const path of ["//tasks", "/openapi.json/../tasks", "/openapi.json%2f..%2ftasks", "/%74asks", "/x"])
      expect((await ask(API + path, { anonymous })).status).toBe(401);
    const preflight = await ask(`${API}/tasks`, { anonymous, method: "OPTIONS", headers: { origin: "http://evil.example", "access-control-request-method": "POST" } }); // prettier-ignore
    expect(Object.keys(preflight.headers).join()).not.toContain("access-control");
    expect((await ask(`${API}/links`, { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" })).status).toBe(400); // prettier-ignore
    expect((await ask("/.taskgate/ui/../../package.json", {})).status).toBe(404);
    expect((await ask(`${API}/tasks/own/logs?replica=..%2f..%2ftoken`, {})).status).toBe(404);
    const admin = (await fetchAdmin("evil.example")).split("\r\n")[0];
    expect(admin).toContain("421");
  });

  async function fetchAdmin(name: string): Promise<string> {
    const [address = "", adminPort] = (gate.file().adminAddress ?? "").split(":");
    const socket = connect(Number(adminPort), address);
    socket.write(`GET /metrics HTTP/1.1\r\nHost: ${name}\r\n${CLOSE}\r\n`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return text;
  }

  test("bad JSON, however deep or wide, is a short 400", async () => {
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`k${String(at)}`, at])));
    for (const body of [
      `${"[".repeat(500_000)}${"]".repeat(500_000)}`,
      `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`,
      wide,
      "\ufeff",
      "nul",
      '{"to":',
    ].values()) {
      // prettier-ignore
      const answer = await gate.ask("taskgate.localhost", `${API}/links`, { method: "POST", headers: json, body });
      expect(answer.status).toBe(400);
      expect(answer.body.length).toBeLessThan(2000);
    }
    const kind = { command: ["true"], directory: "/", environment: {}, kind: "x\u001b[2J" };
    expect((await gate.ask("taskgate.localhost", `${API}/tasks`, { method: "POST", headers: json, body: JSON.stringify(kind) })).status).toBe(400); // prettier-ignore
  });

  test("none of the gate's own ports can be taken in as a task", async () => {
    const admin = (gate.file().adminAddress ?? "").split(":").at(-1) ?? "";
    for (const own of [String(port), admin]) {
      const ran = await gate.cli("attach", own, "--protocol", "tcp", "--access", "public");
      expect([ran.code === 0, ran.stderr]).toEqual([false, expect.stringContaining("the gate's own")]);
    }
  });
});

describe("bounds", () => {
  test("hundreds of heads that never end are ended, and others are served meanwhile", async () => {
    const slow = await Promise.all(
      Array.from({ length: 400 }, (_, at) => open(at % 2 === 0 ? "" : "GET / HTTP/1.1\r\nX: ")),
    );
    const ended = slow.map((socket) => new Promise((resolve) => socket.resume().once("close", resolve)));
    expect((await gate.ask("own.localhost", "/")).status).toBe(200);
    await Promise.all(ended);
    reached();
  });

  test("beyond its connections the gate says 503, and serves again when there is room", async () => {
    const idle = await Promise.all(Array.from({ length: 600 }, () => open()));
    const refused = PLANE === "envoy" ? 0 : 503; // Envoy takes no connection more, so it says nothing on one
    expect(statusOf(await send(`GET / HTTP/1.1\r\n${host("own")}${CLOSE}\r\n`))).toBe(refused);
    for (const socket of idle) socket.destroy();
    // Envoy breaks off what it has no room for, and hears of one end after the other.
    const ask = () => gate.ask("own.localhost", "/").then(({ status }) => status === 200, () => false); // prettier-ignore
    const all = () => Promise.all(Array.from({ length: 300 }, ask));
    await until(async () => (await all()).every((isServed) => isServed), "room");
    reached();
  });

  test("heads that are too large are refused, and those just below reach the API's socket, too", async () => {
    const head = (size: number) => `GET ${API}/version HTTP/1.1\r\n${host("taskgate")}${mine()}X: ${"a".repeat(size)}\r\n${CLOSE}\r\n`; // prettier-ignore
    // Envoy says 431 and closes: what it has not read by then breaks the connection before its visitor reads.
    expect(statusOf(await send(head(1_000_000)))).toBeOneOf(PLANE === "envoy" ? [0, 431] : [431]);
    expect(statusOf(await send(head(PLANE === "envoy" ? 60_000 : 65_300)))).toBe(200);
  });

  test("of event streams there are 256 at most, and the API answers beside them", async () => {
    const request = `GET ${API}/events HTTP/1.1\r\n${host("taskgate")}${mine()}\r\n`;
    const streams = await Promise.all(Array.from({ length: 300 }, () => open(request)));
    const codes = await Promise.all(
      streams.map(
        (socket) =>
          new Promise((resolve) => socket.once("data", (chunk: Buffer) => resolve(statusOf(chunk.toString())))),
      ),
    );
    expect(codes.filter((code) => code === 200).length).toBeOneOf([255, 256]); // the gate itself may be one of them
    expect(codes.filter((code) => code !== 200 && code !== 503)).toEqual([]);
    expect((await gate.ask("taskgate.localhost", `${API}/version`)).status).toBe(200);
    for (const socket of streams) socket.destroy();
  });

  test("a job that writes without line ends and without pause fills neither memory nor disk", async () => {
    const script = "const b = Buffer.alloc(1 << 20, 97); for (let i = 0; i < 64; i += 1) require('fs').writeSync(1, b)";
    await gate.cli("run", "--name", "loud", "--no-wait", "--", process.execPath, "-e", script);
    await until(async () => (await gate.task("loud")).state === "finished", "the loud job");
    const task = join(gate.home, "tasks", "loud");
    const bytes = readdirSync(task).reduce((sum, name) => sum + statSync(join(task, name)).size, 0);
    expect(bytes).toBeLessThan(40 * 1024 * 1024);
    expect((await gate.cli("logs", "loud", "--tail", "1")).stdout.length).toBeLessThan(70_000);
  });
});

describe("afterwards", () => {
  test("the state folder is for its owner alone, down to every file", () => {
    for (const name of ["", ...readdirSync(gate.home, { recursive: true, encoding: "utf8" })]) {
      const path = join(gate.home, name);
      if (!existsSync(path)) continue; // a temporary file that was renamed meanwhile
      const stat = statSync(path);
      // Pipes and sockets are kept by the folder around them: a job of another user opens its own output anew.
      if (stat.isDirectory() || stat.isFile()) expect([path, stat.mode & 0o077]).toEqual([path, 0]);
    }
  });

  test("no token, code or session is in the gate's log, though all of it was logged", () => {
    const log = readFileSync(join(gate.home, "gate.log"), "utf8");
    expect(log.length).toBeGreaterThan(100);
    expect(secrets.size).toBeGreaterThan(4);
    for (const secret of secrets) expect(log).not.toContain(secret);
    expect(log).not.toMatch(/tg_[a-z2-7]{12}_/);
    expect(log).not.toContain("request failed");
  });
});
