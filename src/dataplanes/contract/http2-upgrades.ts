import { once } from "node:events";
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import { createHash } from "node:crypto";
import type { TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import { Agent, WebSocket as UndiciWebSocket } from "undici";
import { describe, expect } from "vitest";
import { WebSocketServer } from "ws";
import type { PlaneSuite } from "./plane-test.ts";
import { startHttpApp, startTcpApp, type App } from "../testing/apps.ts";
import { valuesOf } from "../testing/clients.ts";
import { startRig, until, type Rig } from "../testing/rig.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byHost } from "../testing/table-builder.ts";
import { writePem } from "../testing/write-pem.ts";

const HOST = "nb.localhost";
const KEY = "local/nb/web";
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants;

/** A client's frame (RFC 6455 §5.2): text, in one piece, with a mask. */
function frame(text: string): Buffer {
  const body = Buffer.from(text);
  const mask = Buffer.from([1, 2, 3, 4]);
  const size =
    body.length < 126
      ? Buffer.from([0x80 | body.length])
      : Buffer.concat([Buffer.from([0x80 | 127]), Buffer.from([0, 0, 0, 0]), uint32(body.length)]);
  const masked = body.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([Buffer.from([0x81]), size, mask, masked]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

class Visitor implements Disposable {
  readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = http2.connect(`http://127.0.0.1:${String(port)}`);
    this.session.on("error", () => undefined);
  }

  /** Resolves once extended CONNECT is known to be there. */
  async ready(): Promise<this> {
    if (this.session.remoteSettings.enableConnectProtocol !== true) await once(this.session, "remoteSettings");
    expect(this.session.remoteSettings.enableConnectProtocol).toBe(true);
    return this;
  }

  webSocket(more: OutgoingHttpHeaders = {}): Opened {
    return new Opened(
      this.session.request(
        {
          ":method": "CONNECT",
          ":protocol": "websocket",
          ":scheme": "http",
          ":path": "/chat?x=1",
          ":authority": HOST,
          "sec-websocket-version": "13",
          ...more,
        },
        { endStream: false },
      ),
    );
  }

  connect(authority: string): Opened {
    return new Opened(this.session.request({ ":method": "CONNECT", ":authority": authority }, { endStream: false }));
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }
}

/** A stream and all that came on it. */
class Opened {
  readonly stream: ClientHttp2Stream;
  readonly status: Promise<number>;
  headers: http2.IncomingHttpHeaders = {};
  received = "";
  ended = false;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.setEncoding("latin1");
    stream.on("data", (text: string) => (this.received += text));
    stream.on("end", () => (this.ended = true));
    stream.on("error", () => undefined);
    this.status = new Promise((resolve) => {
      stream.once("response", (headers) => {
        this.headers = headers;
        resolve(Number(headers[":status"]));
      });
      stream.once("close", () => resolve(0));
    });
  }
}

async function startEcho(): Promise<App & { readonly requests: { method: string; rawHeaders: string[] }[] }> {
  const app = await startHttpApp((_req, res) => res.writeHead(426).end("upgrade!"));
  const requests: { method: string; rawHeaders: string[] }[] = [];
  const server = new WebSocketServer({ server: app.server, handleProtocols: () => "chat" });
  server.on("connection", (socket, request) => {
    requests.push({ method: request.method ?? "", rawHeaders: request.rawHeaders });
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
  });
  return Object.assign(app, { requests });
}

/** A job that agrees to every WebSocket and then does what it likes with bytes. */
function startRaw(
  handle: (socket: Duplex) => void,
  agree = (key: string) => createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"),
): Promise<App> {
  return startHttpApp((_req, res) => res.end()).then((app) => {
    app.server.on("upgrade", (req, socket: Duplex) => {
      socket.on("error", () => undefined);
      const accept = agree(req.headers["sec-websocket-key"] ?? "");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\nX-Job: yes\r\n\r\n`,
      );
      socket.resume();
      handle(socket);
    });
    return app;
  });
}

/** Streams that carry something else than HTTP: WebSockets by extended CONNECT (RFC 8441) and tunnels by CONNECT. */
export function describeHttp2Upgrades({ name, start, test }: PlaneSuite): void {
  const serving = async (app: Pick<App, "address">, options: Parameters<typeof startRig>[1] = {}): Promise<Rig> => {
    const rig = await startRig(start, options);
    rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
    await rig.publish();
    return rig;
  };

  describe(`${name} data plane: WebSockets over HTTP/2`, () => {
    test("carries messages both ways, to a job that sees an HTTP/1.1 handshake", async () => {
      await using app = await startEcho();
      await using rig = await serving(app);
      using visitor = await new Visitor(rig.port).ready();
      const origin = `http://${HOST}`;
      const opened = visitor.webSocket({ origin, "sec-websocket-protocol": "chat", cookie: "a=1" });
      expect(await opened.status).toBe(200);
      expect(opened.headers["sec-websocket-protocol"]).toBe("chat");
      expect(opened.headers["sec-websocket-accept"]).toBeUndefined();
      opened.stream.write(frame("hello"));
      await until(() => opened.received === "\x81\x05hello");
      opened.stream.write(frame("x".repeat(300_000)));
      await until(() => opened.received.length === 7 + 10 + 300_000);
      const { method, rawHeaders } = app.requests[0] ?? { method: "", rawHeaders: [] };
      expect(method).toBe("GET");
      for (const [field, values] of [
        ["upgrade", ["websocket"]],
        ["sec-websocket-version", ["13"]],
        ["host", [HOST]],
        ["origin", [origin]],
        ["cookie", ["a=1"]],
        ["x-forwarded-for", ["127.0.0.1"]],
      ] as const) {
        expect(valuesOf(rawHeaders, field), field).toEqual(values);
      }
      expect(valuesOf(rawHeaders, "connection").map((value) => value.toLowerCase())).toEqual(["upgrade"]);
      expect(valuesOf(rawHeaders, "via")[0]).toMatch(/^(HTTP\/)?2 /);
      const [seen] = rig.gatekeeper.seen;
      expect(seen?.route.service).toBe(KEY);
      await expect.poll(() => rig.open("websocket")).toBe(1);
      opened.stream.end();
      await until(() => rig.gatekeeper.open.length === 0 && app.sockets.size === 0);
      expect(rig.gatekeeper.seen[0]?.bytes?.in).toBeGreaterThan(300_000);
    });

    test("decides about one as about one of HTTP/1.1, and takes out and adds what the gatekeeper says", async () => {
      await using app = await startEcho();
      await using rig = await serving(app);
      const asked: (string | undefined)[][] = [];
      rig.gatekeeper.checking = (_route, head) => {
        asked.push([head.method, head.path, head.host, head.header("upgrade"), head.header("origin")]);
        return {
          kind: "allow",
          session: null,
          strip: ["x-secret"],
          stripCookies: ["b"],
          set: [["X-Taskgate-User", "owner"]],
          respond: [["set-cookie", "renewed=1"]],
        };
      };
      using visitor = await new Visitor(rig.port).ready();
      const opened = visitor.webSocket({ origin: "http://evil.example", "x-secret": "1", cookie: ["a=1", "b=2"] });
      expect(await opened.status).toBe(200);
      expect(opened.headers["set-cookie"]).toEqual(["renewed=1"]);
      expect(asked).toEqual([["GET", "/chat?x=1", HOST, "websocket", "http://evil.example"]]);
      const rawHeaders = app.requests[0]?.rawHeaders ?? [];
      expect(valuesOf(rawHeaders, "x-secret")).toEqual([]);
      expect(valuesOf(rawHeaders, "cookie")).toEqual(["a=1"]);
      expect(valuesOf(rawHeaders, "x-taskgate-user")).toEqual(["owner"]);
      rig.gatekeeper.checking = () => ({ kind: "deny", status: 403, code: "cross_origin", reason: "no" });
      expect(await visitor.webSocket().status).toBe(403);
      expect(app.requests).toHaveLength(1);
    });

    test("delivers a refused handshake with its body, and ends the stream", async () => {
      await using app = await startHttpApp((_req, res) => res.writeHead(426).end("not this way"));
      await using rig = await serving(app);
      using visitor = await new Visitor(rig.port).ready();
      const opened = visitor.webSocket();
      expect(await opened.status).toBe(426);
      await until(() => opened.ended && opened.received === "not this way");
      opened.stream.end();
      await until(() => opened.stream.closed && rig.gatekeeper.open.length === 0);
    });

    test("takes no job for agreed that did not say so with the right hash", async () => {
      await using app = await startRaw(
        (socket) => socket.on("end", () => socket.end()),
        () => "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      );
      await using rig = await serving(app);
      using visitor = await new Visitor(rig.port).ready();
      expect(await visitor.webSocket().status).toBe(502);
      await until(() => app.sockets.size === 0);
    });

    test("keeps bytes that come before the job agreed, and half-closed streams", async () => {
      let job: Duplex | null = null;
      let heard = "";
      let left = false;
      await using app = await startRaw((socket) => {
        job = socket;
        socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
        socket.on("end", () => (left = true));
      });
      await using rig = await serving(app);
      using visitor = await new Visitor(rig.port).ready();
      const opened = visitor.webSocket();
      opened.stream.write("early");
      opened.stream.end(" and out");
      expect(await opened.status).toBe(200);
      expect(opened.headers["x-job"]).toBe("yes");
      await until(() => heard === "early and out" && left);
      (job as Duplex | null)?.write("still");
      await until(() => opened.received === "still");
      (job as Duplex | null)?.end(" here");
      await until(() => opened.received === "still here" && opened.ended && opened.stream.closed);
      expect(opened.stream.rstCode).toBe(NGHTTP2_NO_ERROR);
      await until(() => rig.gatekeeper.open.length === 0 && app.sockets.size === 0);
    });

    test("passes a break on as a break, either way", async () => {
      await using app = await startRaw((socket) => {
        // node's client ends a stream before it resets it: only a job that still writes hears of the reset.
        socket.on("end", () => {
          const writing = setInterval(() => socket.write("."), 10);
          socket.once("close", () => clearInterval(writing));
        });
      });
      await using rig = await serving(app);
      using visitor = await new Visitor(rig.port).ready();
      for (const code of [NGHTTP2_CANCEL, NGHTTP2_NO_ERROR]) {
        const opened = visitor.webSocket();
        expect(await opened.status).toBe(200);
        opened.stream.close(code);
        await until(() => app.sockets.size === 0 && rig.gatekeeper.open.length === 0);
      }
      const opened = visitor.webSocket();
      expect(await opened.status).toBe(200);
      for (const socket of app.sockets) socket.resetAndDestroy();
      await until(() => opened.stream.closed);
      expect(opened.stream.rstCode).not.toBe(NGHTTP2_NO_ERROR);
    });

    test("ends with its route, and other streams of its connection live", async () => {
      await using app = await startEcho();
      await using rig = await serving(app);
      const other = "other.localhost";
      rig.table.service({ key: "local/other/web", matches: [byHost(other)], endpoints: [app.address] });
      await rig.publish();
      using visitor = await new Visitor(rig.port).ready();
      const opened = visitor.webSocket();
      const stays = visitor.webSocket({ ":authority": other });
      expect([await opened.status, await stays.status]).toEqual([200, 200]);
      rig.table.remove(KEY);
      await rig.publish();
      await until(() => opened.stream.closed);
      expect(opened.stream.rstCode).not.toBe(NGHTTP2_NO_ERROR);
      stays.stream.write(frame("hello"));
      await until(() => stays.received === "\x81\x05hello");
    });

    test("answers 501 to protocols that are no WebSocket", async () => {
      await using app = await startEcho();
      await using rig = await serving(app);
      using visitor = await new Visitor(rig.port).ready();
      expect(await visitor.webSocket({ ":protocol": "connect-udp" }).status).toBe(501);
    });

    test("serves a client that other people wrote, over TLS", async () => {
      const pem = selfSigned([HOST]);
      await using files = await writePem(pem);
      await using app = await startEcho();
      await using rig = await serving(app, { tls: files });
      const agent = new Agent({
        allowH2: true,
        connect: {
          ca: pem.certificate,
          servername: HOST,
          lookup,
        },
      });
      const socket = new UndiciWebSocket(`wss://${HOST}:${String(rig.port)}/`, {
        dispatcher: agent,
        protocols: ["chat"],
      });
      const received: unknown[] = [];
      socket.addEventListener("message", ({ data }) => received.push(data));
      await once(socket, "open");
      socket.send("one");
      socket.send("y".repeat(200_000));
      await until(() => received.length === 2);
      expect(received).toEqual(["one", "y".repeat(200_000)]);
      expect(valuesOf(app.requests[0]?.rawHeaders ?? [], "via")[0]).toMatch(/^(HTTP\/)?2 /);
      const closed = once(socket, "close") as Promise<[{ code: number }]>;
      socket.close(1000);
      expect((await closed)[0].code).toBe(1000);
      await agent.destroy();
    });
  });

  describe(`${name} data plane: tunnels over HTTP/2`, () => {
    test("carries a tunnel to a service's host, with bytes that came early and half-close", async () => {
      await using app = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => socket.write(chunk));
        socket.on("end", () => setTimeout(() => socket.end("|bye"), 30));
      });
      await using rig = await startRig(start);
      const matches = [byHost("db.localhost")];
      rig.table.service({ key: "local/db/sql", protocol: "tcp", matches, endpoints: [app.address] });
      await rig.publish();
      using visitor = new Visitor(rig.port);
      const opened = visitor.connect("db.localhost:5432");
      opened.stream.write("early");
      expect(await opened.status).toBe(200);
      await until(() => opened.received === "early");
      opened.stream.end(" late");
      await until(() => opened.received === "early late|bye" && opened.ended && opened.stream.closed);
      expect(opened.stream.rstCode).toBe(NGHTTP2_NO_ERROR);
      await until(() => rig.gatekeeper.open.length === 0 && app.sockets.size === 0);
      await expect.poll(() => rig.answers()).toContain("forward 200 gate");
    });

    test("refuses every other CONNECT in JSON, and dials nothing", async () => {
      await using app = await startTcpApp(() => undefined);
      await using rig = await startRig(start);
      const matches = [byHost("db.localhost")];
      rig.table.service({ key: "local/db/sql", protocol: "tcp", matches, endpoints: [app.address] });
      await rig.publish();
      using visitor = new Visitor(rig.port);
      const codeOf = async (authority: string) => {
        const opened = visitor.connect(authority);
        const status = await opened.status;
        opened.stream.end();
        await until(() => opened.ended);
        return [status, (JSON.parse(opened.received) as { error: { code: string } }).error.code];
      };
      expect(await codeOf("example.com:443")).toEqual([404, "unknown_host"]);
      expect(await codeOf("127.0.0.1:22")).toEqual([404, "unknown_host"]);
      rig.gatekeeper.checking = () => ({ kind: "redirect", location: "/login", respond: [] });
      expect(await codeOf("db.localhost:1")).toEqual([401, "unauthenticated"]);
      expect(app.connections()).toBe(0);
    });
  });
}

type Lookup = NonNullable<TcpNetConnectOpts["lookup"]>;

/** Every name is here. */
const lookup: Lookup = (_name, options, done) => {
  if (options.all === true) done(null, [{ address: "127.0.0.1", family: 4 }]);
  else done(null, "127.0.0.1", 4);
};
