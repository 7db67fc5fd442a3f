import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect } from "vitest";
import { strippedHeaders } from "../src/auth/headers.ts";
import { HTTP1_REQUESTS } from "../src/dataplanes/envoy/testing/differences/suites.ts";
import { ask, RawClient, valuesOf } from "../src/dataplanes/testing/clients.ts";
import { startRig, until, type Rig, type StartPlane } from "../src/dataplanes/testing/rig.ts";
import { ALLOW } from "../src/dataplanes/testing/test-gatekeeper.ts";
import {
  AND_LAST,
  BROKEN_BODIES,
  CHUNKED,
  chunked,
  get,
  H,
  LAST,
  post,
  REFUSED,
  SMUGGLED,
  type Statuses,
  TAKEN,
  to,
  upgrade,
} from "./support/hostile-requests.ts";
import { exchangeRaw, OK, readAnswers, serveRaw, statusOf, valueOf, written, type RawBackend } from "./support/raw.ts";
import { playOn, startPlane } from "./support/test-plane.ts";

/**
 * Bytes that no honest visitor sends, and answers that no honest job gives, through a real plane. The job is a bare socket that keeps every
 * byte: each case says what the visitor got and exactly what arrived.
 */

let rig: Rig;
let backend: RawBackend;
/** What the gate was asked about: method, host and path. */
let asked: string[];

type Case = (start: StartPlane, what: string, bytes: string) => Promise<void>;
const refusedHere: Case = (_start, _what, bytes) => expectAskedAbout(bytes + SMUGGLED);
const takenHere: Case = (_start, _what, bytes) => expectAskedAbout(bytes + AND_LAST);

const test = playOn("http1-hostile", HTTP1_REQUESTS, {
  ...{ heads: refusedHere, versions: refusedHere, preface: refusedHere, keptOld: refusedHere },
  chunks: (_start, _what: string, bytes: string) => expectAskedAbout(chunked(bytes) + SMUGGLED),
  ...{ targets: takenHere, rootless: takenHere, zeros: takenHere, foreignNames: takenHere, hopNames: takenHere },
  ...{ upgradeBodies: takenHere, upgradeNames: takenHere },
  expectations: (_start, value: string) => expectAskedAbout(`${expecting(value, 3)}abc${AND_LAST}`),
  async upgradeOld() {
    using client = await exchangeRaw(rig.port, `GET / HTTP/1.0\r\n${upgrade("websocket")}\r\n${SMUGGLED}`, answered);
    expect(statuses(client)).toEqual([200]);
    expect(backend.connections.map(({ raw }) => raw.includes("smuggled"))).toEqual([false]);
  },
  async interimOld() {
    backend.hearing = (connection, piece) => {
      if (piece.startsWith("POST ")) connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    };
    using client = await exchangeRaw(rig.port, `${expecting("100-continue", 3).replace("/1.1", "/1.0")}abc`);
    expect(statuses(client)).toEqual([100, 200]);
    expect(await arrived()).toEqual([to("POST / HTTP/1.1", ["content-length: 3", "expect: 100-continue"], "abc")]);
  },
  async foreignNamesForged() {
    await expectForgeriesTakenOut("");
    using client = await exchangeRaw(rig.port, get(`${H}${NOMINATED}`) + SMUGGLED);
    expect(statuses(client)).toEqual([400]);
    expect(await arrived()).toHaveLength(2); // of before
  },
});

beforeAll(async () => {
  rig = await startRig(startPlane);
});
beforeEach(() => {
  asked = [];
});
afterAll(() => rig[Symbol.asyncDispose]());

beforeEach(async () => {
  await (backend as RawBackend | undefined)?.[Symbol.asyncDispose]();
  rig.gatekeeper.checking = (_route, { method, host, path }) => {
    asked.push(`${method} ${host} ${path}`);
    return ALLOW;
  };
  backend = await serveRaw(rig);
});
afterAll(() => backend[Symbol.asyncDispose]());

/** All that arrived whole, once another visitor was answered: the plane lives, and nothing is on its way any more. */
async function arrived(): Promise<string[]> {
  backend.answering = () => OK;
  expect((await ask(rig.port, "a.localhost", { path: "/control" })).body).toBe("ok");
  const all = backend.connections.flatMap((connection) => connection.requests.whole.map(written));
  return all.filter((request) => !request.startsWith("GET /control "));
}

const statuses = (client: RawClient, methods: readonly string[] = []) => {
  const { whole, rest } = readAnswers(client.received, methods, client.over);
  return [...whole.map(statusOf), ...(rest === "" ? [] : [rest])];
};

const withStatus = ([what, bytes, status = [400]]: (typeof REFUSED)[number]): [string, string, Statuses] => [
  what,
  bytes,
  status,
];

/** So long a visitor waits for more where nothing says that all was said. */
const SILENCE_MS = 75;

/**
 * What is sent may be taken: then a job hears whole requests of one meaning, each was asked about by that very meaning before it came, and its
 * visitor has an answer for each.
 */
async function expectAskedAbout(bytes: string): Promise<void> {
  using client = await RawClient.connect(rig.port, bytes);
  for (let before = -1; !client.over && client.received.length !== before;) {
    before = client.received.length;
    await sleep(SILENCE_MS);
  }
  expect((await ask(rig.port, "a.localhost", { path: "/control" })).body).toBe("ok");
  const left = [...asked];
  const heard = backend.connections.flatMap(({ raw, fault, requests }) => {
    expect([fault, raw.includes("\n\n")]).toEqual([null, false]);
    // What Envoy asks again, because a job broke off, was asked about once.
    return requests.whole.filter((request) => !/^[2-9]$/.test(valueOf(request, "x-envoy-attempt-count") ?? ""));
  });
  for (const { start, fields } of heard) {
    const [host = "", ...others] = valuesOf(fields, "host");
    const [method = "", path = ""] = start.split(" ");
    const at = left.indexOf(`${method} ${host.toLowerCase()} ${path}`);
    expect([at >= 0, others, host], `${start} among ${left.join()}`).toEqual([true, [], expect.stringMatching(/^a\.localhost(:\d+)?$/i)]); // prettier-ignore
    left.splice(at, 1);
  }
  // But for the other visitor's; on a busy machine an answer may come after more than that silence.
  const taken = () => readAnswers(client.received, [], client.over).whole.filter((one) => statusOf(one) < 400).length;
  await until(() => heard.length - 1 <= taken());
}

describe("requests that are refused, with what is behind them", () => {
  test.each(REFUSED.map(withStatus))("%s", async (_what, bytes, status) => {
    using client = await exchangeRaw(rig.port, bytes + SMUGGLED);
    const [first, ...others] = statuses(client);
    expect(status).toContain(first);
    expect(others).toEqual([]);
    if (first !== undefined) expect(client.received.toLowerCase()).toContain("x-taskgate-error: ");
    expect(await arrived()).toEqual([]);
    expect(backend.connections).toHaveLength(1); // that of the other visitor: not one byte arrived
  });

  const some = REFUSED.filter(([, bytes], at) => at % 7 === 0 && bytes.length < 1000);
  test.each(some.map(withStatus))("%s, byte by byte", async (_what, bytes, status) => {
    using client = await RawClient.connect(rig.port);
    client.socket.setNoDelay(true);
    for (const byte of bytes) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.send(SMUGGLED);
    await until(() => client.over);
    const [first, ...others] = statuses(client);
    expect(status).toContain(first);
    expect(others).toEqual([]);
    expect(await arrived()).toEqual([]);
  });
});

describe("chunks that are none: the request never becomes whole", () => {
  test.each(BROKEN_BODIES)("%s", async (_what, chunks) => {
    using client = await exchangeRaw(rig.port, chunked(chunks) + SMUGGLED);
    const [first, ...others] = statuses(client);
    expect([400, 413, 431, undefined]).toContain(first); // the refusal, or the end of the connection where the job heard already
    expect(others).toEqual([]);
    expect(await arrived()).toEqual([]);
    await until(() => backend.connections.filter(({ over }) => !over).length === 1); // what the job heard of it is broken off
    for (const { raw, fault } of backend.connections) {
      expect(fault).toBeNull(); // what arrived is the beginning of an honest request
      expect(raw).not.toContain("smuggled");
    }
  });
});

const FRAMING_TRAILERS = ["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close", "Upgrade: x"];

describe("trailers that would change what a message is", () => {
  test.each(FRAMING_TRAILERS)("%s: they do not arrive, whether the request does or not", async (trailer) => {
    const bytes = chunked(`3\r\nabc\r\n0\r\nX-Ok: 1\r\n${trailer}\r\n\r\n`);
    using client = await exchangeRaw(rig.port, bytes + AND_LAST);
    const all = await arrived();
    expect(client.over).toBe(true);
    const clean = [to("POST / HTTP/1.1", CHUNKED, "abc", ["x-ok: 1"]), LAST];
    expect(clean.slice(0, all.length)).toEqual(all);
  });
});

describe("requests that are taken: what arrives, and where they end", () => {
  test.each(TAKEN)("%s", async (_what, bytes, arrives) => {
    using client = await exchangeRaw(rig.port, bytes + AND_LAST);
    expect(statuses(client)).toEqual([...arrives, LAST].map(() => 200));
    expect(await arrived()).toEqual([...arrives, LAST]);
    for (const { requests } of backend.connections) expect(requests.rest).toBe("");
  });
});

const NOMINATED = "Connection: x-taskgate-user, x-forwarded-for, forwarded, via\r\n";
const answered = (client: RawClient) => readAnswers(client.received, [], client.over).whole.length > 0;
const expecting = (value: string, length: number) => post(`Expect: ${value}\r\nContent-Length: ${length}\r\n`);

async function expectForgeriesTakenOut(nominated: string): Promise<void> {
  rig.gatekeeper.checking = (route, head) => ({
    ...ALLOW,
    strip: strippedHeaders(route, head, []),
    set: [["X-Taskgate-User", "visitor"]],
  });
  const forged = ["X-Taskgate-User", "x-taskgate-USER", "X_Taskgate_User", "X.Taskgate.User", "X-Taskgate_User", "X!Taskgate!User", "Remote-User", "Remote_User", "X-Remote-User", "X_Forwarded_User", "X-Taskgate-Groups"]; // prettier-ignore
  const lines = forged.map((name) => `${name}: root\r\n`).join("");
  using client = await exchangeRaw(rig.port, get(`${H}${nominated}${lines}X-Other: 1\r\n`) + AND_LAST);
  expect(statuses(client)).toEqual([200, 200]);
  const [first] = backend.connections.flatMap(({ requests }) => requests.whole);
  expect(written(first!)).toBe(to("GET / HTTP/1.1", ["x-other: 1", "x-taskgate-user: visitor"]));
  const names = first!.fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
  for (const name of ["x-forwarded-for", "forwarded", "via", "x-forwarded-host", "x-forwarded-proto"]) {
    expect([name, names.filter((one) => one === name).length]).toEqual([name, 1]);
  }
  expect(valueOf(first!, "x-forwarded-for")).toBe("127.0.0.1");
  expect(valueOf(first!, "forwarded")).toMatch(/^for="?127\.0\.0\.1(:\d+)?"?;host="a\.localhost";proto=http$/);
}

describe("who a request is from", () => {
  test("the gate alone says who is asking and where from, however a visitor spells it", () =>
    expectForgeriesTakenOut(NOMINATED));

  test("its own cookie is taken out of every cookie field, and what is left is one field", async () => {
    rig.gatekeeper.checking = () => ({ ...ALLOW, stripCookies: ["taskgate-session"] });
    const cookies = "Cookie: a=1; taskgate-session=x; b=2\r\nCookie: taskgate-session=y\r\nCookie: c=3\r\n";
    using client = await exchangeRaw(rig.port, get(H + cookies) + AND_LAST);
    expect(statuses(client)).toEqual([200, 200]);
    expect(await arrived()).toEqual([to("GET / HTTP/1.1", ["cookie: a=1; b=2; c=3"]), LAST]);
  });
});

describe("where a connection ends", () => {
  test.each([
    ["Connection: close", get(`${H}Connection: close\r\n`), [to("GET / HTTP/1.1")]],
    ["Connection: close among others", get(`${H}Connection: x, CLOSE\r\n`), [to("GET / HTTP/1.1")]],
    ["Connection: keep-alive, close", get(`${H}Connection: keep-alive, close\r\n`), [to("GET / HTTP/1.1")]],
    ["Connection: close and a body", post("Connection: close\r\nContent-Length: 3\r\n", "abc"), [to("POST / HTTP/1.1", ["content-length: 3"], "abc")]], // prettier-ignore
    ["HTTP/1.0", `GET / HTTP/1.0\r\n${H}\r\n`, [to("GET / HTTP/1.1")]],
    ["HTTP/1.0 that says close", `GET / HTTP/1.0\r\n${H}Connection: close, keep-alive\r\n\r\n`, [to("GET / HTTP/1.1")]],
  ])("%s: what is behind it is no request", async (_what, bytes, arrives) => {
    using client = await exchangeRaw(rig.port, bytes + SMUGGLED);
    expect(statuses(client).length).toBeLessThanOrEqual(1);
    const all = await arrived();
    expect(arrives.slice(0, all.length)).toEqual(all);
    if (statuses(client)[0] === 200) expect(all).toEqual(arrives);
  });

  test("a refused request ends the pipeline: what was before it is answered, what is behind it never arrives", async () => {
    const bad = get(`${H}X : y\r\n`);
    using client = await exchangeRaw(rig.port, get(H) + post("Content-Length: 3\r\n", "abc") + bad + SMUGGLED);
    const before = [to("GET / HTTP/1.1"), to("POST / HTTP/1.1", ["content-length: 3"], "abc")];
    expect([200, 200, 400]).toEqual(expect.arrayContaining(statuses(client)));
    const all = await arrived();
    expect(before.slice(0, all.length)).toEqual(all); // the refusal may also end what was not answered yet
  });

  test("fifty requests in one packet are answered in order", async () => {
    backend.answering = ({ start }) => `HTTP/1.1 200 OK\r\nContent-Length: ${start.length}\r\n\r\n${start}`;
    const starts = Array.from({ length: 50 }, (_, at) => `GET /${String(at)} HTTP/1.1`);
    using client = await exchangeRaw(rig.port, starts.map((start) => `${start}\r\n${H}\r\n`).join("") + AND_LAST);
    const { whole } = readAnswers(client.received);
    expect(whole.map(({ body }) => body)).toEqual([...starts, "GET /last HTTP/1.1"]);
  });

  test("a HEAD's answer has no body, whatever length it names, and what follows is answered", async () => {
    backend.answering = ({ start }) => (start.startsWith("HEAD") ? OK.slice(0, -2) : OK);
    using client = await exchangeRaw(rig.port, `HEAD / HTTP/1.1\r\n${H}\r\n${AND_LAST}`);
    expect(statuses(client, ["HEAD", "GET"])).toEqual([200, 200]);
  });

  test("an answer that comes before its request is whole leaves no room to smuggle the rest as a request", async () => {
    backend.hearing = (connection, piece) => {
      if (piece.startsWith("POST ")) connection.send(OK);
    };
    backend.answering = () => undefined;
    using client = await RawClient.connect(rig.port, post("Content-Length: 1000\r\n", "a"));
    await until(() => client.received.endsWith("ok") || client.over);
    client.send(SMUGGLED + SMUGGLED); // belongs to the body
    for (let other = 0; other < 3; other += 1) expect(await arrived()).toEqual([]);
    expect(statuses(client)).toEqual([200]);
  });
});

describe("expectations", () => {
  test("a visitor that was never told to go on cannot smuggle its body as a request, nor a request as its body", async () => {
    backend.hearing = (connection) => connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    backend.answering = () => undefined;
    using client = await RawClient.connect(rig.port, expecting("100-continue", SMUGGLED.length));
    await until(() => client.received.includes("\r\n\r\n"));
    client.send(SMUGGLED + SMUGGLED);
    await until(() => client.over);
    expect(statuses(client)).toEqual([403]);
    backend.hearing = () => undefined;
    expect(await arrived()).toEqual([]);
  });

  test.each(["100-continue", "100-Continue"])("%s: the job says when to go on", async (value) => {
    backend.hearing = (connection, piece) => {
      if (piece.startsWith("POST ")) connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    };
    using client = await RawClient.connect(rig.port, expecting(value, 3));
    await until(() => client.received.includes("100 Continue"));
    client.send(`abc${AND_LAST}`);
    await until(() => client.over);
    expect(statuses(client)).toEqual([100, 200, 200]);
    const [first = "", ...others] = await arrived();
    expect(first.toLowerCase()).toBe(to("post / http/1.1", ["content-length: 3", "expect: 100-continue"], "abc"));
    expect(others).toEqual([LAST]);
  });

  test.each(["200-ok", "100-continue, 100-continue", "100-continue=x", ""])(
    "%s is none: it is refused or left out, and never goes on to the job",
    async (value) => {
      using client = await exchangeRaw(rig.port, `${expecting(value, 3)}abc${AND_LAST}`);
      expect([417, 400, 200]).toContain(statuses(client).find((status) => status !== 100));
      const all = (await arrived()).filter((request) => request !== LAST);
      if (all.length > 0) expect(all).toEqual([to("POST / HTTP/1.1", ["content-length: 3"], "abc")]);
    },
  );

  test("HTTP/1.0 has no interim answers", async () => {
    backend.hearing = (connection, piece) => {
      if (piece.startsWith("POST "))
        connection.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    };
    const bytes = `POST / HTTP/1.0\r\n${H}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`;
    using client = await exchangeRaw(rig.port, bytes);
    expect(statuses(client)).toEqual([200]);
    expect(await arrived()).toEqual([to("POST / HTTP/1.1", ["content-length: 3"], "abc")]);
  });
});

describe("upgrades and tunnels", () => {
  const ASKS = get(upgrade("websocket", "Sec-WebSocket-Key: x\r\n"));

  test("bytes that came early reach the job only once it changed protocols", async () => {
    backend.answering = () => undefined;
    using client = await RawClient.connect(rig.port, ASKS + SMUGGLED);
    await until(() => backend.connections.some(({ raw }) => raw.includes("\r\n\r\n")));
    const [connection] = backend.connections;
    expect(connection!.raw).not.toContain("smuggled");
    connection!.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await until(() => connection!.raw.endsWith(SMUGGLED)); // as they were: no request, no fields added
    expect(connection!.raw.indexOf(SMUGGLED)).toBe(connection!.raw.indexOf("\r\n\r\n") + 4);
    client.socket.destroy();
    await until(() => connection!.over);
  });

  test.each(["200 OK", "403 Forbidden", "426 Upgrade Required"])(
    "an upgrade answered with %s: bytes that came early are neither sent on nor taken for a request",
    async (status) => {
      backend.answering = () => `HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`;
      using client = await exchangeRaw(rig.port, ASKS + SMUGGLED);
      expect(statuses(client)).toEqual([Number(status.slice(0, 3))]);
      expect(await arrived()).toEqual([
        to("GET / HTTP/1.1", ["upgrade: websocket", "sec-websocket-key: x"]), // Connection is left out of what is compared
      ]);
    },
  );

  test("HTTP/1.0 knows no upgrade", async () => {
    using client = await exchangeRaw(rig.port, `GET / HTTP/1.0\r\n${upgrade("websocket")}\r\n`);
    expect(statuses(client)).toEqual([200]);
    expect(await arrived()).toEqual([to("GET / HTTP/1.1")]);
  });

  test.each([
    ["a host that no service has", "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", [404]],
    [
      "the job's own address",
      () => `CONNECT 127.0.0.1:${String(backend.address.port)} HTTP/1.1\r\n${H}\r\n`,
      [400, 403, 404],
    ],
    ["a Host that differs", `CONNECT evil.example:80 HTTP/1.1\r\n${H}\r\n`, [400, 403, 404]],
    ["a path", `CONNECT / HTTP/1.1\r\n${H}\r\n`, [400, 404]],
    ["a URL", `CONNECT http://a.localhost/ HTTP/1.1\r\n${H}\r\n`, [400, 404]],
    ["nothing", `CONNECT  HTTP/1.1\r\n${H}\r\n`, [400]],
    ["a user", "CONNECT x@a.localhost:80 HTTP/1.1\r\nHost: a.localhost:80\r\n\r\n", [400, 404]],
    [
      "two framings",
      `CONNECT a.localhost:80 HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc`,
      [400],
    ],
  ])("CONNECT to %s reaches nobody", async (_what, bytes, status) => {
    using client = await exchangeRaw(rig.port, (typeof bytes === "string" ? bytes : bytes()) + SMUGGLED);
    expect(status).toContain(statuses(client)[0]);
    expect(statuses(client)).toHaveLength(1);
    expect(await arrived()).toEqual([]);
  });
});
