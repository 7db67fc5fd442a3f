import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { strippedHeaders } from "../src/auth/headers.ts";
import { startTestPlane } from "../src/dataplanes/embedded/testing/start-plane.ts";
import { ask, RawClient } from "../src/dataplanes/testing/clients.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { ALLOW } from "../src/dataplanes/testing/test-gatekeeper.ts";
import { exchangeRaw, OK, readAnswers, serveRaw, statusOf, valueOf, written, type RawBackend } from "./support/raw.ts";

/**
 * Bytes that no honest visitor sends, and answers that no honest job gives, through a real plane. The job is a bare socket that keeps every
 * byte: each case says what the visitor got and exactly what arrived.
 */

const H = "Host: a.localhost\r\n";
/** What would be smuggled: behind every refused request, and never to arrive. */
const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${H}\r\n`;
const get = (fields: string) => `GET / HTTP/1.1\r\n${fields}\r\n`;
const post = (fields: string, body = "") => `POST / HTTP/1.1\r\n${H}${fields}\r\n${body}`;
const chunked = (chunks: string) => post("Transfer-Encoding: chunked\r\n", chunks);
const HEADER_BYTES = 64 * 1024;

let rig: Rig;
let backend: RawBackend;

beforeAll(async () => {
  rig = await startRig(startTestPlane);
});
afterAll(() => rig[Symbol.asyncDispose]());

beforeEach(async () => {
  await (backend as RawBackend | undefined)?.[Symbol.asyncDispose]();
  rig.gatekeeper.checking = () => ALLOW;
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

type Statuses = readonly (number | undefined)[];
/** What does not even say HTTP: its connection may also end without a word. */
const NO_HTTP = [400, 505, undefined];
const F16 = "f".repeat(16);
const LONG = "a".repeat(HEADER_BYTES);

const REFUSED: readonly (readonly [what: string, bytes: string, status?: Statuses])[] = [
  // Two ways to say where the body ends.
  ["a length before chunks (CL.TE)", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG")],
  [
    "chunks before a length (TE.CL)",
    post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "8\r\nSMUGGLED\r\n0\r\n\r\n"),
  ],
  ["chunks and a length of zero", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["two lengths that differ (CL.CL)", post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc")],
  ["the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")],
  ["a list of lengths", post("Content-Length: 3, 3\r\n", "abc")],
  ["a list of lengths that differ", post("Content-Length: 3,0\r\n", "abc")],
  ["a length with a plus", post("Content-Length: +3\r\n", "abc")],
  ["a length with a minus", post("Content-Length: -3\r\n", "abc")],
  ["a length of minus zero", post("Content-Length: -0\r\n", "")],
  ["a length with a space inside", post("Content-Length: 1 3\r\n", "abc")],
  ["a length in hex", post("Content-Length: 0x3\r\n", "abc")],
  ["a length with a fraction", post("Content-Length: 3.0\r\n", "abc")],
  ["a length with an exponent", post("Content-Length: 3e0\r\n", "abc")],
  ["a length with an underscore", post("Content-Length: 1_0\r\n", "abc")],
  ["a length with a parameter", post("Content-Length: 3;q=1\r\n", "abc")],
  ["a length in quotes", post('Content-Length: "3"\r\n', "abc")],
  ["an empty length", post("Content-Length:\r\n", "abc")],
  ["a length of spaces", post("Content-Length:   \r\n", "abc")],
  ["a length with a vertical tab", post("Content-Length: \v3\r\n", "abc")],
  ["a length with a form feed behind it", post("Content-Length: 3\f\r\n", "abc")],
  ["a length with a no-break space", post("Content-Length: \xa03\r\n", "abc")],
  ["a length beyond 64 bits, which wraps to 3", post("Content-Length: 18446744073709551619\r\n", "abc")],
  ["a length beyond everything", post(`Content-Length: ${"9".repeat(60)}\r\n`, "abc")],
  // Transfer codings that one end may see and another may not (TE.TE).
  ["a coding that only looks like chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked twice in a line", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), [400, 501]],
  [
    "chunked twice in two lines",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    [400, 501],
  ],
  [
    "chunked, and then identity",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
    [400, 501],
  ],
  ["identity, and then chunked", post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"), [400, 501]],
  ["identity", post("Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc"), [400, 501]],
  ["a coding under chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked under a coding", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), [400, 501]],
  ["an empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), [400, 501]],
  ["an empty coding beside a length", post("Transfer-Encoding:\r\nContent-Length: 5\r\n", "0\r\n\r\n"), [400, 501]],
  ["an empty element before chunked", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked with a parameter", post("Transfer-Encoding: chunked;foo=bar\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked in quotes", post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"), [400, 501]],
  ["chunked behind a vertical tab", post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked before a tab", post("Transfer-Encoding: chunked\t\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked before a NUL", post("Transfer-Encoding: chunked\0\r\n", "0\r\n\r\n"), [400, 501]],
  ["chunked with a space before its colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")],
  ["chunked with a tab before its colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n")],
  ["chunked on a folded line", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")],
  ["chunked behind a folded line's start", post("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["chunked behind a bare LF", post("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["chunked behind a bare CR", post("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["chunked behind an empty line of a bare LF", post("X: y\r\n\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["chunked with an odd byte in its name", post("Transfer\xadEncoding: chunked\r\n", "0\r\n\r\n")],
  ["chunked with a space in its name", post("Transfer Encoding: chunked\r\n", "0\r\n\r\n")],
  ["chunks in HTTP/1.0", `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  [
    "chunks in HTTP/1.0 with a length",
    `POST / HTTP/1.0\r\n${H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  // Lines.
  ["lines that end in a bare LF", `GET / HTTP/1.1\nHost: a.localhost\n\n`],
  ["a request line that ends in a bare LF", `GET / HTTP/1.1\nHost: a.localhost\r\n\r\n`],
  ["a head that ends in a bare LF", `GET / HTTP/1.1\r\nHost: a.localhost\r\n\n`],
  ["a head that ends in CR LF CR X", `GET / HTTP/1.1\r\nHost: a.localhost\r\n\rX`],
  ["a bare CR in the request line", `GET /\rX HTTP/1.1\r\n${H}\r\n`],
  ["a bare CR in a value", get(`${H}X: a\rb\r\n`)],
  ["a bare CR at the end of a value", get(`${H}X: a\r\r\n`)],
  ["a bare LF in a value", get(`${H}X: a\nb\r\n`)],
  ["a NUL in a value", get(`${H}X: a\0b\r\n`)],
  ["a NUL in a name", get(`${H}X\0Y: a\r\n`)],
  ["a NUL in the target", `GET /\0 HTTP/1.1\r\n${H}\r\n`],
  ["a control byte in a value", get(`${H}X: a\x01b\r\n`)],
  ["a backspace in a value", get(`${H}X: a\bb\r\n`)],
  ["an escape in a value", get(`${H}X: a\x1b[2J\r\n`)],
  ["a delete in a value", get(`${H}X: a\x7fb\r\n`)],
  ["a folded line", get(`${H}X: a\r\n b\r\n`)],
  ["a line folded with a tab", get(`${H}X: a\r\n\tb\r\n`)],
  ["a folded line of spaces alone", get(`${H}X: a\r\n   \r\n`)],
  ["a space before a colon", get(`${H}X : a\r\n`)],
  ["a line that begins with a space", `GET / HTTP/1.1\r\n X: a\r\n${H}\r\n`],
  ["a line without a colon", get(`${H}X\r\n`)],
  ["a line of a colon alone", get(`${H}:\r\n`)],
  ["an empty name", get(`${H}: a\r\n`)],
  ["a name with a space", get(`${H}X Y: a\r\n`)],
  ["a name in brackets", get(`${H}[X]: a\r\n`)],
  ["a name with a slash", get(`${H}X/Y: a\r\n`)],
  ["a name with an at", get(`${H}X@Y: a\r\n`)],
  ["a name of odd bytes", get(`${H}X\xe9: a\r\n`)],
  // The request line.
  ["HTTP/0.9", "GET /\r\n", NO_HTTP],
  ["HTTP/0.9 with fields", `GET /\r\n${H}\r\n`, NO_HTTP],
  ["version 0.9 in words", `GET / HTTP/0.9\r\n${H}\r\n`, [400, 505]],
  ["version 1.2", `GET / HTTP/1.2\r\n${H}\r\n`, [400, 505]],
  ["version 1.10", `GET / HTTP/1.10\r\n${H}\r\n`, [400, 505]],
  ["version 01.1", `GET / HTTP/01.1\r\n${H}\r\n`, [400, 505]],
  ["version 1", `GET / HTTP/1\r\n${H}\r\n`, [400, 505]],
  ["version 2.0", `GET / HTTP/2.0\r\n${H}\r\n`, [400, 505]],
  ["version 3.0", `GET / HTTP/3.0\r\n${H}\r\n`, [400, 505]],
  ["version 1.1x", `GET / HTTP/1.1x\r\n${H}\r\n`, [400, 505]],
  ["version +1.1", `GET / HTTP/+1.1\r\n${H}\r\n`, [400, 505]],
  ["a version in small letters", `GET / http/1.1\r\n${H}\r\n`, NO_HTTP],
  ["another protocol's version", `GET / RTSP/1.0\r\n${H}\r\n`, NO_HTTP],
  ["no space before the version", `GET /HTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["a space behind the version", `GET / HTTP/1.1 \r\n${H}\r\n`, NO_HTTP],
  ["a tab behind the version", `GET / HTTP/1.1\t\r\n${H}\r\n`],
  ["something behind the version", `GET / HTTP/1.1 X\r\n${H}\r\n`, NO_HTTP],
  ["two spaces behind the method", `GET  / HTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["two spaces before the version", `GET /  HTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["tabs for spaces", `GET\t/\tHTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["a space in the target", `GET /a b HTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["a space before the method", ` GET / HTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["no method", ` / HTTP/1.1\r\n${H}\r\n`, NO_HTTP],
  ["a method in small letters", `get / HTTP/1.1\r\n${H}\r\n`, [400, 501]],
  ["a method that is no token", `G@T / HTTP/1.1\r\n${H}\r\n`],
  ["a method with a NUL", `G\0T / HTTP/1.1\r\n${H}\r\n`],
  ["a method in quotes", `"GET" / HTTP/1.1\r\n${H}\r\n`],
  ["a method with a colon", `GET: / HTTP/1.1\r\n${H}\r\n`],
  ["a method of thousands of letters", `${"G".repeat(9000)} / HTTP/1.1\r\n${H}\r\n`, [400, 431, 501]],
  ["the preface of HTTP/2, begun and not ended", `PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n`, [400, 505]],
  ["an answer for a request", `HTTP/1.1 200 OK\r\n${H}\r\n`, NO_HTTP],
  ["a tab in the target", `GET /a\tb HTTP/1.1\r\n${H}\r\n`],
  ["a control byte in the target", `GET /a\x01b HTTP/1.1\r\n${H}\r\n`],
  ["a delete in the target", `GET /a\x7fb HTTP/1.1\r\n${H}\r\n`],
  ["a target with a fragment", `GET /#x HTTP/1.1\r\n${H}\r\n`],
  ["a target that is no path", `GET a HTTP/1.1\r\n${H}\r\n`],
  ["a target of a host alone", `GET a.localhost:80 HTTP/1.1\r\n${H}\r\n`],
  ["a star for a GET", `GET * HTTP/1.1\r\n${H}\r\n`],
  // Who is asked for.
  ["no Host", get("")],
  ["no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  ["two Hosts that agree", get(H + H)],
  ["two Hosts that differ", get(`${H}Host: b.localhost\r\n`)],
  ["a Host spelled with a space behind it, beside another", get(`${H}Host : b.localhost\r\n`)],
  ["an empty Host", get("Host:\r\n")],
  ["a Host of spaces", get("Host:  \r\n")],
  ["a list of Hosts", get("Host: a.localhost, a.localhost\r\n")],
  ["a Host with a space", get("Host: a.localhost b\r\n")],
  ["a Host with a tab", get("Host: a.localhost\tb\r\n")],
  ["a Host with a user", get("Host: x@a.localhost\r\n")],
  ["a Host with a path", get("Host: a.localhost/x\r\n")],
  ["a Host with a scheme", get("Host: http://a.localhost\r\n")],
  ["a Host with a question", get("Host: a.localhost?x\r\n")],
  ["a Host with a backslash", get("Host: a.localhost\\x\r\n")],
  ["a Host with percents", get("Host: %61.localhost\r\n")],
  ["a Host of odd bytes", get("Host: \xe4.localhost\r\n")],
  ["a Host with a NUL", get("Host: a.localhost\0.evil\r\n")],
  ["a Host with a port that is none", get("Host: a.localhost:http\r\n")],
  ["a Host with a port too high", get("Host: a.localhost:65536\r\n")],
  ["a Host with two ports", get("Host: a.localhost:80:80\r\n")],
  ["a Host with an address cut short", get("Host: [::1\r\n")],
  ["a target of another host than Host", `GET http://b.localhost/ HTTP/1.1\r\n${H}\r\n`],
  ["a target of another port than Host", `GET http://a.localhost:1/ HTTP/1.1\r\n${H}\r\n`],
  ["a target with a user", `GET http://x@a.localhost/ HTTP/1.1\r\n${H}\r\n`],
  ["a target without a host", `GET http:///x HTTP/1.1\r\n${H}\r\n`],
  ["a target of another scheme", `GET ftp://a.localhost/ HTTP/1.1\r\n${H}\r\n`],
  ["a target of a script", `GET javascript:alert(1) HTTP/1.1\r\n${H}\r\n`],
  ["a target with a host, and no Host", "GET http://a.localhost/ HTTP/1.1\r\n\r\n"],
  // Bounds.
  ["a field beyond the bound", get(`${H}X: ${LONG}\r\n`), [431]],
  ["a name beyond the bound", get(`${H}${LONG}: x\r\n`), [431]],
  ["a target beyond the bound", `GET /${LONG} HTTP/1.1\r\n${H}\r\n`, [414, 431]],
  ["many small fields beyond the bound", get(H + "X: y\r\n".repeat(HEADER_BYTES / 5)), [431]],
  ["a head beyond the bound that never ends", `GET / HTTP/1.1\r\n${H}X: ${LONG}`, [431]],
  ["a request line beyond the bound that never ends", `GET /${LONG}`, [414, 431]],
];

const withStatus = ([what, bytes, status = [400]]: (typeof REFUSED)[number]): [string, string, Statuses] => [
  what,
  bytes,
  status,
];

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

const BROKEN_BODIES: readonly (readonly [what: string, bytes: string])[] = [
  ["a size that is no number", "x\r\nabc\r\n0\r\n\r\n"],
  ["an empty size", "\r\nabc\r\n0\r\n\r\n"],
  ["a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"],
  ["a size with a plus", "+3\r\nabc\r\n0\r\n\r\n"],
  ["a size with a minus", "-3\r\nabc\r\n0\r\n\r\n"],
  ["a size behind a space", " 3\r\nabc\r\n0\r\n\r\n"],
  ["a size before a space", "3 \r\nabc\r\n0\r\n\r\n"],
  ["a size before a tab", "3\t\r\nabc\r\n0\r\n\r\n"],
  ["a size with a comma", "3,3\r\nabc\r\n0\r\n\r\n"],
  ["a size with a fraction", "3.0\r\nabc\r\n0\r\n\r\n"],
  ["a size beyond 64 bits, which wraps to 3", "10000000000000003\r\nabc\r\n0\r\n\r\n"],
  ["a size of 64 bits and one digit", `${F16}f\r\nabc\r\n0\r\n\r\n`],
  ["a size beyond everything", `${"f".repeat(100)}\r\nabc\r\n0\r\n\r\n`],
  ["a size that ends in a bare LF", "3\nabc\r\n0\r\n\r\n"],
  ["a size that ends in a bare CR", "3\rabc\r\n0\r\n\r\n"],
  ["a size before a NUL", "3\0\r\nabc\r\n0\r\n\r\n"],
  ["an extension with a bare LF (TERM.EXT)", "3;a\nb\r\nabc\r\n0\r\n\r\n"],
  ["an extension with a bare LF, and a chunk behind it", "2;\nxx\r\n4f\r\n0\r\n\r\n"],
  ["an extension with a bare CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"],
  ["an extension with a NUL", "3;a=\0\r\nabc\r\n0\r\n\r\n"],
  ["an extension without end", `3;${"a".repeat(HEADER_BYTES + 1000)}`],
  ["a chunk that ends in a bare LF", "3\r\nabc\n0\r\n\r\n"],
  ["a chunk that ends in a bare CR", "3\r\nabc\r0\r\n\r\n"],
  ["a chunk that ends in spaces", "3\r\nabc  0\r\n\r\n"],
  ["a chunk without an end", "3\r\nabc0\r\n\r\n"],
  ["a last chunk that ends in a bare LF", "3\r\nabc\r\n0\n\r\n"],
  ["an end that is a bare LF", "3\r\nabc\r\n0\r\n\n"],
  ["an end that is a bare CR", "3\r\nabc\r\n0\r\n\rX"],
  ["a trailer with a space before its colon", "0\r\nX : y\r\n\r\n"],
  ["a trailer with a bare LF", "0\r\nX: y\nZ: z\r\n\r\n"],
  ["a trailer with a bare CR", "0\r\nX: y\rZ: z\r\n\r\n"],
  ["a trailer with a NUL", "0\r\nX: \0\r\n\r\n"],
  ["a trailer on a folded line", "0\r\nX: y\r\n z\r\n\r\n"],
  ["a trailer without a colon", "0\r\nX\r\n\r\n"],
  ["a request for a trailer", `0\r\n${SMUGGLED}`],
  ["trailers beyond the bound", `0\r\n${"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(3000)}\r\n`],
];

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

const to = (start: string, fields: readonly string[] = [], body = "", trailers: readonly string[] = []) =>
  [start, ...[...fields, "host: a.localhost"].sort(), "", body, ...(trailers.length > 0 ? ["", ...trailers] : [])].join(
    "\n",
  );
const LAST = to("GET /last HTTP/1.1");
/** Ends the connection with its answer, so that all is said when it is over. */
const AND_LAST = `GET /last HTTP/1.1\r\n${H}Connection: close\r\n\r\n`;
const EMPTY = ["content-length: 0"];
const CHUNKED = ["transfer-encoding: chunked"];
const upgrade = (protocol: string, more = "") => `${H}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}`;

const TAKEN: readonly (readonly [what: string, bytes: string, arrives: readonly string[]])[] = [
  [
    "a length with zeros before it",
    post("Content-Length: 0003\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "a length with spaces around it",
    post("Content-Length: \t 3 \t\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "a body behind a GET",
    `GET / HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc`,
    [to("GET / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "chunks behind a GET",
    `GET / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    [to("GET / HTTP/1.1", CHUNKED, "abc")],
  ],
  [
    "a body that looks like a request",
    post(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
    [to("POST / HTTP/1.1", [`content-length: ${SMUGGLED.length}`], SMUGGLED)],
  ],
  [
    "a chunk that looks like a request",
    chunked(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`),
    [to("POST / HTTP/1.1", CHUNKED, SMUGGLED)],
  ],
  ["a post without a body", post(""), [to("POST / HTTP/1.1", EMPTY)]],
  [
    "chunked in capitals",
    post("TRANSFER-ENCODING: Chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    [to("POST / HTTP/1.1", CHUNKED, "abc")],
  ],
  [
    "sizes in capitals and with zeros",
    chunked(`000A\r\nabcdefghij\r\n0000\r\n\r\n`),
    [to("POST / HTTP/1.1", CHUNKED, "abcdefghij")],
  ],
  [
    "extensions, which end here",
    chunked('3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n'),
    [to("POST / HTTP/1.1", CHUNKED, "abc")],
  ],
  [
    "a length spelled with an underscore",
    post("Content_Length: 99\r\nContent-Length: 3\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "a coding spelled with an underscore",
    post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "lengths and codings spelled with dots",
    post("Content.Length: 99\r\nTransfer.Encoding: chunked\r\nContent-Length: 3\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  ["one empty line before the request", `\r\n${get(H)}`, [to("GET / HTTP/1.1")]],
  [
    "trailers that a head alone may hold",
    chunked(
      `3\r\nabc\r\n0\r\nX-Ok: 1\r\n${["Host: b.localhost", "Cookie: a=b", "Authorization: Bearer x", "X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "Forwarded: for=x", "TE: x", "Trailer: x", "Expect: 100-continue", "X-Taskgate-User: root", "x_taskgate_user: root", "Remote-User: root"].join("\r\n")}\r\n\r\n`,
    ),
    [to("POST / HTTP/1.1", CHUNKED, "abc", ["x-ok: 1"])],
  ],
  [
    "names in Connection that are not its own",
    get(
      `${H}Connection: host, content-length, transfer-encoding, x-forwarded-for, via, x-a, cookie\r\nX-A: b\r\nCookie: a=b\r\nX-B: c\r\n`,
    ),
    [to("GET / HTTP/1.1", ["x-b: c"])],
  ],
  [
    "names in Connection, around a body",
    post("Connection: content-length, host\r\nContent-Length: 3\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "names in Connection, around chunks",
    post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    [to("POST / HTTP/1.1", CHUNKED, "abc")],
  ],
  [
    "names in several fields of Connection",
    get(`${H}Connection: x-a\r\nConnection: X-B ,, x_c\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: 4\r\n`),
    [to("GET / HTTP/1.1", ["x-d: 4"])],
  ],
  [
    "all that is of one connection",
    get(
      `${H}Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nProxy-Authenticate: Basic\r\nTE: gzip\r\nTrailer: x\r\nHTTP2-Settings: AAAA\r\nX-D: 4\r\n`,
    ),
    [to("GET / HTTP/1.1", ["x-d: 4"])],
  ],
  [
    "all that a visitor says of where it comes from",
    get(
      `${H}X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Anything: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Real.IP: 6.6.6.6\r\n`,
    ),
    [to("GET / HTTP/1.1")],
  ],
  [
    "TE that asks for trailers, among others",
    get(`${H}TE: gzip, trailers\r\nConnection: TE\r\n`),
    [to("GET / HTTP/1.1", ["te: trailers"])],
  ],
  [
    "an upgrade with a body",
    post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", "abc"),
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
  [
    "an upgrade with chunks",
    post("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    [to("POST / HTTP/1.1", CHUNKED, "abc")],
  ],
  [
    "an upgrade to h2c",
    get(`${H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n`),
    [to("GET / HTTP/1.1")],
  ],
  ["an upgrade to h2c among others", get(upgrade("websocket, H2C")), [to("GET / HTTP/1.1")]],
  ["an upgrade to h2c in a second field", get(upgrade("websocket", "Upgrade: h2c\r\n")), [to("GET / HTTP/1.1")]],
  ["an upgrade that Connection does not name", get(`${H}Upgrade: websocket\r\n`), [to("GET / HTTP/1.1")]],
  ["a Connection that names an upgrade which is not there", get(`${H}Connection: upgrade\r\n`), [to("GET / HTTP/1.1")]],
  ["an empty upgrade", get(`${H}Connection: upgrade\r\nUpgrade:\r\n`), [to("GET / HTTP/1.1")]],
  ["an absolute target that agrees", `GET HTTP://A.localhost/x?y HTTP/1.1\r\n${H}\r\n`, [to("GET /x?y HTTP/1.1")]],
  ["an absolute target without a path", `GET http://a.localhost HTTP/1.1\r\n${H}\r\n`, [to("GET / HTTP/1.1")]],
  [
    "an absolute target with a question alone",
    `GET http://a.localhost?x HTTP/1.1\r\n${H}\r\n`,
    [to("GET /?x HTTP/1.1")],
  ],
  ["a target with two slashes", `GET //b.localhost/x HTTP/1.1\r\n${H}\r\n`, [to("GET //b.localhost/x HTTP/1.1")]],
  ["a target with dots", `GET /a/../%2e%2e/./x HTTP/1.1\r\n${H}\r\n`, [to("GET /a/../%2e%2e/./x HTTP/1.1")]],
  ["a target with escaped ends of lines", `GET /%0d%0aX:%20y HTTP/1.1\r\n${H}\r\n`, [to("GET /%0d%0aX:%20y HTTP/1.1")]],
  ["a star for OPTIONS", `OPTIONS * HTTP/1.1\r\n${H}\r\n`, [to("OPTIONS * HTTP/1.1")]],
  ["values of odd bytes", get(`${H}X: \xe9\xff\t\x80\r\n`), [to("GET / HTTP/1.1", ["x: \xe9\xff\t\x80"])]],
  ["an empty value", get(`${H}X:\r\n`), [to("GET / HTTP/1.1", ["x: "])]],
  ["a value without a space before it", get(`${H}X:y\r\n`), [to("GET / HTTP/1.1", ["x: y"])]],
  [
    "HTTP/1.0 that is kept open",
    `POST / HTTP/1.0\r\n${H}Connection: keep-alive\r\nContent-Length: 3\r\n\r\nabc`,
    [to("POST / HTTP/1.1", ["content-length: 3"], "abc")],
  ],
];

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

describe("who a request is from", () => {
  test("the gate alone says who is asking and where from, however a visitor spells it", async () => {
    rig.gatekeeper.checking = (route, head) => ({
      ...ALLOW,
      strip: strippedHeaders(route, head, []),
      set: [["X-Taskgate-User", "visitor"]],
    });
    const forged = ["X-Taskgate-User", "x-taskgate-USER", "X_Taskgate_User", "X.Taskgate.User", "X-Taskgate_User", "X!Taskgate!User", "Remote-User", "Remote_User", "X-Remote-User", "X_Forwarded_User", "X-Taskgate-Groups"]; // prettier-ignore
    const lines = forged.map((name) => `${name}: root\r\n`).join("");
    const nominated = `Connection: x-taskgate-user, x-forwarded-for, forwarded, via\r\n`;
    using client = await exchangeRaw(rig.port, get(`${H}${nominated}${lines}X-Other: 1\r\n`) + AND_LAST);
    expect(statuses(client)).toEqual([200, 200]);
    const [first] = backend.connections.flatMap(({ requests }) => requests.whole);
    expect(written(first!)).toBe(to("GET / HTTP/1.1", ["x-other: 1", "x-taskgate-user: visitor"]));
    const names = first!.fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    for (const name of ["x-forwarded-for", "forwarded", "via", "x-forwarded-host", "x-forwarded-proto"]) {
      expect([name, names.filter((one) => one === name).length]).toEqual([name, 1]);
    }
    expect(valueOf(first!, "x-forwarded-for")).toBe("127.0.0.1");
    expect(valueOf(first!, "forwarded")).toBe('for=127.0.0.1;host="a.localhost";proto=http');
  });

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
  const expecting = (value: string, length: number) => post(`Expect: ${value}\r\nContent-Length: ${length}\r\n`);

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
    expect(await arrived()).toEqual([
      to("POST / HTTP/1.1", ["content-length: 3", "expect: 100-continue"], "abc"),
      LAST,
    ]);
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
  const ASKS = get(upgrade("websocket"));

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
        to("GET / HTTP/1.1", ["upgrade: websocket"]), // Connection is left out of what is compared
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
