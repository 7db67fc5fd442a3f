import { afterAll, beforeAll, beforeEach, describe, expect } from "vitest";
import { HTTP1_ANSWERS } from "../src/dataplanes/envoy/testing/differences/suites.ts";
import { ask, RawClient } from "../src/dataplanes/testing/clients.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { exchangeRaw, OK, readAnswers, serveRaw, statusOf, valueOf, type RawBackend } from "./support/raw.ts";
import { playOn, startPlane } from "./support/test-plane.ts";

/** Answers that no honest job gives: their visitor gets 502 or a visible break, and nobody ever gets what was for another. */

const H = "Host: a.localhost\r\n";
const GET = `GET / HTTP/1.1\r\n${H}\r\n`;
const ASKS = `GET / HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
const HEADER_BYTES = 64 * 1024;
const STALE = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale";

let rig: Rig;
let backend: RawBackend;

/** What a job says is one answer of one meaning, for the visitor who asked, and for nobody else. */
async function expectOneAnswer(_start: unknown, _what: string, bytes: string): Promise<void> {
  answer(bytes);
  using client = await exchangeRaw(rig.port, GET, (one) => readAnswers(one.received).whole.length > 0);
  const { whole, rest } = readAnswers(client.received);
  expect([whole.map(({ body }) => body), rest]).toEqual([["ok"], ""]);
  await expectClean();
}

/** The bare 101 comes through, if at all; what its job says then is for nobody. */
async function expectBareSwitch(_start: unknown, _what: string, bytes: string, ask = GET): Promise<void> {
  answer(bytes);
  using client = await exchangeRaw(rig.port, ask, (one) => one.received.includes(" 101 "));
  await expectClean();
  expect(client.received).not.toContain("hello");
  expect(client.received.toLowerCase()).not.toContain("upgrade:");
}

const test = playOn("http1-hostile-answers", HTTP1_ANSWERS, {
  heads: expectOneAnswer,
  async longStatus(_start, _what: string, bytes: string) {
    answer(bytes);
    using client = await exchangeRaw(rig.port, GET, (one) => one.received.endsWith("ok"));
    expect(client.received).toMatch(/^HTTP\/1\.1 2000 [^]*\r\n\r\nok$/);
    await expectClean();
  },
  bodies: expectOneAnswer,
  unasked: expectBareSwitch,
  upgrades: (start, what: string, bytes: string) => expectBareSwitch(start, what, bytes, ASKS),
  async resets() {
    for (const version of ["HTTP/1.0", "HTTP/1.1"]) {
      answer(ok("", "ok"), "reset");
      using client = await exchangeRaw(rig.port, `GET / ${version}\r\n${H}\r\n`, answeredOnce);
      expect(wholeAnswers(client).map((one) => [statusOf(one), one.body])).toBeOneOf([
        [[200, "ok"]],
        [[502, expect.any(String)]],
        [],
      ]);
      await expectClean();
    }
  },
  async endless(_start, _what: string, bytes: string) {
    const service = { key: "local/a/web", matches: [byHost("a.localhost")], endpoints: [backend.address] };
    rig.table.service({ ...service, policy: { idleTimeoutMs: 300 } });
    await rig.publish();
    answer(bytes);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    expect(wholeAnswers(client).map(statusOf)).toBeOneOf([[504], []]);
    await expectClean();
    await until(() => backend.connections[0]!.over);
  },
  async interim() {
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
    answer(`${hints}HTTP/1.1 100 Continue\r\n\r\n${hints}${OK}`);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    expect(readAnswers(client.received).whole.map(statusOf)).toEqual([103, 200]);
    await expectClean();
  },
  async lengths(_start, { one: [, bytes], more }: Behind) {
    answer(bytes + more);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    expect(wholeAnswers(client).map(statusOf)).toEqual([502]);
    await expectClean();
    expect(client.received).not.toContain("stale");
  },
  async upgradeLines(_start, _what: string, bytes: string) {
    answer(bytes);
    using client = await exchangeRaw(rig.port, ASKS, (one) => one.received.endsWith("hello"));
    expect(readAnswers(client.received).whole.map(statusOf)).toEqual([101]);
    await expectClean();
  },
  async nominated() {
    answer(NOMINATING);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    const [first] = wholeAnswers(client);
    const said = ["x-a", "proxy-authenticate", "upgrade", "keep-alive", "x-b"].map((name) => valueOf(first!, name));
    expect([said, first!.body]).toEqual([["1", "Basic", undefined, undefined, "2"], "ok"]);
  },
});

beforeAll(async () => {
  rig = await startRig(startPlane);
});
afterAll(() => rig[Symbol.asyncDispose]());

beforeEach(async () => {
  await (backend as RawBackend | undefined)?.[Symbol.asyncDispose]();
  backend = await serveRaw(rig);
});
afterAll(() => backend[Symbol.asyncDispose]());

/** The job answers requests for `/` so, all others honestly. */
function answer(bytes: string, then: "end" | "stay" | "reset" = "stay"): void {
  backend.answering = ({ start }, connection) => {
    if (!start.includes(" / ")) return OK;
    connection.send(bytes);
    if (then === "end") connection.socket.end();
    if (then === "reset") connection.socket.resetAndDestroy();
    return undefined;
  };
}

/** Another visitor's answer is its own: nothing of what came before is left anywhere. */
async function expectClean(): Promise<void> {
  for (let at = 0; at < 3; at += 1) {
    const reply = await ask(rig.port, "a.localhost", { path: `/next-${String(at)}` });
    expect([reply.status, reply.body]).toEqual([200, "ok"]);
  }
}

const wholeAnswers = (client: RawClient, method = "GET") =>
  readAnswers(client.received, [method], client.over).whole.filter((one) => statusOf(one) >= 200);
const answeredOnce = (client: RawClient) => wholeAnswers(client).length > 0;

const ok = (fields: string, body = "ok") => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;

const BAD_HEADS: readonly (readonly [what: string, bytes: string])[] = [
  ["two lengths that differ", ok("Content-Length: 2\r\nContent-Length: 5\r\n")],
  ["a list of lengths that differ", ok("Content-Length: 2, 5\r\n")],
  ["a length with a plus", ok("Content-Length: +2\r\n")],
  ["a length with a minus", ok("Content-Length: -2\r\n")],
  ["a length in hex", ok("Content-Length: 0x2\r\n")],
  ["an empty length", ok("Content-Length:\r\n")],
  ["a length with a space inside", ok("Content-Length: 2 2\r\n")],
  ["a length beyond 64 bits", ok("Content-Length: 18446744073709551618\r\n")],
  ["a length and chunks", ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["chunks and a length", ok("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["a coding that nobody takes off", ok("Transfer-Encoding: gzip\r\n")],
  ["a coding under chunked", ok("Transfer-Encoding: gzip, chunked\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["chunked twice", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["chunked twice in a line", ok("Transfer-Encoding: chunked, chunked\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["a coding that only looks like chunked", ok("Transfer-Encoding: xchunked\r\n")],
  ["chunked behind a vertical tab", ok("Transfer-Encoding: \vchunked\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["chunked with a space before its colon", ok("Transfer-Encoding : chunked\r\n", "2\r\nok\r\n0\r\n\r\n")],
  ["chunks in HTTP/1.0", `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ["a bare CR in a value", ok("X: a\rb\r\nContent-Length: 2\r\n")],
  ["a bare LF between fields", ok("X: a\nContent-Length: 2\r\n")],
  ["lines that end in a bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
  ["a status line that ends in a bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"],
  ["a folded line", ok("X: a\r\n b\r\nContent-Length: 2\r\n")],
  ["a NUL in a value", ok("X: a\0b\r\nContent-Length: 2\r\n")],
  ["a control byte in a value", ok("X: a\x01b\r\nContent-Length: 2\r\n")],
  ["a space before a colon", ok("X : a\r\nContent-Length: 2\r\n")],
  ["a line without a colon", ok("X\r\nContent-Length: 2\r\n")],
  ["an empty name", ok(": a\r\nContent-Length: 2\r\n")],
  ["a name with a space", ok("X Y: a\r\nContent-Length: 2\r\n")],
  ["a line that begins with a space", ok(" X: a\r\nContent-Length: 2\r\n")],
  ["version 2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["version 0.9", "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["version 1.2", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["another protocol", "ICY 200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["HTTP/0.9: a body without a head", "<html>hello</html>"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["a status that is no number", "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["a status with a plus", "HTTP/1.1 +200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["no status", "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["a NUL in the reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok"],
  ["a bare CR in the reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"],
  ["a request for an answer", GET],
  ["another protocol of bytes alone", "\x16\x03\x01\x00\x05hello"],
  ["a field beyond the bound", ok(`X: ${"a".repeat(HEADER_BYTES)}\r\nContent-Length: 2\r\n`)],
  ["many small fields beyond the bound", ok(`${"X: y\r\n".repeat(HEADER_BYTES / 5)}Content-Length: 2\r\n`)],
  ["a head beyond the bound that never ends", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(2 * HEADER_BYTES)}`],
  ["a reason beyond the bound that never ends", `HTTP/1.1 200 ${"a".repeat(2 * HEADER_BYTES)}`],
  [
    "101 that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
  ],
  [
    "101 behind 103",
    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
  ],
  ["an interim answer with a body", `HTTP/1.1 103 Early Hints\r\nContent-Length: ${STALE.length}\r\n\r\n${STALE}${OK}`],
  ["an interim answer in chunks", `HTTP/1.1 106 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${OK}`],
  ["interim answers without end", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(20_000)],
  ["continues without end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(20_000)],
];

describe("heads that are none: 502", () => {
  test.each(BAD_HEADS)("%s", async (_what, bytes) => {
    answer(bytes);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    const [first, ...others] = wholeAnswers(client);
    expect([statusOf(first!), valueOf(first!, "x-taskgate-error") !== undefined]).toEqual([502, true]);
    expect(others).toEqual([]);
    expect(client.received).not.toContain("ok");
    await expectClean();
    expect(backend.connections[0]!.over).toBe(true); // and is not used again
  });

  test.each([
    ["nothing at all", ""],
    ["half a status line", "HTTP/1.1 2"],
    ["half a head", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"],
    ["half a field", "HTTP/1.1 200 OK\r\nContent-Le"],
    ["an interim answer alone", "HTTP/1.1 103 Early Hints\r\n\r\n"],
  ])("%s, and then the end", async (_what, bytes) => {
    for (const then of ["end", "reset"] as const) {
      answer(bytes, then);
      using client = await exchangeRaw(rig.port, `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\n\r\na`, answeredOnce);
      expect(wholeAnswers(client).map(statusOf)).toEqual([502]);
      await expectClean();
    }
  });
});

test("a request that may do something twice is asked once, however badly it is answered", async () => {
  for (const bytes of BAD_HEADS.slice(0, 8).map(([, head]) => head)) {
    answer(bytes);
    using client = await exchangeRaw(rig.port, `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\n\r\na`, answeredOnce);
    expect(wholeAnswers(client).map(statusOf)).toEqual([502]);
  }
  const asked = backend.connections.flatMap(({ requests }) => requests.whole.map(({ start }) => start));
  expect(asked).toHaveLength(8);
});

const chunks = (bytes: string) => ok("Transfer-Encoding: chunked\r\n", bytes);

const BROKEN_BODIES: readonly (readonly [what: string, bytes: string, then: "end" | "stay" | "reset"])[] = [
  ["the end before the length", ok("Content-Length: 9\r\n"), "end"],
  ["a reset before the length", ok("Content-Length: 9\r\n"), "reset"],
  ["the end before the last chunk", chunks("2\r\nok\r\n"), "end"],
  ["the end inside of a chunk", chunks("9\r\nok"), "end"],
  ["the end inside of a chunk's size", chunks("2\r\nok\r\n0"), "end"],
  ["the end before the last empty line", chunks("2\r\nok\r\n0\r\n"), "end"],
  ["the end inside of trailers", chunks("2\r\nok\r\n0\r\nX: y\r\n"), "end"],
  ["a reset inside of a chunk", chunks("9\r\nok"), "reset"],
  ["a reset of a body without length", ok("", "ok"), "reset"],
  ["a size that is no number", chunks("2\r\nok\r\nx\r\nok\r\n0\r\n\r\n"), "stay"],
  ["a size with 0x", chunks("2\r\nok\r\n0x2\r\nok\r\n0\r\n\r\n"), "stay"],
  ["a size with a plus", chunks("2\r\nok\r\n+2\r\nok\r\n0\r\n\r\n"), "stay"],
  ["a size behind a space", chunks("2\r\nok\r\n 2\r\nok\r\n0\r\n\r\n"), "stay"],
  ["an empty size", chunks("2\r\nok\r\n\r\nok\r\n0\r\n\r\n"), "stay"],
  ["a size beyond 64 bits", chunks("2\r\nok\r\n10000000000000002\r\nok\r\n0\r\n\r\n"), "stay"],
  ["a size that ends in a bare LF", chunks("2\r\nok\r\n2\nok\r\n0\r\n\r\n"), "stay"],
  ["an extension with a bare LF", chunks("2\r\nok\r\n2;a\nb\r\nok\r\n0\r\n\r\n"), "stay"],
  ["an extension without end", chunks(`2\r\nok\r\n2;${"a".repeat(2 * HEADER_BYTES)}`), "stay"],
  ["a chunk longer than it said", chunks("2\r\nok!\r\n0\r\n\r\n"), "stay"],
  ["a chunk that ends in a bare LF", chunks("2\r\nok\n0\r\n\r\n"), "stay"],
  ["a last chunk that ends in a bare LF", chunks("2\r\nok\r\n0\n\r\n"), "stay"],
  ["a trailer with a space before its colon", chunks("2\r\nok\r\n0\r\nX : y\r\n\r\n"), "stay"],
  ["a trailer with a bare LF", chunks("2\r\nok\r\n0\r\nX: y\nZ: z\r\n\r\n"), "stay"],
  ["trailers beyond the bound", chunks(`2\r\nok\r\n0\r\n${`X: ${"y".repeat(50)}\r\n`.repeat(3000)}\r\n`), "stay"],
  ["an answer for a trailer", chunks(`2\r\nok\r\n0\r\n${STALE}`), "stay"],
];

describe("bodies that break: their visitor sees it", () => {
  test.each(BROKEN_BODIES)("%s", async (_what, bytes, then) => {
    answer(bytes, then);
    using client = await exchangeRaw(rig.port, GET, (one) => wholeAnswers(one).some((each) => statusOf(each) !== 200));
    if (client.error === null && client.over) {
      // Whole is what ends by its framing: a broken one has to lack its end, or all of itself, or be the gate's own 502.
      const { whole, rest } = readAnswers(client.received);
      expect([whole.map(statusOf), rest]).toBeOneOf([
        [[], expect.any(String)],
        [[502], ""],
      ]);
    } else if (client.error === null) expect(wholeAnswers(client).map(statusOf)).toEqual([502]);
    await expectClean();
    expect(backend.connections[0]!.over).toBe(true);
  });

  test.each(["HTTP/1.0 visitor", "HTTP/1.1 visitor"])(
    "a body without length that is reset is never whole for an %s",
    async (who) => {
      answer(ok("", "ok"), "reset");
      using client = await exchangeRaw(rig.port, `GET / ${who.slice(0, 8)}\r\n${H}\r\n`);
      const { whole, rest } = readAnswers(client.received);
      const broken = client.error === "ECONNRESET" || rest !== "" || whole.map(statusOf)[0] === 502;
      expect([broken, client.received]).toEqual([true, client.received]);
    },
  );
});

const NOMINATING = ok(
  "Connection: x-a, keep-alive\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-B: 2\r\nContent-Length: 2\r\n",
);

const OTHERS: readonly (readonly [what: string, bytes: string, status: number, body: string])[] = [
  ["a body of a length", ok("Content-Length: 2\r\n"), 200, "ok"],
  ["chunks", chunks("2\r\nok\r\n0\r\n\r\n"), 200, "ok"],
  ["no body by its length", ok("Content-Length: 0\r\n", ""), 200, ""],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""],
  ["204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, ""],
  ["304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""],
];
const BEHIND: readonly (readonly [what: string, bytes: string])[] = [
  ["another answer", STALE],
  ["garbage", "garbage"],
  ["one byte", "x"],
  ["an interim answer", "HTTP/1.1 103 Early Hints\r\n\r\n"],
  ["a 408", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"],
  ["an end of a line", "\r\n"],
];

interface Behind {
  readonly one: (typeof OTHERS)[number];
  readonly what: string;
  readonly more: string;
}

describe("what is behind an answer is for nobody", () => {
  const both: Behind[] = OTHERS.flatMap((one) =>
    BEHIND.map(([what, more]) => ({ one, what: `${what} behind ${one[0]}`, more })),
  );
  test.each(both)("$what", async ({ one: [, bytes, status, body], more }) => {
    answer(bytes + more);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    const [first] = wholeAnswers(client);
    expect([statusOf(first!), first!.body]).toEqual([status, body]);
    await expectClean();
    expect(client.received).not.toContain("stale");
    expect(readAnswers(client.received, [], client.over).whole).toHaveLength(1);
    await until(() => backend.connections[0]!.over);
  });

  test.each(BEHIND)("%s behind the answer to a HEAD", async (_what, more) => {
    answer(ok("Content-Length: 5\r\n", "") + more);
    using client = await exchangeRaw(
      rig.port,
      `HEAD / HTTP/1.1\r\n${H}\r\n`,
      (one) => wholeAnswers(one, "HEAD").length > 0,
    );
    expect(wholeAnswers(client, "HEAD").map(statusOf)).toEqual([200]);
    await expectClean();
    expect(readAnswers(client.received, ["HEAD"], client.over).rest).toBe("");
  });

  test.each(BEHIND)("%s on a connection that waits for its next request", async (_what, more) => {
    await expectClean();
    const [connection] = backend.connections;
    connection!.send(more);
    await until(() => connection!.over);
    await expectClean();
  });

  test("an answer that a job gives before it was asked is for nobody", async () => {
    backend.greeting = (connection) => connection.send(STALE);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    const [first] = wholeAnswers(client);
    expect([502, 200]).toContain(statusOf(first!)); // 200 where both crossed: nobody can tell then
    backend.greeting = () => undefined;
    await expectClean();
  });

  test("an answer to a request that its visitor gave up is for nobody", async () => {
    backend.answering = ({ start }) => (start.includes("/next") ? OK : undefined);
    {
      using client = await RawClient.connect(rig.port, GET);
      await until(() => backend.connections.some(({ raw }) => raw.includes("\r\n\r\n")));
      client.socket.resetAndDestroy();
    }
    const [connection] = backend.connections;
    connection!.send(STALE);
    await until(() => connection!.over);
    await expectClean();
  });
});

describe("answers to an upgrade", () => {
  test.each([
    ["no Upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\nhello"],
    ["a bare LF", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\nConnection: Upgrade\r\n\r\nhello"],
    ["a space before a colon", "HTTP/1.1 101 X\r\nUpgrade : websocket\r\nConnection: Upgrade\r\n\r\nhello"],
    ["HTTP/2's own upgrade", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nhello"],
  ])("101 with %s is none: 502", async (_what, bytes) => {
    answer(bytes);
    using client = await exchangeRaw(rig.port, ASKS, answeredOnce);
    expect(wholeAnswers(client).map(statusOf)).toEqual([502]);
    expect(client.received).not.toContain("hello");
    await until(() => backend.connections[0]!.over);
    await expectClean();
  });
});

describe("what a job may not say to its visitor", () => {
  test("fields of its own connection, and those it nominates, end here", async () => {
    answer(NOMINATING);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    const [first] = wholeAnswers(client);
    for (const name of ["x-a", "proxy-authenticate", "upgrade"]) expect(valueOf(first!, name)).toBeUndefined();
    expect([valueOf(first!, "x-b"), first!.body]).toEqual(["2", "ok"]);
  });

  test("a Connection that nominates framing or the gate's fields changes neither", async () => {
    answer(ok("Connection: content-length, set-cookie\r\nContent-Length: 2\r\n"));
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    expect(wholeAnswers(client).map(({ body }) => body)).toEqual(["ok"]);
  });

  test("trailers carry no cookie, framing or mark of the gate", async () => {
    answer(
      chunks(
        "2\r\nok\r\n0\r\nX-Ok: 1\r\nSet-Cookie: a=b\r\nX-Taskgate-Error: x\r\nX_Taskgate_Error: x\r\nConnection: close\r\n\r\n",
      ),
    );
    using client = await exchangeRaw(rig.port, GET, (one) => answeredOnce(one) || one.over);
    const [first] = wholeAnswers(client);
    if (first !== undefined && statusOf(first) === 200) {
      expect(first.trailers.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())).toEqual(["x-ok"]);
    }
    await expectClean();
  });

  test("a reason of odd bytes and an empty one pass, and never split a line", async () => {
    for (const reason of [" Ok\xe9", " ", ""]) {
      answer(`HTTP/1.1 200${reason}\r\nContent-Length: 2\r\n\r\nok`);
      using client = await exchangeRaw(rig.port, GET, answeredOnce);
      expect(wholeAnswers(client).map(({ body }) => body)).toEqual(["ok"]);
    }
    await expectClean();
  });

  test("interim answers pass, in their order, before the one that counts", async () => {
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
    answer(`HTTP/1.1 100 Continue\r\n\r\n${hints}${hints}${OK}`);
    using client = await exchangeRaw(rig.port, GET, answeredOnce);
    const all = readAnswers(client.received)
      .whole.map(statusOf)
      .filter((status) => status !== 100);
    expect(all).toEqual([103, 103, 200]);
    await expectClean();
  });
});
