import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { breaksLines, Refusal } from "./head-fields.ts";
import {
  LastSection,
  readRepeatedHead,
  readRequestHead,
  readResponseHead,
  responseFraming,
  type RequestHeadRead,
} from "./read-head.ts";

const BOUNDS = { fields: 10, lineBytes: 200 };

function read(text: string): RequestHeadRead {
  const head = readRequestHead(text, BOUNDS);
  if (head instanceof Refusal) throw new Error(head.reason);
  return head;
}

function refused(text: string): number | null {
  const head = readRequestHead(text, BOUNDS);
  return head instanceof Refusal ? head.status : null;
}

const HOST = "Host: a.localhost\r\n";

describe("fields that come again on a connection", () => {
  const ask = (line: string, fields: string, last: LastSection) =>
    readRequestHead(`${line}\r\n${HOST}${fields}\r\n`, BOUNDS, last);
  const taken = (...of: [string, string, LastSection]): RequestHeadRead => {
    const head = ask(...of);
    if (head instanceof Refusal) throw new Error(head.reason);
    return head;
  };

  test("are read once, and mean the same with every request line", () => {
    const last = new LastSection();
    const first = taken("GET /a HTTP/1.1", "X: y\r\nContent-Length: 4\r\n", last);
    expect(first.fields.repeated).toBe(false);
    const second = taken("POST /longer?b HTTP/1.0", "X: y\r\nContent-Length: 4\r\n", last);
    expect(second.fields).toBe(first.fields);
    expect(second).toMatchObject({ method: "POST", path: "/longer?b", version: "1.0", keepAlive: false });
    expect(second).toMatchObject({ framing: { kind: "length", length: "4" }, fields: { repeated: true } });
    expect(second.fields.joined("x")).toBe("y");
  });

  test("are read anew where a byte differs, after others, and when they were forgotten", () => {
    const last = new LastSection();
    const { fields } = taken("GET / HTTP/1.1", "X: y\r\n", last);
    expect(taken("GET / HTTP/1.1", "X: z\r\n", last).fields.joined("x")).toBe("z");
    expect(taken("GET / HTTP/1.1", "X: y\r\n", last).fields).not.toBe(fields);
    last.forget();
    expect(taken("GET / HTTP/1.1", "X: y\r\n", last).fields.repeated).toBe(false);
  });

  test("are refused again where they or what is asked with them cannot be taken", () => {
    const last = new LastSection();
    const statusOf = (line: string, fields: string) => {
      const head = ask(line, fields, last);
      return head instanceof Refusal ? head.status : null;
    };
    expect([statusOf("GET / HTTP/1.1", "X y\r\n"), statusOf("GET / HTTP/1.1", "X y\r\n")]).toEqual([400, 400]);
    expect(statusOf("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n")).toBeNull();
    expect(statusOf("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n")).toBe(400);
    expect(statusOf("GET / HTTP/1.1\x01", "Transfer-Encoding: chunked\r\n")).toBe(400);
    expect(statusOf("GET http://b.localhost/ HTTP/1.1", "Transfer-Encoding: chunked\r\n")).toBe(400);
    expect(statusOf("CONNECT a.localhost HTTP/1.1", "Transfer-Encoding: chunked\r\n")).toBe(400);
  });
});

describe("a whole head with the fields that came last", () => {
  const FIELDS = `${HOST}Cookie: s=1; t=2\r\n\r\n`;
  const bounds = { ...BOUNDS, headBytes: 300 };
  /** As of a connection on which the fields came twice, or `times` times. */
  const after = (times = 2): LastSection => {
    const last = new LastSection();
    for (let time = 0; time < times; time += 1) readRequestHead(`GET / HTTP/1.1\r\n${FIELDS}`, BOUNDS, last);
    return last;
  };
  /** Bytes of other heads stand behind it where it was read. */
  const readFrom = (text: string, last = after()) =>
    readRepeatedHead(Buffer.from(`${text}${FIELDS}`, "latin1"), text.length, { bounds, last });

  test("is read by its line alone, once they came twice", () => {
    const last = after();
    const [first, second] = [
      readFrom(`GET /a HTTP/1.1\r\n${FIELDS}`, last),
      readFrom(`PUT /b HTTP/1.0\r\n${FIELDS}`, last),
    ];
    expect([first, second]).toMatchObject([
      { path: "/a", keepAlive: true },
      { method: "PUT", path: "/b", keepAlive: false },
    ]);
    expect(first).toMatchObject({ fields: { repeated: true } });
    expect((first as RequestHeadRead).fields).toBe((second as RequestHeadRead).fields);
    expect(readFrom(`GET / HTTP/1.1\r\n${FIELDS}`, after(1))).toBeNull();
    last.forget();
    expect(readFrom(`GET / HTTP/1.1\r\n${FIELDS}`, last)).toBeNull();
  });

  test.each([
    ["another cookie", `GET / HTTP/1.1\r\n${FIELDS.replace("t=2", "t=3")}`],
    ["one more field before them", `GET / HTTP/1.1\r\nX: y\r\n${FIELDS}`],
    ["one more field behind them", `GET / HTTP/1.1\r\n${FIELDS.slice(0, -2)}X: y\r\n\r\n`],
    ["a body behind them", `GET / HTTP/1.1\r\n${FIELDS}x`],
    ["a head before them, of which they are the body", `GET / HTTP/1.1\r\n${HOST}Content-Length: 54\r\n\r\n${FIELDS}`],
    ["another head before them", `GET / HTTP/1.1\r\n${FIELDS}GET / HTTP/1.1\r\n${FIELDS}`],
    ["an empty line before the first", `\r\nGET / HTTP/1.1\r\n${FIELDS}`],
    ["no line at all", FIELDS],
    ["nothing but an empty line", `\r\n${FIELDS}`],
    ["a bare LF", `GET / HTTP/1.1\n${FIELDS}`],
    ["a bare CR in the line", `GET /\r HTTP/1.1\r\n${FIELDS}`],
    ["a line that is too long", `GET /${"a".repeat(200)} HTTP/1.1\r\n${FIELDS}`],
    ["a head that is not whole", `GET / HTTP/1.1\r\n${FIELDS.slice(0, -1)}`],
  ])("is none with %s", (_what, text) => {
    expect(readFrom(text)).toBeNull();
  });

  test("is none where it is longer than a head may be", () => {
    const text = `GET /${"a".repeat(150)} HTTP/1.1\r\n${FIELDS}`;
    const bytes = Buffer.from(text, "latin1");
    const readWithin = (headBytes: number) =>
      readRepeatedHead(bytes, bytes.length, { bounds: { ...bounds, headBytes }, last: after() });
    expect([readWithin(bytes.length), readWithin(bytes.length - 1)]).toMatchObject([{ method: "GET" }, null]);
  });

  test("means what it means to who reads all of it, whatever stands before and in them", () => {
    const line = fc.constantFrom(
      "GET /a HTTP/1.1\r\n",
      "POST / HTTP/1.0\r\n",
      "get / HTTP/1.1\r\n",
      "GET / HTTP/1.1\x01\r\n",
    );
    const piece = fc.constantFrom(
      "",
      "\r\n",
      "\n",
      "\r",
      " ",
      ":",
      "X: y\r\n",
      "\x00",
      "\xff",
      "Content-Length: 9\r\n",
    );
    const edits = fc.array(fc.tuple(piece, fc.nat(90), fc.nat(2)), { maxLength: 2 });
    fc.assert(
      fc.property(line, edits, (start, made) => {
        let text = start + FIELDS;
        for (const [put, at, cut] of made) text = text.slice(0, at) + put + text.slice(at + cut);
        const found = readFrom(text);
        const whole = readRequestHead(text, BOUNDS);
        const meant = (head: typeof whole) => (head instanceof Refusal ? head : { ...head, fields: head.fields.flat });
        if (found !== null) expect(meant(found)).toEqual(meant(whole));
        else expect(made.length).toBeGreaterThan(0);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a request's head", () => {
  test("is read with all that frames it", () => {
    const head = read(`POST /a?b=c HTTP/1.1\r\nHost: A.localhost:80\r\nX-Y:  \t v w \t\r\ncontent-length: 007\r\n\r\n`);
    expect(head).toMatchObject({ method: "POST", path: "/a?b=c", host: "a.localhost:80", version: "1.1" });
    expect(head).toMatchObject({ framing: { kind: "length", length: "7" }, keepAlive: true, upgrade: null });
    expect(head.fields.flat).toEqual(["Host", "A.localhost:80", "X-Y", "v w", "content-length", "007"]);
  });

  test("joins repeated fields, and gives empty ones as such", () => {
    const { fields } = read(`GET / HTTP/1.1\r\n${HOST}A: 1\r\na:2\r\nCookie: x\r\ncookie: y\r\nB:\r\nC: \t\r\n\r\n`);
    expect([fields.joined("a"), fields.joined("cookie")]).toEqual(["1, 2", "x; y"]);
    expect([fields.joined("b"), fields.joined("c"), fields.joined("d")]).toEqual(["", "", undefined]);
  });

  test.each([
    ["GET / HTTP/1.1", "", true],
    ["GET / HTTP/1.1", "Connection: Close\r\n", false],
    ["GET / HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false],
    ["GET / HTTP/1.0", "", false],
    ["GET / HTTP/1.0", "Connection: Keep-Alive\r\n", true],
    ["GET / HTTP/1.0", "Connection: keep-alive, close\r\n", false],
  ])("%s %j keeps its connection: %s", (line, fields, keeps) => {
    expect(read(`${line}\r\n${HOST}${fields}\r\n`).keepAlive).toBe(keeps);
  });

  test.each([
    ["Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"],
    ["Connection: keep-alive, upgrade\r\nUpgrade: thing/2\r\nUpgrade: other\r\n", "thing/2, other"],
    ["Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", "websocket"],
    ["Upgrade: websocket\r\n", null],
    ["Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", null],
    ["Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n", null],
    ["Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", null],
  ])("%j asks for another protocol: %s", (fields, upgrade) => {
    expect(read(`GET / HTTP/1.1\r\n${HOST}${fields}\r\n`).upgrade).toBe(upgrade);
  });

  test.each([
    ["http://a.localhost/x?y", "/x?y"],
    ["HTTPS://A.LOCALHOST?y", "/?y"],
  ])("asks for %s", (target, path) => {
    expect(read(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`).path).toBe(path);
  });

  test("forgives one empty line before it", () => {
    expect(read(`\r\nGET / HTTP/1.1\r\n${HOST}\r\n`).path).toBe("/");
  });

  test.each<[string, string, number]>([
    ["no version", "GET /\r\n", 400],
    ["two spaces", "GET  / HTTP/1.1\r\n", 400],
    ["a tab for a space", "GET\t/ HTTP/1.1\r\n", 400],
    ["a space at the end", "GET / HTTP/1.1 \r\n", 400],
    ["a space at the start", " GET / HTTP/1.1\r\n", 400],
    ["a byte beyond ASCII in the target", "GET /\u00e9 HTTP/1.1\r\n", 400],
    ["a space in the target", "GET /a b HTTP/1.1\r\n", 400],
    ["no target", "GET HTTP/1.1\r\n", 400],
    ["two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n", 400],
    ["a bare LF first", "\nGET / HTTP/1.1\r\n", 400],
    ["a version in lower case", "GET / http/1.1\r\n", 400],
    ["version 2.0", "GET / HTTP/2.0\r\n", 505],
    ["version 1.2", "GET / HTTP/1.2\r\n", 505],
    ["version 0.9", "GET / HTTP/0.9\r\n", 505],
    ["version 1.10", "GET / HTTP/1.10\r\n", 400],
    ["a method in lower case", "get / HTTP/1.1\r\n", 501],
    ["a method that is none", "G@T / HTTP/1.1\r\n", 400],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n", 505],
    ["a long line", `GET /${"x".repeat(200)} HTTP/1.1\r\n`, 414],
    ["a NUL in the target", "GET /\0 HTTP/1.1\r\n", 400],
  ])("refuses a request line with %s", (_what, line, status) => {
    expect(refused(`${line}${HOST}\r\n`)).toBe(status);
  });

  test.each<[string, string, number]>([
    ["a bare LF", "A: 1\nB: 2\r\n", 400],
    ["a bare CR", "A: 1\rB: 2\r\n", 400],
    ["CR CR LF", "A: 1\r\r\n", 400],
    ["a NUL", "A: \0\r\n", 400],
    ["a control byte", "A: \x1b\r\n", 400],
    ["DEL", "A: \x7f\r\n", 400],
    ["obs-fold", "A: 1\r\n 2\r\n", 400],
    ["obs-fold by a tab", "A: 1\r\n\tB: 2\r\n", 400],
    ["space before the colon", "A : 1\r\n", 400],
    ["no colon", "A\r\n", 400],
    ["no name", ": 1\r\n", 400],
    ["a name in quotes", '"A": 1\r\n', 400],
    ["a name beyond ASCII", "\u00e9: 1\r\n", 400],
    ["a long line", `A: ${"x".repeat(200)}\r\n`, 431],
    ["many fields", "A: 1\r\n".repeat(10), 431],
    ["another Host", "Host: a.localhost\r\n", 400],
    ["two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n", 400],
    ["one length twice", "Content-Length: 1\r\ncontent-length: 1\r\n", 400],
    ["a list of lengths", "Content-Length: 1, 1\r\n", 400],
    ["a signed length", "Content-Length: +1\r\n", 400],
    ["a negative length", "Content-Length: -1\r\n", 400],
    ["a length in hex", "Content-Length: 0x1\r\n", 400],
    ["an empty length", "Content-Length:\r\n", 400],
    ["a length beyond all", `Content-Length: ${"9".repeat(16)}\r\n`, 400],
    ["a length and a coding", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400],
    ["a coding and a length", "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400],
    ["a coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501],
    ["a list of codings", "Transfer-Encoding: gzip, chunked\r\n", 501],
    ["identity", "Transfer-Encoding: identity\r\n", 501],
    ["a coding in quotes", 'Transfer-Encoding: "chunked"\r\n', 501],
    ["a coding with a parameter", "Transfer-Encoding: chunked;x=1\r\n", 501],
    ["an empty coding", "Transfer-Encoding:\r\n", 400],
  ])("refuses fields with %s", (_what, fields, status) => {
    expect(refused(`GET / HTTP/1.1\r\n${HOST}${fields}\r\n`)).toBe(status);
    expect(refused(`GET / HTTP/1.1\r\n${HOST}X: 1\r\n${fields}\r\n`)).toBe(status);
  });

  test.each<[string, string, string, number]>([
    ["no Host", "GET / HTTP/1.1", "", 400],
    ["no Host in HTTP/1.0", "GET / HTTP/1.0", "", 400],
    ["an empty Host", "GET / HTTP/1.1", "Host:\r\n", 400],
    ["a Host that is none", "GET / HTTP/1.1", "Host: a/b\r\n", 400],
    ["a fragment", "GET /#x HTTP/1.1", HOST, 400],
    ["a target of another host", "GET http://b.localhost/ HTTP/1.1", HOST, 400],
    ["a target with another port", "GET http://a.localhost:1/ HTTP/1.1", HOST, 400],
    ["a target with a user", "GET http://u@a.localhost/ HTTP/1.1", HOST, 400],
    ["a target of another scheme", "GET ftp://a.localhost/ HTTP/1.1", HOST, 400],
    ["a target that is no path", "GET a.localhost HTTP/1.1", HOST, 400],
    ["* for GET", "GET * HTTP/1.1", HOST, 400],
    ["a CONNECT that disagrees", "CONNECT b.localhost:1 HTTP/1.1", HOST, 400],
    ["a coding in HTTP/1.0", "GET / HTTP/1.0", `${HOST}Transfer-Encoding: chunked\r\n`, 400],
  ])("refuses %s", (_what, line, fields, status) => {
    expect(refused(`${line}\r\n${fields}\r\n`)).toBe(status);
  });
});

describe("a response's head", () => {
  const response = (text: string) => readResponseHead(text, BOUNDS);

  test.each<[string, unknown]>([
    ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", { kind: "length", length: "3" }],
    ["HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", { kind: "chunked" }],
    ["HTTP/1.1 200\r\n\r\n", { kind: "close" }],
    ["HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", { kind: "none" }],
    ["HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", { kind: "none" }],
  ])("%j frames its body", (text, framing) => {
    const head = response(text);
    expect(head instanceof Refusal ? head.reason : responseFraming("GET", head)).toEqual(framing);
    expect(head instanceof Refusal ? head.reason : responseFraming("HEAD", head)).toEqual({ kind: "none" });
  });

  test.each([
    "hello\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    " HTTP/1.1 200 OK\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\n A: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n",
  ])("refuses %j", (text) => {
    expect(response(text)).toBeInstanceOf(Refusal);
  });
});

test.each([
  ["GET / HTTP/1.1\r\nA: 1", false],
  ["GET / HTTP/1.1\r", false],
  ["GET / HTTP/1.1\n", true],
  ["GET / HTTP/1.1\rA", true],
  ["\nGET", false],
])("%j breaks lines: %s", (text, breaks) => {
  expect(breaksLines(text)).toBe(breaks);
});
