import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import https from "node:https";
import tls, { type TLSSocket } from "node:tls";
import grpc from "@grpc/grpc-js";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { PlaneSuite } from "./plane-test.ts";
import { echo, freePort, startTcpApp } from "../testing/apps.ts";
import { ask, echoed, RawClient } from "../testing/clients.ts";
import { ECHO_SERVICE, grpcClient, unary } from "../testing/grpc-app.ts";
import { startRig, until, type Rig } from "../testing/rig.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byHost, byPort, byServerName } from "../testing/table-builder.ts";
import { type Pem, writePem } from "../testing/write-pem.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const DB = "db.tls.localhost";
const TASK = "task.internal";

/** TLS at every end: the gate's own, past the gate, and between the gate and its tasks. */
export function describeTls(suite: PlaneSuite): void {
  describePassThrough(suite);
  describeCertificates(suite);
  describeUpstreamTls(suite);
}

function describePassThrough({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: TLS passed through`, () => {
    const passing = async (address: { ip: string; port: number }, gate: Pem | null = null): Promise<Rig> => {
      await using files = gate === null ? null : await writePem(gate);
      const rig = await startRig(start, { tls: files });
      rig.table.service({ key: KEY, protocol: "tls", matches: [byServerName(DB)], endpoints: [address] });
      await rig.publish();
      return rig;
    };

    test.each(["plain", "TLS"] as const)("leads by server name to the task's own TLS, at a %s gate", async (kind) => {
      const pem = selfSigned([DB]);
      await using app = await startTlsApp(pem, (socket) => socket.pipe(socket), { ALPNProtocols: ["odd/1"] });
      await using rig = await passing(app.address, kind === "TLS" ? selfSigned([HOST]) : null);
      const client = tls.connect({ ...to(rig), servername: DB, ca: pem.certificate, ALPNProtocols: ["odd/1"] });
      await once(client, "secureConnect");
      expect(client.alpnProtocol).toBe("odd/1");
      const sent = Buffer.alloc(3_000_000, "0123456789abcdef");
      const received: Buffer[] = [];
      client.on("data", (chunk: Buffer) => received.push(chunk));
      client.end(sent);
      await once(client, "close");
      expect(Buffer.concat(received).equals(sent)).toBe(true);
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("brings every byte as it came, however the hello is cut, and ends each way by itself", async () => {
      const hello = await recordHello(DB);
      const heard: Buffer[] = [];
      await using app = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => heard.push(chunk));
        socket.on("end", () => setTimeout(() => socket.end("bye"), 20));
      });
      await using rig = await passing(app.address);
      using client = await RawClient.connect(rig.port);
      client.socket.setNoDelay(true);
      for (let at = 0; at < hello.length; at += 40) {
        client.socket.write(hello.subarray(at, at + 40));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      client.socket.end("late");
      await until(() => client.over);
      expect(client.received).toBe("bye");
      expect(Buffer.concat(heard).equals(Buffer.concat([hello, Buffer.from("late")]))).toBe(true);
    });

    test("is counted, and cut with its route; nobody else gets through", async () => {
      const pem = selfSigned([DB]);
      await using app = await startTlsApp(pem, (socket) => void socket.write("hi"));
      await using rig = await passing(app.address);
      const client = tls.connect({ ...to(rig), servername: DB, ca: pem.certificate });
      client.on("error", () => undefined);
      await once(client, "data");
      await expect.poll(() => rig.open("tls")).toBe(1);
      const closed = new Promise((resolve) => client.once("close", resolve));
      rig.table.remove(KEY);
      await rig.publish();
      await closed;
      await expect.poll(() => rig.open("tls")).toBe(0);
      for (const servername of [DB, "other.tls.localhost", undefined]) {
        const other = tls.connect({ ...to(rig), ...(servername === undefined ? {} : { servername }) });
        const [error] = (await once(other, "error")) as [NodeJS.ErrnoException];
        expect(error.message).toContain("unrecognized name");
      }
      expect(app.count()).toBe(1);
    });

    test("says that the task is away by ending the connection", async () => {
      await using rig = await passing({ ip: "127.0.0.1", port: await freePort() });
      const client = tls.connect({ ...to(rig), servername: DB });
      const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
      expect(error.code).toBe("ECONNRESET");
    });
  });
}

function describeCertificates({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: certificates`, () => {
    test("shows each visitor the certificate of the name that it asks for, else the first", async () => {
      const [first, other, wild] = [selfSigned([HOST]), selfSigned(["a.example"]), selfSigned(["*.wild.example"])];
      await using one = await writePem(first);
      await using two = await writePem(other);
      await using three = await writePem(wild);
      await using rig = await startRig(start, { tls: { ...one, certificates: [two, three] } });
      for (const [servername, pem] of [
        [HOST, first],
        ["A.example", other],
        ["x.wild.example", wild],
        ["x.y.wild.example", first],
        ["wild.example", first],
        [undefined, first],
      ] as const) {
        expect(await shownTo(rig, servername), servername).toBe(fingerprint(pem));
      }
    });

    test("answers 421 to a request for a host that another certificate is for", async () => {
      const [first, other] = [selfSigned([HOST, "c.localhost"]), selfSigned(["b.localhost"])];
      await using one = await writePem(first);
      await using two = await writePem(other);
      await using app = await startTcpApp((socket) => socket.end("HTTP/1.1 204 No Content\r\n\r\n"));
      await using rig = await startRig(start, { tls: { ...one, certificates: [two] } });
      const matches = [byHost(HOST), byHost("b.localhost"), byHost("c.localhost")];
      rig.table.service({ key: KEY, matches, endpoints: [app.address] });
      await rig.publish();
      for (const [servername, host, status] of [
        [HOST, HOST, 204],
        [HOST, "c.localhost", 204],
        [HOST, "b.localhost", 421],
        ["b.localhost", HOST, 421],
        [undefined, "b.localhost", 204],
      ] as const) {
        expect(await statusOf(rig, servername, host), `${String(servername)} ${host}`).toBe(status);
      }
    });

    test("takes files that change for new visitors, keeps what it has where they do not fit, and says so", async () => {
      const [old, next] = [selfSigned([HOST]), selfSigned([HOST])];
      await using files = await writePem(old);
      await using rig = await startRig(start, { tls: files });
      const stays = tls.connect({ ...to(rig), servername: HOST, ca: old.certificate });
      await once(stays, "secureConnect");
      await files.write({ certificate: next.certificate, key: old.key });
      const problem = () => rig.status().problems.find(({ code }) => code === "certificate_unusable");
      await until(() => problem() !== undefined);
      expect(problem()?.subject).toBe(files.certificate);
      expect(JSON.stringify(rig.status().problems)).not.toContain("PRIVATE");
      expect(await shownTo(rig, HOST)).toBe(fingerprint(old));
      await files.write(next);
      await until(() => problem() === undefined);
      for (const servername of [HOST, undefined]) expect(await shownTo(rig, servername)).toBe(fingerprint(next));
      expect(stays.destroyed).toBe(false);
      stays.destroy();
    });

    test("warns of a certificate that ends soon", async () => {
      await using files = await writePem(selfSigned([HOST]));
      await using rig = await startRig(start, { tls: files });
      await until(() => rig.status().problems.some(({ code }) => code === "certificate_ends"));
    });

    test("goes on with a session of before, and speaks no TLS older than 1.2", async () => {
      const pem = selfSigned([HOST]);
      await using files = await writePem(pem);
      await using rig = await startRig(start, { tls: files });
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const secure = { ...to(rig), servername: HOST, ca: pem.certificate, minVersion: version, maxVersion: version };
        const first = tls.connect(secure);
        first.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`); // some give tickets with the first answer
        const [session] = (await once(first, "session")) as [Buffer];
        first.destroy();
        const second = tls.connect({ ...secure, session });
        await once(second, "secureConnect");
        expect(second.isSessionReused(), version).toBe(true);
        second.destroy();
      }
      const old = tls.connect({ ...to(rig), servername: HOST, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }); // prettier-ignore
      const [error] = (await once(old, "error")) as [NodeJS.ErrnoException];
      expect(error.message).toContain("protocol version");
    });

    test("ends handshakes that take too long, and what begins like TLS and is none", async () => {
      await using files = await writePem(selfSigned([HOST]));
      await using rig = await startRig(start, { tls: files, limits: { headerTime: 100 } });
      const hello = await recordHello(HOST);
      for (const first of [hello.subarray(0, 60), hello, Buffer.from([22, 3, 1, 0, 2, 9, 9])]) {
        using client = await RawClient.connect(rig.port);
        client.socket.write(first);
        await until(() => client.closed || client.ended);
      }
    });
  });
}

function describeUpstreamTls({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: TLS to the task`, () => {
    const pem = selfSigned([TASK]);
    const policy = { upstreamTls: { verify: "full", serverName: TASK, authority: pem.certificate } } as const;

    test("asks an HTTP task by it, keeps connections and their sessions, and asks after its health so", async () => {
      const names: (string | false | undefined)[] = [];
      await using app = await startHttpsApp(pem, names);
      await using rig = await startRig(start);
      const activeHealth = { path: "/well", everyMs: 100 };
      rig.table.service({ key: KEY, policy: { ...policy, activeHealth }, matches: [byHost(HOST)], endpoints: [app.address] }); // prettier-ignore
      await rig.publish();
      const asked = echoed(await ask(rig.port, HOST, { method: "POST", body: "body" }));
      expect([asked.method, asked.body]).toEqual(["POST", "body"]);
      expect((await ask(rig.port, HOST)).status).toBe(200);
      expect(names[0]).toBe(TASK);
      await until(() => [...rig.status().endpoints.values()].includes("healthy"));
    });

    test("carries WebSockets, gRPC and raw bytes by it, with half-close", async () => {
      await using app = await startHttpsApp(pem);
      await using calls = await startSecureGrpc(pem);
      await using raw = await startTlsApp(pem, (socket) => {
        socket.on("data", (chunk: Buffer) => void socket.write(chunk));
        socket.on("end", () => setTimeout(() => socket.end("|bye"), 20));
      });
      await using rig = await startRig(start);
      const port = await freePort();
      rig.table
        .service({ key: KEY, policy, matches: [byHost(HOST)], endpoints: [app.address] })
        .service({
          key: "local/rpc/rpc",
          protocol: "grpc",
          policy,
          matches: [byHost("rpc.localhost")],
          endpoints: [calls.address],
        }) // prettier-ignore
        .service({ key: "local/db/sql", protocol: "tcp", policy, matches: [byPort(port)], endpoints: [raw.address] });
      await rig.publish();
      const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: HOST } });
      await once(socket, "open");
      socket.send("hello");
      const [message] = (await once(socket, "message")) as [Buffer];
      expect(message.toString()).toBe("hello");
      socket.close();
      using client = grpcClient(rig.port, "rpc.localhost");
      expect((await unary(client, "hi")).toString()).toBe("hi");
      using bytes = await RawClient.connect(port, "to and");
      await until(() => bytes.received === "to and");
      bytes.socket.end(" fro");
      await until(() => bytes.ended);
      expect(bytes.received).toBe("to and fro|bye");
    });

    test("shows the task who it is, where the service gives it a certificate", async () => {
      const own = selfSigned(["gate.internal"]);
      const seen: string[] = [];
      const options = { requestCert: true, ca: own.certificate, rejectUnauthorized: true };
      await using app = await startTlsApp(
        pem,
        (socket) => {
          seen.push(socket.getPeerCertificate().fingerprint256);
          socket.end("in");
        },
        options,
      );
      await using rig = await startRig(start);
      const port = await freePort();
      const identity = `${own.certificate}${own.key}`;
      const upstreamTls = { ...policy.upstreamTls, identity };
      rig.table.service({ key: KEY, protocol: "tcp", policy: { upstreamTls }, matches: [byPort(port)], endpoints: [app.address] }); // prettier-ignore
      await rig.publish();
      using client = await RawClient.connect(port);
      await until(() => client.ended);
      expect([client.received, seen]).toEqual(["in", [fingerprint(own)]]);
    });

    test.each([
      ["full", { verify: "full", serverName: TASK }, 502],
      ["full, by another name", { verify: "full", serverName: "x.internal", authority: pem.certificate }, 502],
      ["full, by its address", { verify: "full", authority: pem.certificate }, 502],
      ["authority alone", { verify: "authority", serverName: "x.internal", authority: pem.certificate }, 200],
      ["authority, another", { verify: "authority", authority: selfSigned([TASK]).certificate }, 502],
      ["none", { verify: "none" }, 200],
    ] as const)("verifies the task: %s", async (_what, upstreamTls, status) => {
      await using app = await startHttpsApp(pem);
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, policy: { upstreamTls }, matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      expect((await ask(rig.port, HOST)).status).toBe(status);
      expect(rig.explained).toEqual(status === 200 ? [] : ["tls_failed"]);
    });

    test("says what cannot be used, and what speaks no TLS or nothing at all", async () => {
      await using plain = await startTcpApp((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
      await using silent = await startTcpApp(() => undefined);
      await using rig = await startRig(start);
      const bad = { upstreamTls: { ...policy.upstreamTls, identity: pem.certificate } };
      const slow = { ...policy, connectTimeoutMs: 100 };
      rig.table
        .service({ key: "local/a/web", policy, matches: [byHost("a.localhost")], endpoints: [plain.address] })
        .service({ key: "local/b/web", policy: slow, matches: [byHost("b.localhost")], endpoints: [silent.address] })
        .service({ key: "local/c/web", policy: bad, matches: [byHost("c.localhost")], endpoints: [plain.address] });
      await rig.publish();
      const asked = ["a", "b", "c"].map((host) => ask(rig.port, `${host}.localhost`).then(({ status }) => status));
      expect(await Promise.all(asked)).toEqual([502, 504, 502]);
      const problems = rig.status().problems.map(({ code, subject }) => `${code} ${subject}`);
      expect(problems).toEqual(["upstream_tls_unusable local/c/web"]);
      expect(JSON.stringify(rig.status().problems)).not.toContain("BEGIN");
    });
  });
}

const to = ({ port }: { readonly port: number }) => ({ port, host: "127.0.0.1" });

function fingerprint(pem: Pem): string {
  const context = new tls.TLSSocket(new net.Socket(), { isServer: true, cert: pem.certificate, key: pem.key });
  const certificate = context.getX509Certificate();
  context.destroy();
  return certificate?.fingerprint256 ?? "";
}

async function shownTo(rig: Rig, servername: string | undefined): Promise<string> {
  const named = servername === undefined ? {} : { servername };
  const socket = tls.connect({ ...to(rig), ...named, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

function statusOf(rig: Rig, servername: string | undefined, host: string): Promise<number> {
  const named = { servername: servername ?? "" };
  return new Promise((resolve, reject) => {
    const request = https.get(
      { ...to(rig), ...named, headers: { host }, rejectUnauthorized: false, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    request.on("error", reject);
  });
}

/** What node's own client sends first. */
async function recordHello(servername: string): Promise<Buffer> {
  const { promise: hello, resolve } = Promise.withResolvers<Buffer>();
  await using app = await startTcpApp((socket) => void socket.once("data", resolve));
  const client = tls.connect({ ...to(app.address), servername });
  client.on("error", () => undefined);
  const bytes = await hello;
  client.destroy();
  return bytes;
}

async function startTlsApp(pem: Pem, handle: (socket: TLSSocket) => void, options: tls.TlsOptions = {}) {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = tls.createServer(
    { cert: pem.certificate, key: pem.key, allowHalfOpen: true, ...options },
    (socket) => {
      count += 1;
      socket.on("error", () => undefined);
      handle(socket);
    },
  );
  return serving(server, sockets, () => count);
}

async function startHttpsApp(pem: Pem, names: (string | false | undefined)[] = []) {
  const server = https.createServer({ cert: pem.certificate, key: pem.key }, echo);
  server.on("secureConnection", (socket: TLSSocket & { servername?: string | false }) => {
    names.push(socket.servername);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (message) => socket.send(message)));
  return serving(server, new Set(), () => names.length);
}

async function serving(server: tls.Server, sockets: Set<Socket>, count: () => number) {
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: { ip: "127.0.0.1", port },
    count,
    [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}

async function startSecureGrpc(pem: Pem) {
  const server = new grpc.Server();
  server.addService(ECHO_SERVICE, {
    unary: ((call, callback) => callback(null, call.request)) as grpc.handleUnaryCall<Buffer, Buffer>,
  });
  const keys = [{ private_key: Buffer.from(pem.key), cert_chain: Buffer.from(pem.certificate) }];
  const credentials = grpc.ServerCredentials.createSsl(null, keys);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return {
    address: { ip: "127.0.0.1", port },
    [Symbol.asyncDispose]() {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
}
