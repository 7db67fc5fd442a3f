import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from "vitest";
import { HTTP1_ABORTS } from "../src/dataplanes/envoy/testing/differences/suites.ts";
import { freePort } from "../src/dataplanes/testing/apps.ts";
import { ask, RawClient, valuesOf } from "../src/dataplanes/testing/clients.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { ALLOW } from "../src/dataplanes/testing/test-gatekeeper.ts";
import { PLANE } from "./support/gate.ts";
import { OK, readAnswers, serveRaw, statusOf, valueOf, type RawBackend, type RawConnection } from "./support/raw.ts";
import { playOn, startPlane } from "./support/test-plane.ts";

/**
 * Either side leaves at any moment, by an end (FIN) or a reset (RST): the other hears of it, the visitor gets the right status or a visible
 * break, and afterwards nothing is open any more, in the plane's books or in the system's.
 */

const H = "Host: a.localhost\r\n";
const GET = `GET / HTTP/1.1\r\n${H}\r\n`;
const UPGRADE = `GET / HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const post = (fields: string, body = "") => `POST / HTTP/1.1\r\n${H}${fields}\r\n${body}`;
const BIG = "a".repeat(300_000);
/** Within it, the gate knows of everything that is over. */
const BOOKS_MS = 45_000;

type Way = "FIN" | "RST";
const WAYS = ["FIN", "RST"] as const;

let rig: Rig;
let backend: RawBackend;

const test = playOn("http1-aborts", HTTP1_ABORTS, {
  async pipelined() {
    using client = await RawClient.connect(rig.port, GET + GET);
    const connection = await heard("\r\n\r\n");
    client.socket.resetAndDestroy();
    connection.send(OK);
    await nothingOpen();
  },
  async resets() {
    for (const way of WAYS) {
      backend.hearing = (connection) => {
        connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
        setTimeout(() => leave(connection, way), 30);
      };
      const answer = await ask(rig.port, "a.localhost");
      expect([answer.status, answer.body]).toEqual([200, "abc"]);
    }
  },
});

beforeAll(async () => {
  rig = await startRig(startPlane);
});
afterAll(async () => {
  const deadline = Date.now() + BOOKS_MS;
  while (rig.gatekeeper.open.length > 0 && Date.now() < deadline) await sleep(100);
  const left = rig.gatekeeper.open.length;
  await rig[Symbol.asyncDispose]();
  expect(left).toBe(0);
}, 60_000);

/** In the gate's books. Where Envoy's word that something is over is lost or nobody's, they miss it later (watch/book.ts): at the end. */
async function nothingOpen(): Promise<void> {
  if (PLANE === "embedded") await until(() => rig.gatekeeper.open.length === 0);
}

beforeEach(async () => {
  rig.gatekeeper.checking = () => ALLOW;
  backend = await serveRaw(rig, () => undefined);
});

/** Nothing is open: no flow in the gatekeeper's books, no socket on either side of the plane. */
afterEach(async () => {
  await nothingOpen();
  backend.answering = () => OK;
  backend.hearing = () => undefined;
  backend.greeting = () => undefined;
  expect((await ask(rig.port, "a.localhost", { path: "/control" })).body).toBe("ok");
  await until(() => backend.connections.filter(({ closed }) => !closed).length <= 1); // one is kept for the next request
  await backend[Symbol.asyncDispose]();
  await until(() => openSockets() === 0);
});

const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;

function leave({ socket }: Pick<RawClient, "socket">, way: Way): void {
  if (way === "RST") socket.resetAndDestroy();
  else socket.end();
}

/** A tunnel to the job, through which `hello` goes. */
async function openTunnel(): Promise<RawClient> {
  rig.table.service({
    key: "local/t/raw",
    protocol: "tcp",
    matches: [byHost("t.localhost")],
    endpoints: [backend.address],
  });
  await rig.publish();
  const client = await RawClient.connect(rig.port, "CONNECT t.localhost:80 HTTP/1.1\r\nHost: t.localhost:80\r\n\r\n");
  await until(() => client.received.startsWith("HTTP/1.1 200 "));
  client.send("hello");
  return client;
}

/** The connection on which these bytes came. */
async function heard(text: string): Promise<RawConnection> {
  await until(() => backend.connections.some(({ raw }) => raw.includes(text)));
  return backend.connections.find(({ raw }) => raw.includes(text))!;
}

interface VisitorPhase {
  readonly when: string;
  readonly first: string;
  /** Until the moment has come; gives the job's connection, if it heard of it at all. */
  readonly moment: (client: RawClient) => Promise<RawConnection | null>;
}

const silence = () => new Promise<null>((resolve) => setTimeout(() => resolve(null), 20));
const onceHeard = (text: string) => () => heard(text);
const onceAnswered = (bytes: string, until_: string) => async (client: RawClient) => {
  const connection = await heard("\r\n\r\n");
  connection.send(bytes);
  await until(() => client.received.includes(until_));
  return connection;
};

const VISITOR: readonly VisitorPhase[] = [
  { when: "before a byte", first: "", moment: silence },
  { when: "inside of the request line", first: "GET / HT", moment: silence },
  { when: "inside of the head", first: `GET / HTTP/1.1\r\n${H}X: `, moment: silence },
  { when: "inside of a body with a length", first: post("Content-Length: 9\r\n", "abc"), moment: onceHeard("abc") },
  { when: "inside of a chunk", first: post("Transfer-Encoding: chunked\r\n", "9\r\nabc"), moment: onceHeard("abc") },
  { when: "between chunks", first: post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"), moment: onceHeard("abc") },
  { when: "inside of trailers", first: post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX: "), moment: onceHeard("abc") },
  { when: "before its body, with a length", first: post("Content-Length: 9\r\n"), moment: onceHeard("\r\n\r\n") },
  { when: "while it waits for the answer", first: GET, moment: onceHeard("\r\n\r\n") },
  { when: "while it waits, with its body sent", first: post("Content-Length: 3\r\n", "abc"), moment: onceHeard("abc") },
  { when: "while it waits to be told to go on", first: post("Expect: 100-continue\r\nContent-Length: 9\r\n"), moment: onceHeard("\r\n\r\n") },
  { when: "once it was told to go on", first: post("Expect: 100-continue\r\nContent-Length: 9\r\n"), moment: onceAnswered("HTTP/1.1 100 Continue\r\n\r\n", "100 Continue") },
  { when: "after early hints", first: GET, moment: onceAnswered("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "103 ") },
  { when: "inside of the answer's head", first: GET, moment: async () => { const connection = await heard("\r\n\r\n"); connection.send("HTTP/1.1 200 OK\r\nX: "); await silence(); return connection; } },
  { when: "after the answer's head", first: GET, moment: onceAnswered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "\r\n\r\n") },
  { when: "inside of an answer with a length", first: GET, moment: onceAnswered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "abc") },
  { when: "inside of an answer in chunks", first: GET, moment: onceAnswered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc") },
  { when: "inside of an answer until the end", first: GET, moment: onceAnswered("HTTP/1.1 200 OK\r\n\r\nabc", "abc") },
  { when: "inside of an answer larger than all buffers", first: GET, moment: onceAnswered(`HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n${BIG}`, "aaa") },
  { when: "while its upgrade is asked for", first: UPGRADE, moment: onceHeard("\r\n\r\n") },
  { when: "after 101", first: UPGRADE, moment: onceAnswered(SWITCHED, "101 ") },
  { when: "after 101, with messages under way", first: UPGRADE, moment: onceAnswered(`${SWITCHED}${BIG}`, "aaa") },
  { when: "after 101, with a message that came early", first: `${UPGRADE}early`, moment: onceAnswered(SWITCHED, "101 ") },
  { when: "while a second request waits behind its first", first: GET + GET, moment: onceHeard("\r\n\r\n") },
  { when: "while it uploads and is answered already", first: post("Content-Length: 9\r\n", "abc"), moment: onceAnswered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "abc") },
]; // prettier-ignore

describe("a visitor that leaves", () => {
  const cases = VISITOR.flatMap((phase) => WAYS.map((way) => ({ ...phase, way })));

  test.each(cases)("$when, by $way: the job hears of it", async ({ first, moment, way }) => {
    using client = await RawClient.connect(rig.port, first);
    const connection = await moment(client);
    leave(client, way);
    await until(() => client.over);
    if (connection !== null) await until(() => connection.over);
    // A tunnel's half-close is passed on, and its other half ends when the job says so: here the job has nothing more to say.
    await nothingOpen();
    // Half a head is answered, too: its visitor may only have ended its own half of the connection.
    const refused = readAnswers(client.received, [], false).whole.filter((one) => statusOf(one) >= 400);
    expect(refused.map(statusOf)).toEqual(moment === silence && refused.length > 0 ? [400] : []);
  });

  test.each(WAYS)("between two requests, by %s: the job's connection stays for others", async (way) => {
    backend.answering = () => OK;
    using client = await RawClient.connect(rig.port, GET);
    await until(() => client.received.endsWith("ok"));
    leave(client, way);
    await until(() => client.over);
    expect((await ask(rig.port, "a.localhost")).body).toBe("ok");
    expect(backend.connections).toHaveLength(1);
  });

  test.each(WAYS)("while somebody thinks about whether it may pass, by %s: nobody thinks on", async (way) => {
    let aborted = false;
    rig.gatekeeper.checking = () => ({ kind: "ask" });
    rig.gatekeeper.admitting = (_route, _head, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("left"));
        });
        asked = true;
      });
    let asked = false;
    using client = await RawClient.connect(rig.port, GET);
    await until(() => asked);
    leave(client, way);
    await until(() => aborted && client.over);
    expect(backend.connections).toEqual([]);
    rig.gatekeeper.checking = () => ALLOW;
  });

  test.each(WAYS)("of a tunnel, by %s: both ends close", async (way) => {
    using client = await openTunnel();
    const connection = await heard("hello");
    leave(client, way);
    await until(() => connection.over && client.over);
  });
});

interface JobPhase {
  readonly when: string;
  readonly first?: string;
  /** Sent by the job before it leaves. */
  readonly says?: string;
  /** What it waits for before it does. */
  readonly hears?: string;
  /** What the visitor gets: the gate's status, or a break that is seen. */
  readonly gets: number | "break";
}

const JOB: readonly JobPhase[] = [
  { when: "once it heard the head", gets: 502 },
  { when: "inside of a body with a length", first: post("Content-Length: 9\r\n", "abc"), hears: "abc", gets: 502 },
  { when: "inside of a chunk", first: post("Transfer-Encoding: chunked\r\n", "9\r\nabc"), hears: "abc", gets: 502 },
  { when: "before it says to go on", first: post("Expect: 100-continue\r\nContent-Length: 9\r\n"), gets: 502 },
  { when: "once it said to go on", first: post("Expect: 100-continue\r\nContent-Length: 9\r\n"), says: "HTTP/1.1 100 Continue\r\n\r\n", gets: 502 },
  { when: "after early hints", says: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", gets: 502 },
  { when: "inside of its status line", says: "HTTP/1.1 20", gets: 502 },
  { when: "inside of its head", says: "HTTP/1.1 200 OK\r\nX: ", gets: 502 },
  { when: "after its head", says: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", gets: "break" },
  { when: "inside of a body with a length", says: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", gets: "break" },
  { when: "after a head that says chunks", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", gets: "break" },
  { when: "inside of a chunk", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", gets: "break" },
  { when: "between chunks", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", gets: "break" },
  { when: "inside of trailers", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: ", gets: "break" },
  { when: "inside of a body larger than all buffers", says: `HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n${BIG}`, gets: "break" },
  { when: "while an upgrade is asked for", first: UPGRADE, gets: 502 },
  { when: "inside of 101", first: UPGRADE, says: "HTTP/1.1 101 Switching", gets: 502 },
  { when: "while it answers an upload that goes on", first: post("Content-Length: 9\r\n", "abc"), hears: "abc", says: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", gets: "break" },
]; // prettier-ignore

describe("a job that leaves", () => {
  const cases = JOB.flatMap((phase) => WAYS.map((way) => ({ ...phase, way })));

  test.each(cases)(
    "$when, by $way: its visitor gets $gets",
    async ({ first = GET, says = "", hears = "\r\n\r\n", gets, way }) => {
      backend.hearing = (connection) => {
        if (!connection.raw.includes(hears)) return;
        connection.send(says);
        setImmediate(() => leave(connection, way));
      };
      using client = await RawClient.connect(rig.port, first);
      const final = () => readAnswers(client.received, [], false).whole.filter((one) => statusOf(one) >= 200);
      await until(() => client.over || final().length > 0);
      if (gets === 502) expect(final().map(statusOf)).toEqual([502]);
      else {
        // What was cut off by a reset may have taken the head with it: then the gate may still say 502.
        expect(final().map(statusOf)).toBeOneOf([[], [502]]);
        expect(client.over || final().length === 1).toBe(true);
      }
      await until(() => backend.connections.every(({ over }) => over));
    },
  );

  test.each(WAYS)("at once when it is connected to, by %s: 502", async (way) => {
    backend.greeting = (connection) => leave(connection, way);
    for (const first of [GET, post("Content-Length: 3\r\n", "abc")]) {
      using client = await RawClient.connect(rig.port, first);
      await until(() => client.received.includes("\r\n\r\n"));
      expect(client.received).toMatch(/^HTTP\/1\.1 502 /);
    }
  });

  test("before anybody connects: 502", async () => {
    rig.table.service({ key: "local/gone/web", matches: [byHost("gone.localhost")], endpoints: [{ ip: "127.0.0.1", port: await freePort() }] }); // prettier-ignore
    await rig.publish();
    expect((await ask(rig.port, "gone.localhost")).status).toBe(502);
  });

  test.each(WAYS)("between two requests, by %s: the next one is served on another connection", async (way) => {
    backend.answering = () => OK;
    for (let round = 0; round < 5; round += 1) {
      expect((await ask(rig.port, "a.localhost")).body).toBe("ok");
      const connection = backend.connections.at(-1)!;
      leave(connection, way);
    }
    expect(backend.connections.length).toBeGreaterThanOrEqual(4);
  });

  test.each(WAYS)("after 101, by %s: the visitor gets what was said, and the end", async (way) => {
    using client = await RawClient.connect(rig.port, UPGRADE);
    const connection = await heard("\r\n\r\n");
    connection.send(`${SWITCHED}last words`);
    await until(() => client.received.endsWith("last words"));
    leave(connection, way);
    await until(() => client.over);
    client.socket.end();
    await until(() => connection.over);
  });

  test.each(WAYS)("of a tunnel, by %s: both ends close", async (way) => {
    using client = await openTunnel();
    const connection = await heard("hello");
    leave(connection, way);
    await until(() => client.over);
    client.socket.end();
    await until(() => connection.over);
  });

  test("with its answer until the end, by FIN, is whole; by RST it is not", async () => {
    for (const way of WAYS) {
      backend.hearing = (connection) => {
        connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
        setTimeout(() => leave(connection, way), 30); // what was said is on its way before the reset takes the rest
      };
      using client = await RawClient.connect(rig.port, GET);
      const { whole } = await (async () => {
        await until(() => client.over || readAnswers(client.received).whole.length > 0);
        return readAnswers(client.received);
      })();
      if (way === "FIN") expect(whole.map(({ body }) => body)).toEqual(["abc"]);
      else expect(whole.filter((one) => statusOf(one) === 200)).toEqual([]);
    }
  });
});

describe("the faults that proxies of Node are known for", () => {
  test("trailers are passed on, both ways", async () => {
    backend.answering = () => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"; // prettier-ignore
    const chunks = "3\r\nabc\r\n0\r\nX-Sent: 8\r\n\r\n";
    using client = await RawClient.connect(rig.port, post("TE: trailers\r\nTrailer: X-Sent\r\nTransfer-Encoding: chunked\r\n", chunks)); // prettier-ignore
    await until(() => readAnswers(client.received).whole.length > 0);
    const [answer, request] = [readAnswers(client.received).whole[0]!, backend.connections[0]!.requests.whole[0]!];
    expect([valuesOf(answer.trailers, "x-sum"), valuesOf(request.trailers, "x-sent")]).toEqual([["7"], ["8"]]);
  });

  test("103 is passed on as it comes", async () => {
    backend.hearing = (connection) => connection.send("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n");
    using client = await RawClient.connect(rig.port, GET);
    await until(() => client.received.includes("\r\n\r\n"));
    const told = readAnswers(client.received).whole.map((one) => [statusOf(one), valueOf(one, "link")]);
    expect(told).toEqual([[103, "</x>; rel=preload"]]);
    backend.connections[0]!.send(OK);
    await until(() => client.received.endsWith("ok"));
  });

  test("a client abort reaches upstream", async () => {
    using client = await RawClient.connect(rig.port, GET);
    const connection = await heard("\r\n\r\n");
    client.socket.destroy();
    await until(() => connection.over);
    await nothingOpen();
  });

  test("an upstream that dies in the midst of its body does not hang its visitor, and is not taken for whole", async () => {
    backend.answering = (_request, connection) => {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      setTimeout(() => connection.socket.destroy(), 20);
      return undefined;
    };
    await expect(ask(rig.port, "a.localhost")).rejects.toThrow();
  });

  test("a client's reset during a WebSocket handshake ends nothing but that handshake", async () => {
    for (const first of ["", UPGRADE.slice(0, 30), UPGRADE]) {
      using client = await RawClient.connect(rig.port, first);
      if (first === UPGRADE) await heard("\r\n\r\n");
      client.socket.resetAndDestroy();
      await until(() => client.closed);
    }
    await until(() => backend.connections.every(({ over }) => over));
  });
});
