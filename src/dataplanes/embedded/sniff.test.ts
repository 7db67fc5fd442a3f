import { once } from "node:events";
import net, { type Socket } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import type { ConnectionEnds } from "./proxy-protocol.ts";
import { readSpoken, sniff, type Spoken } from "./sniff.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

test.each([
  ["", null],
  ["\u0016\u0003\u0001", "tls"],
  ["G", "http1"],
  ["P", null],
  ["POST", "http1"],
  ["PRI * HTTP/2.0", null],
  ["PRI * HTTP/1.1\r\n", "http1"],
  [PREFACE, "http2"],
  [`${PREFACE}more`, "http2"],
] as const)("takes the first bytes %j for %s", (bytes, spoken) => {
  expect(readSpoken(Buffer.from(bytes, "latin1"))).toBe(spoken);
});

/** What is sniffed of a connection on which these chunks come, and what is left to read. */
async function sniffed(
  chunks: readonly string[],
  end: boolean,
  proxied = false,
): Promise<{ spoken: Spoken | null; ends: ConnectionEnds | null; rest: string; socket: Socket }> {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [Socket];
  const sniffing = sniff(socket, { timeoutMs: 300, clock: systemClock, proxied });
  for (const chunk of chunks) {
    client.write(chunk, "latin1");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (end) client.end();
  const result = await sniffing;
  let rest = "";
  if (result !== null) {
    client.end();
    for await (const chunk of socket) rest += (chunk as Buffer).toString("latin1");
  }
  client.destroy();
  server.close();
  return { spoken: result?.spoken ?? null, ends: result?.ends ?? null, rest, socket };
}

test("leaves every byte to who comes next, in whatever pieces it came", async () => {
  expect(await sniffed(["GET / HTTP/1.1\r\n\r\n"], false)).toMatchObject({
    spoken: "http1",
    rest: "GET / HTTP/1.1\r\n\r\n",
  });
  expect(await sniffed(Array.from(PREFACE), false)).toMatchObject({ spoken: "http2", rest: PREFACE });
  expect(await sniffed(["P", "R", "OPFIND /"], false)).toMatchObject({ spoken: "http1", rest: "PROPFIND /" });
});

test("ends connections that end, or say too little in time", async () => {
  for (const [chunks, end] of [
    [[], true],
    [[], false],
    [["PRI"], true],
    [["PRI"], false],
  ] as const) {
    const { spoken, socket } = await sniffed(chunks, end);
    expect([spoken, socket.destroyed]).toEqual([null, true]);
  }
});

test("takes a PROXY header off a connection that must have one, and refuses the rest", async () => {
  const header = "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n";
  expect(await sniffed([header.slice(0, 9), `${header.slice(9)}GE`, "T /"], false, true)).toMatchObject({
    spoken: "http1",
    ends: { source: { ip: "192.0.2.7", port: 5000 }, destination: { ip: "192.0.2.1", port: 443 } },
    rest: "GET /",
  });
  expect(await sniffed(["GET / HTTP/1.1\r\n\r\n"], false, true)).toMatchObject({ spoken: null, ends: null });
  expect(await sniffed([header], false, true)).toMatchObject({ spoken: null });
});

test("refuses TLS that does not begin with a ClientHello", async () => {
  expect(await sniffed(["\u0016\u0003\u0001\u0000\u0001\u0002"], false)).toMatchObject({ spoken: null });
});
