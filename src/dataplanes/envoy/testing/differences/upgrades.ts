import { once } from "node:events";
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Differences } from "../../../contract/plane-test.ts";
import { echo, freePort, startHttpApp, startTcpApp } from "../../../testing/apps.ts";
import { ask, echoed, RawClient } from "../../../testing/clients.ts";
import { grpcClient, startGrpcApp } from "../../../testing/grpc-app.ts";
import { startRig, until } from "../../../testing/rig.ts";
import { selfSigned } from "../../../testing/self-signed.ts";
import { byHost, byPort } from "../../../testing/table-builder.ts";
import { writePem } from "../../../testing/write-pem.ts";
import { HOST, KEY, SAYS_ITSELF, serving } from "./serving.ts";

const CONNECT = "CONNECT db.localhost:5432 HTTP/1.1\r\nHost: db.localhost:5432\r\n\r\n";
const HANDSHAKE = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

const TUNNEL_ENDS = "ends both ways of a tunnel over HTTP/1.1 when its visitor ends one; over HTTP/2 each by itself";
const NO_HALF_CLOSE =
  "ends a WebSocket over HTTP/2 with its visitor's reset or its job's end, not with its visitor's end alone";

/** Connections that carry something else than HTTP. */
export const UPGRADE_DIFFERENCES: Differences = {
  "opens a tunnel to a service's host, with bytes that came early and half-close": {
    why: TUNNEL_ENDS,
    async instead(start) {
      let heard = "";
      await using app = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => {
          heard += chunk.toString();
          socket.write(chunk);
        });
        socket.on("end", () => socket.end());
      });
      await using rig = await startRig(start);
      const matches = [byHost("db.localhost")];
      rig.table.service({ key: "local/db/sql", protocol: "tcp", matches, endpoints: [app.address] });
      await rig.publish();
      using client = await RawClient.connect(rig.port, `${CONNECT}early`);
      await until(() => client.received.endsWith("early"));
      client.send(" late");
      await until(() => client.received.endsWith("early late"));
      client.socket.end();
      await until(() => client.ended && app.sockets.size === 0 && rig.gatekeeper.open.length === 0);
      expect(heard).toBe("early late");
      expect(rig.gatekeeper.seen[0]?.bytes).toEqual({ in: 10, out: 10 });
    },
  },

  "carries WebSockets and tunnels behind TLS, with half-close": {
    why: TUNNEL_ENDS,
    async instead(start) {
      const pem = selfSigned([HOST, "db.localhost"]);
      await using files = await writePem(pem);
      await using app = await startHttpApp((_req, res) => res.writeHead(426).end());
      new WebSocketServer({ server: app.server }).on("connection", (socket) => {
        socket.on("message", (data) => socket.send(data as Buffer));
      });
      await using raw = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => socket.write(chunk));
        socket.on("end", () => socket.end());
      });
      await using rig = await serving(start, app, { tls: files });
      const matches = [byHost("db.localhost")];
      rig.table.service({ key: "local/db/sql", protocol: "tcp", matches, endpoints: [raw.address] });
      await rig.publish();
      const secure = { ca: pem.certificate, servername: HOST };
      const socket = new WebSocket(`wss://127.0.0.1:${String(rig.port)}/`, { ...secure, headers: { host: HOST } });
      await once(socket, "open");
      socket.send("x".repeat(300_000));
      const [message] = (await once(socket, "message")) as [Buffer];
      expect(message.length).toBe(300_000);
      socket.close();
      await once(socket, "close");
      const tunnel = tls.connect({ ...secure, port: rig.port, host: "127.0.0.1", servername: "db.localhost" });
      let received = "";
      tunnel.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
      tunnel.write(`${CONNECT}early`);
      await until(() => received.endsWith("early"));
      tunnel.write(" late");
      await until(() => received.endsWith("early late"));
      tunnel.end();
      await until(() => raw.sockets.size === 0 && rig.gatekeeper.open.length === 0);
    },
  },

  "keeps early bytes and half-closed connections of any upgrade": {
    why: "switches to the protocols that it knows by name, and ends both ways of one when its visitor ends one",
    async instead(start) {
      let asked = 0;
      await using app = await startTcpApp((socket) => {
        socket.once("data", () => {
          asked += 1;
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
          socket.on("data", (chunk: Buffer) => socket.write(`|${chunk.toString()}`));
          socket.on("end", () => socket.end());
        });
      });
      await using rig = await serving(start, app);
      using other = await RawClient.connect(rig.port, HANDSHAKE.replace("websocket", "thing"));
      await until(() => other.received.includes("\r\n\r\n"));
      expect(other.received).toMatch(/^HTTP\/1\.1 501 /);
      expect(asked).toBe(0);
      using client = await RawClient.connect(rig.port, `${HANDSHAKE}head`);
      await until(() => client.received.endsWith("early|head"));
      client.send(" and more");
      await until(() => client.received.endsWith("early|head| and more"));
      client.socket.end();
      await until(() => client.ended && app.sockets.size === 0 && rig.gatekeeper.open.length === 0);
    },
  },

  "takes an upgrade to h2c, and one with a body, for ordinary requests": {
    why: "offers an upgrade with a body to the job, and keeps the body until the job agrees",
    async instead(start) {
      await using app = await startHttpApp(echo);
      let heard = "";
      await using silent = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
        socket.on("end", () => socket.end());
      });
      await using rig = await serving(start, app);
      const matches = [byHost("silent.localhost")];
      rig.table.service({ key: "local/silent/web", matches, endpoints: [silent.address] });
      await rig.publish();
      const fields = ["Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQ"];
      expect(echoed(await ask(rig.port, HOST, { fields })).all("upgrade")).toEqual([]);
      const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\nX-Taskgate-User: admin\r\n\r\n`;
      const upgrade = `Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: ${String(smuggled.length)}`;
      using client = await RawClient.connect(
        rig.port,
        `POST / HTTP/1.1\r\nHost: silent.localhost\r\n${upgrade}\r\n\r\n${smuggled}`,
      );
      await until(() => heard.includes("\r\n\r\n"));
      await sleep(100);
      expect(heard).toMatch(/^POST \/ HTTP\/1\.1\r\n[^]*\r\n\r\n$/);
      expect(heard).not.toContain("smuggled");
      client.socket.destroy();
      await until(() => silent.sockets.size === 0);
    },
  },

  "keeps bytes that come before the job agreed, and half-closed streams": {
    why: NO_HALF_CLOSE,
    async instead(start) {
      let heard = "";
      await using app = await startTcpApp((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
          socket.on("data", (chunk: Buffer) => {
            heard += chunk.toString();
            if (heard === "early and out") socket.end(" and over");
          });
        });
      });
      await using rig = await serving(start, app);
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const stream = await webSocket(session);
      stream.write("early");
      let received = "";
      stream.on("data", (chunk: Buffer) => (received += chunk.toString()));
      stream.on("error", () => undefined); // it is broken off with the job's connection
      await until(() => received === "hi" && heard === "early");
      stream.end(" and out");
      await until(() => received.startsWith("hi and over") && stream.closed);
      await until(() => app.sockets.size === 0 && rig.gatekeeper.open.length === 0);
      session.destroy();
    },
  },

  "carries messages both ways, to a job that sees an HTTP/1.1 handshake": {
    why: NO_HALF_CLOSE,
    async instead(start) {
      let head = "";
      await using app = await startTcpApp((socket) => {
        socket.once("data", (first: Buffer) => {
          head = first.toString();
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nX-Job: yes\r\n\r\n"); // prettier-ignore
          socket.on("data", (chunk: Buffer) => socket.write(chunk));
          socket.on("end", () => socket.end());
        });
      });
      await using rig = await serving(start, app);
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const stream = await webSocket(session, { cookie: "a=1", "sec-websocket-protocol": "chat" });
      const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
      expect([headers[":status"], headers["x-job"], headers["sec-websocket-accept"]]).toEqual([200, "yes", undefined]);
      let received = "";
      stream.on("data", (chunk: Buffer) => (received += chunk.toString()));
      const sent = "x".repeat(300_000);
      stream.write(sent);
      await until(() => received === sent);
      expect(head).toMatch(/^GET \/chat\?x=1 HTTP\/1\.1\r\n/);
      for (const field of [
        `host: ${HOST}`,
        "upgrade: websocket",
        "connection: upgrade",
        "cookie: a=1",
        "sec-websocket-protocol: chat",
        "sec-websocket-version: 13",
        "x-forwarded-for: 127.0.0.1",
      ]) {
        expect(head.split("\r\n")).toContain(field);
      }
      expect(head).toMatch(/\r\nsec-websocket-key: .*\r\n[^]*\r\nvia: HTTP\/2 /);
      expect(rig.gatekeeper.open.map(({ route }) => route.service)).toEqual([KEY]);
      await expect.poll(() => rig.open("websocket")).toBe(1);
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await until(() => rig.gatekeeper.open.length === 0 && app.sockets.size === 0);
      expect(rig.gatekeeper.seen[0]?.bytes).toEqual({ in: 300_000, out: 300_000 });
      session.destroy();
    },
  },

  "says why a tunnel leads nowhere": {
    why: SAYS_ITSELF,
    async instead(start) {
      const port = await freePort();
      await using rig = await startRig(start);
      const matches = [byHost("db.localhost")];
      rig.table.service({ key: KEY, protocol: "tcp", matches, endpoints: [{ ip: "127.0.0.1", port }] });
      await rig.publish();
      using client = await RawClient.connect(rig.port, CONNECT);
      await until(() => client.ended);
      expect(client.received).toMatch(/^HTTP\/1\.1 502 [^]*x-taskgate-error: unreachable\r\n/);
      expect(rig.explained).toEqual([]);
      await until(() => rig.gatekeeper.open.length === 0);
    },
  },

  "tries no more endpoints for one request than it may": {
    why: SAYS_ITSELF,
    async instead(start) {
      const dead = await Promise.all([1, 2, 3, 4, 5].map(() => freePort()));
      await using rig = await startRig(start, { limits: { tries: 2 } });
      const endpoints = dead.map((port) => ({ ip: "127.0.0.1", port }));
      rig.table.service({ key: KEY, matches: [byHost(HOST), byHost("db.localhost")], endpoints });
      await rig.publish();
      expect((await ask(rig.port, HOST)).status).toBe(502);
      using tunnel = await RawClient.connect(rig.port, CONNECT);
      await until(() => tunnel.over);
      expect(tunnel.received).toMatch(/^HTTP\/1\.1 502 /);
      expect(rig.explained).toEqual(["connect_failed"]);
    },
  },

  "cuts a stream, a WebSocket, a call, a tunnel and a TCP connection when it is told to": {
    why: "cannot end one connection of a raw TCP port: all of them end with their route",
    async instead(start) {
      const port = await freePort();
      await using sse = await startHttpApp((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.write("data: 1\n\n");
      });
      await using sockets = await startHttpApp((_req, res) => res.writeHead(426).end());
      new WebSocketServer({ server: sockets.server });
      await using calls = await startGrpcApp();
      await using tcp = await startTcpApp((socket) => socket.pipe(socket));
      await using rig = await serving(start, sse);
      const raw = { key: "local/tcp/raw", protocol: "tcp", guard: "self", endpoints: [tcp.address] } as const;
      rig.table
        .service({ key: "local/ws/web", matches: [byHost("ws.localhost")], endpoints: [sockets.address] })
        .service({
          key: "local/rpc/web",
          protocol: "grpc",
          matches: [byHost("rpc.localhost")],
          endpoints: [calls.address],
        })
        .service({ ...raw, matches: [byHost("db.localhost"), byPort(port)] });
      await rig.publish();
      using stream = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: "ws.localhost" } });
      await once(socket, "open");
      const closed = once(socket, "close");
      using client = grpcClient(rig.port, "rpc.localhost");
      const chat = client.chat();
      const failed = once(chat, "error").catch((error: unknown) => [error]);
      chat.write(Buffer.from("hi"));
      await once(chat, "data");
      using tunnel = await RawClient.connect(rig.port, CONNECT);
      using connection = await RawClient.connect(port, "x");
      await until(() => stream.received.includes("data: 1") && tunnel.received.includes("200 "));
      await until(() => connection.received === "x" && rig.gatekeeper.open.length === 5);
      for (const { cut } of [...rig.gatekeeper.open]) cut();
      await until(() => stream.over && tunnel.over && rig.gatekeeper.open.length === 1);
      await Promise.all([failed, closed]);
      await until(() => sse.sockets.size === 0 && calls.cancelled() === 1);
      connection.send("y");
      await until(() => connection.received === "xy");
      rig.table.remove("local/tcp/raw");
      await rig.publish();
      await until(() => connection.over && tcp.sockets.size === 0 && rig.gatekeeper.open.length === 0);
    },
  },

  "takes no job for agreed that did not say so with the right hash": {
    why: "takes a job's 101 for its word: it keeps no hash of a handshake",
    async instead(start) {
      await using app = await startTcpApp((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\nhi"); // prettier-ignore
          socket.on("end", () => socket.end());
        });
      });
      await using rig = await serving(start, app);
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const stream = await webSocket(session);
      const [[headers], [data]] = (await Promise.all([once(stream, "response"), once(stream, "data")])) as [
        [http2.IncomingHttpHeaders],
        [Buffer],
      ];
      expect([headers[":status"], data.toString()]).toEqual([200, "hi"]);
      session.destroy();
      await until(() => app.sockets.size === 0);
    },
  },
};

/** Asked for; there is no answer yet. */
async function webSocket(
  session: ClientHttp2Session,
  more: http2.OutgoingHttpHeaders = {},
): Promise<ClientHttp2Stream> {
  if (session.remoteSettings.enableConnectProtocol !== true) await once(session, "remoteSettings");
  const head = { ":method": "CONNECT", ":protocol": "websocket", ":path": "/chat?x=1", ":authority": HOST };
  return session.request({ ...head, "sec-websocket-version": "13", ...more }, { endStream: false });
}
