import grpc from "@grpc/grpc-js";
import { once } from "node:events";
import { createHash } from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request as undiciRequest } from "undici";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Decision, Session } from "../model/index.ts";
import { describeBounds } from "./contract/bounds.ts";
import { describeCertificates } from "./contract/certificates.ts";
import { describeFronts } from "./contract/fronts.ts";
import { describeGrpcSessions } from "./contract/grpc-sessions.ts";
import { describeHttp2Upgrades } from "./contract/http2-upgrades.ts";
import { describeIsolation } from "./contract/isolation.ts";
import { describePassThrough } from "./contract/pass-through.ts";
import { type Differences, planeSuite } from "./contract/plane-test.ts";
import { describeProxyProtocol } from "./contract/proxy-protocol.ts";
import { describeHealth, watchHealth } from "./contract/health.ts";
import { describeReplicas } from "./contract/replicas.ts";
import { describeSticky } from "./contract/sticky.ts";
import { describeUpstreamTls } from "./contract/upstream-tls.ts";
import { endpointKey } from "./dataplane.ts";
import { echo, freePort, startHttpApp, startTcpApp, type App } from "./testing/apps.ts";
import { ask, echoed, RawClient, type Reply } from "./testing/clients.ts";
import { grpcClient, startGrpcApp, unary } from "./testing/grpc-app.ts";
import { heldBytes } from "./testing/memory.ts";
import { startRig, until, type Rig, type StartPlane } from "./testing/rig.ts";
import { selfSigned } from "./testing/self-signed.ts";
import { byHeaders, byHost, byPath, byPort } from "./testing/table-builder.ts";
import { ALLOW } from "./testing/test-gatekeeper.ts";
import { writePem } from "./testing/write-pem.ts";

const HOST = "nb.localhost";
const KEY = "local/nb/web";
const ID = "x-taskgate-service";
const PAGE = { accept: "text/html,application/xhtml+xml" };

const SESSION: Session = {
  id: "s1",
  principal: { realm: "local", name: "owner", groups: [], admin: false },
  service: KEY,
  expiresAt: Date.now() + 3_600_000,
  renewAt: Date.now() + 3_600_000,
};

/** The suite that every data plane passes, with real clients and real jobs. */
export function describeDataPlane(name: string, start: StartPlane, differences: Differences = {}): void {
  const suite = planeSuite(name, start, differences);
  const { test } = suite;
  const serving = async (app: Pick<App, "address">, rigOptions: Parameters<typeof startRig>[1] = {}): Promise<Rig> => {
    const rig = await startRig(start, rigOptions);
    rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
    await rig.publish();
    return rig;
  };

  describe(`${name} data plane: which route`, () => {
    test("finds a host whatever its case, port or trailing dot", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      for (const host of [HOST, "NB.LocalHost", `${HOST}:7080`, `${HOST}.`, `${HOST}.:1`]) {
        expect((await ask(rig.port, host)).status, host).toBe(200);
      }
    });

    test("answers for an unknown host what it is told, and marks it as its own", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      const reply = await ask(rig.port, "other.localhost");
      expect([reply.status, reply.headers["x-taskgate-error"]]).toEqual([404, "unknown_host"]);
      expect(reply.headers["cache-control"]).toBe("no-store");
      await expect.poll(() => rig.answers()).toContain("http 404 gate");
    });

    test.each([
      ["no Host", "GET / HTTP/1.1\r\n\r\n"],
      ["two Hosts", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${HOST}\r\n\r\n`],
      ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
      ["a list as Host", `GET / HTTP/1.1\r\nHost: ${HOST},${HOST}\r\n\r\n`],
      ["a Host with a path", `GET / HTTP/1.1\r\nHost: ${HOST}/x\r\n\r\n`],
      ["a Host with a login", `GET / HTTP/1.1\r\nHost: a@${HOST}\r\n\r\n`],
      ["a Host with a bad port", `GET / HTTP/1.1\r\nHost: ${HOST}:x\r\n\r\n`],
      ["a target that disagrees with Host", `GET http://other.localhost/ HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
      ["a target that is no path", `GET nb HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
      [
        "a length and chunks",
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ],
      ["two lengths", `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`],
      ["a space before a colon", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX : y\r\n\r\n`],
    ])("refuses %s with 400, and no job hears of it", async (_what, bytes) => {
      let heard = 0;
      await using app = await startHttpApp((req, res) => {
        heard += 1;
        echo(req, res);
      });
      await using rig = await serving(app);
      using client = await RawClient.connect(rig.port, bytes);
      await until(() => client.received.includes("\r\n\r\n"));
      expect(client.received).toMatch(/^HTTP\/1\.1 400 /);
      expect(client.received.toLowerCase()).toContain("x-taskgate-error: ");
      expect(heard).toBe(0);
    });

    test("takes a target in absolute form that agrees with Host", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      const reply = await ask(rig.port, HOST, { path: `http://${HOST}/a?b` });
      expect(echoed(reply).url).toBe("/a?b");
    });

    test("lets the id header name a service where Host names none, and keeps it from the job", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      for (const host of ["127.0.0.1", "unknown.localhost"]) {
        for (const id of ["nb", HOST, "NB"]) {
          const reply = await ask(rig.port, host, { headers: { [ID]: id } });
          expect(reply.status, `${host} ${id}`).toBe(200);
          expect(echoed(reply).header(ID)).toBeUndefined();
        }
      }
      expect((await ask(rig.port, "127.0.0.1", { headers: { [ID]: "other" } })).status).toBe(404);
      expect((await ask(rig.port, "127.0.0.1", { fields: [ID, "nb", ID, "nb"] })).status).toBe(404);
    });

    test("refuses an id header that names another service than Host does with 421, and asks nobody", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.table.service({ key: "local/other/web", matches: [byHost("other.localhost")], endpoints: [app.address] });
      rig.table.service({
        key: "gate/taskgate/api",
        matches: [byHost("taskgate.localhost")],
        endpoints: [app.address],
      });
      await rig.publish();
      for (const [host, id] of [
        [HOST, "other"],
        [HOST, "nobody"],
        ["taskgate.localhost", "nb"],
      ] as const) {
        expect((await ask(rig.port, host, { headers: { [ID]: id } })).status, `${host} ${id}`).toBe(421);
      }
      expect((await ask(rig.port, HOST, { headers: { [ID]: "nb" } })).status).toBe(200);
      await until(() => rig.gatekeeper.seen.length > 0);
      expect(rig.gatekeeper.seen.map(({ route }) => route.service)).toEqual([KEY]);
    });

    test("finds a conjunction of headers, the longest that holds, under the same rules as the id header", async () => {
      await using app = await startHttpApp(echo);
      await using other = await startHttpApp((_req, res) => res.end("other"));
      await using rig = await serving(app);
      const one = [["x-yt-taskproxy-id", "abc"]] as const;
      rig.table.service({ key: KEY, matches: [byHost(HOST), byHeaders(one)], endpoints: [app.address] });
      const two = byHeaders([...one, ["x-part", "2"]]);
      rig.table.service({ key: "local/two/web", matches: [two], endpoints: [other.address] });
      await rig.publish();
      const get = (host: string, headers: Record<string, string>) => ask(rig.port, host, { headers });
      expect((await get("127.0.0.1", { "X-YT-TaskProxy-Id": "abc" })).status).toBe(200);
      expect((await get("127.0.0.1", { "x-yt-taskproxy-id": "abc", "x-part": "2" })).body).toBe("other");
      expect((await get("127.0.0.1", { "x-yt-taskproxy-id": "abd" })).status).toBe(404);
      expect((await get(HOST, { "x-yt-taskproxy-id": "abc" })).status).toBe(200);
      expect((await get(HOST, { "x-yt-taskproxy-id": "abc", "x-part": "2" })).status).toBe(421);
    });

    test("serves path mode by the longest prefix, with paths, redirects and cookies mapped once", async () => {
      await using app = await startHttpApp((req, res) => {
        const url = new URL(req.url ?? "/", "http://x");
        if (url.pathname !== "/go") return echo(req, res);
        res.writeHead(302, [
          "Location",
          url.searchParams.get("to") ?? "",
          "Set-Cookie",
          "a=1; Path=/x",
          "Set-Cookie",
          "b=2; path=/nb/y",
        ]);
        res.end();
      });
      await using deep = await startHttpApp((_req, res) => res.end("deep"));
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, matches: [byPath("paths.localhost", "/nb/")], endpoints: [app.address] });
      rig.table.service({
        key: "local/d/web",
        matches: [byPath("paths.localhost", "/nb/deep/")],
        endpoints: [deep.address],
      });
      rig.table.service({
        key: "local/k/web",
        matches: [byPath("paths.localhost", "/kept/", false)],
        endpoints: [app.address],
      });
      await rig.publish();
      const get = (path: string) => ask(rig.port, "paths.localhost", { path });
      const seen = echoed(await get("/nb/a%20b/?q=/nb/"));
      expect([seen.url, seen.header("x-forwarded-prefix")]).toEqual(["/a%20b/?q=/nb/", "/nb"]);
      expect((await get("/nb/deep/x")).body).toBe("deep");
      expect(echoed(await get("/kept/x")).url).toBe("/kept/x");
      expect((await get("/nbx/")).status).toBe(404);
      expect((await get("/")).status).toBe(404);
      const bare = await get("/nb?x=1");
      expect([bare.status, bare.headers.location]).toEqual([308, "/nb/?x=1"]);
      const redirected = await get("/nb/go?to=/x");
      expect(redirected.headers.location).toBe("/nb/x");
      expect(redirected.headers["set-cookie"]).toEqual(["a=1; Path=/nb/x", "b=2; path=/nb/y"]);
      expect((await get("/nb/go?to=/nb/x")).headers.location).toBe("/nb/x");
      expect((await get("/nb/go?to=x")).headers.location).toBe("x");
      expect((await get("/nb/go?to=http://paths.localhost/x")).headers.location).toBe("http://paths.localhost/nb/x");
      expect((await get("/nb/go?to=https://example.com/x")).headers.location).toBe("https://example.com/x");
    });

    test("never gives a job what is under the gate's path, on its host or below its prefix", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.table.service({
        key: KEY,
        matches: [byHost(HOST), byPath("paths.localhost", "/nb/")],
        endpoints: [app.address],
      });
      rig.table.service({
        key: "gate/taskgate/api",
        matches: [byHost("taskgate.localhost")],
        endpoints: [app.address],
      });
      await rig.publish();
      const admitted: string[] = [];
      rig.gatekeeper.admitting = (_route, head) => {
        admitted.push(head.path);
        return Promise.resolve(ALLOW);
      };
      for (const path of ["/.taskgate/x", "/.taskgate/", "/.taskgate", "/.taskgate?x"]) {
        expect((await ask(rig.port, HOST, { path })).status, path).toBe(404);
        expect((await ask(rig.port, "paths.localhost", { path: `/nb${path}` })).status, path).toBe(404);
      }
      expect(admitted).toHaveLength(8);
      const redirect: Decision = { kind: "redirect", location: "/after", respond: [["set-cookie", "s=1"]] };
      rig.gatekeeper.admitting = () => Promise.resolve(redirect);
      const reply = await ask(rig.port, HOST, { path: "/.taskgate/enter?code=1" });
      expect([reply.status, reply.headers.location, reply.headers["set-cookie"]]).toEqual([302, "/after", ["s=1"]]);
      expect(echoed(await ask(rig.port, "taskgate.localhost", { path: "/.taskgate/api/v1" })).url).toBe(
        "/.taskgate/api/v1",
      );
    });

    test("tells a plain request to a TCP service how to reach it, once it is let in", async () => {
      await using app = await startTcpApp(() => undefined);
      await using rig = await startRig(start);
      rig.table.service({
        key: "local/db/sql",
        protocol: "tcp",
        matches: [byHost("db.localhost")],
        endpoints: [app.address],
      });
      await rig.publish();
      const reply = await ask(rig.port, "db.localhost", { headers: { accept: "application/json" } });
      expect(reply.status).toBe(501);
      const { error } = JSON.parse(reply.body) as { error: { code: string; message: string } };
      expect(error.code).toBe("tcp_only");
      expect(error.message).toContain("taskgate forward db");
      rig.gatekeeper.checking = () => DENIED;
      expect((await ask(rig.port, "db.localhost")).status).toBe(403);
    });
  });

  describe(`${name} data plane: who may pass`, () => {
    const DENY_401: Decision = {
      kind: "deny",
      status: 401,
      code: "unauthenticated",
      reason: "log <in> first",
      challenge: 'Bearer realm="taskgate"',
    };

    test("denies in the form that was asked for", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => DENY_401;
      const page = await ask(rig.port, HOST, { headers: PAGE });
      expect([page.status, page.headers["content-type"]]).toEqual([401, "text/html; charset=utf-8"]);
      expect(page.headers["www-authenticate"]).toBe('Bearer realm="taskgate"');
      expect(page.headers["x-taskgate-error"]).toBe("unauthenticated");
      expect(page.body).toContain("log &lt;in&gt; first");
      expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
      const json = await ask(rig.port, HOST, { headers: { accept: "application/json" } });
      const requestId = json.headers["x-request-id"];
      expect(JSON.parse(json.body)).toEqual({
        error: { code: "unauthenticated", message: "log <in> first", requestId },
      });
      const script = await ask(rig.port, HOST, { headers: { ...PAGE, "x-requested-with": "XMLHttpRequest" } });
      expect(script.headers["content-type"]).toBe("application/json");
      const text = await ask(rig.port, HOST, { headers: { accept: "*/*" } });
      expect(text.headers["content-type"]).toBe("text/plain; charset=utf-8");
      const head = await ask(rig.port, HOST, { method: "HEAD" });
      expect([head.status, head.body]).toEqual([401, ""]);
      expect(app.connections()).toBe(0);
    });

    test("asks the slow way once where the fast one does not know, and redirects as it says", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({ kind: "ask" });
      let asked = 0;
      rig.gatekeeper.admitting = async () => {
        asked += 1;
        await sleep(20);
        return { kind: "redirect", location: "http://taskgate.localhost/x", respond: [["set-cookie", "state=1"]] };
      };
      const reply = await ask(rig.port, HOST, { headers: PAGE });
      expect([reply.status, reply.headers.location, asked]).toEqual([302, "http://taskgate.localhost/x", 1]);
      expect(reply.headers["set-cookie"]).toEqual(["state=1"]);
      expect(reply.headers["cache-control"]).toBe("no-store");
      rig.gatekeeper.admitting = () => Promise.resolve(ALLOW);
      const late = await ask(rig.port, HOST, { method: "POST", body: "kept while it was asked" });
      expect(echoed(late).body).toBe("kept while it was asked");
    });

    test("aborts the question when the visitor leaves", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({ kind: "ask" });
      const seen: { signal: AbortSignal | null } = { signal: null };
      rig.gatekeeper.admitting = (_route, _head, signal) => {
        seen.signal = signal;
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("left")));
        });
      };
      using client = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => seen.signal !== null);
      client.socket.destroy();
      await until(() => seen.signal?.aborted === true);
      expect(app.connections()).toBe(0);
    });

    test("survives a gatekeeper that fails", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({ kind: "ask" });
      rig.gatekeeper.admitting = () => Promise.reject(new Error("secret detail"));
      const reply = await ask(rig.port, HOST);
      expect([reply.status, reply.body.includes("secret")]).toEqual([500, false]);
      expect(app.connections()).toBe(0);
    });

    test("takes out, puts in and hands back exactly what the gatekeeper says", async () => {
      await using app = await startHttpApp((req, res) => {
        res.setHeader("Set-Cookie", "app=1");
        echo(req, res);
      });
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({
        ...ALLOW,
        strip: ["authorization", "x-taskgate-user"],
        stripCookies: ["taskgate", "__Host-taskgate"],
        set: [["X-Taskgate-User", "owner"]],
        respond: [["set-cookie", "taskgate=renewed; HttpOnly"]],
      });
      const reply = await ask(rig.port, HOST, {
        fields: [
          ...["Authorization", "Bearer tg_secret"],
          ...["X-Taskgate-User", "admin"],
          ...["X_Taskgate_User", "admin"],
          ...["Cookie", 'a=1;  b="x y" ; taskgate=s; taskgate2=kept; __Host-taskgate=s;c=3'],
        ],
      });
      const seen = echoed(reply);
      expect(seen.header("authorization")).toBeUndefined();
      expect(seen.all("x-taskgate-user")).toEqual(["owner"]);
      expect(seen.all("x_taskgate_user")).toEqual([]);
      expect(seen.header("cookie")).toBe('a=1;  b="x y" ; taskgate2=kept;c=3');
      expect(reply.headers["set-cookie"]).toEqual(["app=1", "taskgate=renewed; HttpOnly"]);
      const none = echoed(await ask(rig.port, HOST, { headers: { cookie: "taskgate=s" } }));
      expect(none.header("cookie")).toBeUndefined();
    });

    test("tells the gatekeeper of every request that was let in, with its bytes", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({ ...ALLOW, session: SESSION });
      const reply = await ask(rig.port, HOST, { method: "POST", body: "12345" });
      await until(() => rig.gatekeeper.seen.length === 1 && rig.gatekeeper.open.length === 0);
      const [opened] = rig.gatekeeper.seen;
      expect(opened?.session).toEqual(SESSION);
      expect(opened?.bytes).toEqual({ in: 5, out: reply.body.length });
      await expect.poll(() => rig.open("http")).toBe(0);
      await expect.poll(() => rig.answers()).toEqual(["http 200 app"]);
      await until(() => rig.status().lastUsed.has(KEY));
    });

    test("cuts a stream, a WebSocket, a call, a tunnel and a TCP connection when it is told to", async () => {
      const port = await freePort();
      await using sse = await startHttpApp((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.write("data: 1\n\n");
      });
      await using sockets = await startWebSocketApp();
      await using calls = await startGrpcApp();
      await using tcp = await startTcpApp((socket) => socket.pipe(socket));
      await using rig = await serving(sse);
      rig.table
        .service({ key: "local/ws/web", matches: [byHost("ws.localhost")], endpoints: [sockets.address] })
        .service({
          key: "local/rpc/web",
          protocol: "grpc",
          matches: [byHost("rpc.localhost")],
          endpoints: [calls.address],
        })
        .service({
          ...{ key: "local/tcp/raw", protocol: "tcp", guard: "self" },
          matches: [byHost("tcp.localhost"), byPort(port)],
          endpoints: [tcp.address],
        });
      await rig.publish();
      using stream = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: "ws.localhost" } });
      await once(socket, "open");
      using client = grpcClient(rig.port, "rpc.localhost");
      const chat = client.chat();
      const chatError = once(chat, "error").catch((error: unknown) => [error]);
      const failed = new Promise<grpc.ServiceError>((resolve) => chat.on("error", resolve));
      chat.write(Buffer.from("hi"));
      await once(chat, "data");
      using tunnel = await RawClient.connect(
        rig.port,
        "CONNECT tcp.localhost:1 HTTP/1.1\r\nHost: tcp.localhost:1\r\n\r\n",
      );
      using raw = await RawClient.connect(port, "x");
      await until(() => stream.received.includes("data: 1") && tunnel.received.includes("200") && raw.received === "x");
      expect(rig.gatekeeper.open).toHaveLength(5);
      const closed = once(socket, "close");
      for (const { cut } of [...rig.gatekeeper.open]) cut();
      await until(() => stream.over && tunnel.over && raw.over && rig.gatekeeper.open.length === 0);
      await closed;
      await chatError;
      expect((await failed).code).not.toBe(grpc.status.OK);
      await until(() => sse.sockets.size === 0 && tcp.sockets.size === 0 && calls.cancelled() === 1);
    });
  });

  describe(`${name} data plane: HTTP/1.1`, () => {
    test("drops what is of one connection only, and says anew who asks", async () => {
      expect(await passHopFields(start)).toBeUndefined();
    });

    test("carries trailers both ways", async () => {
      await using app = await startHttpApp((req, res) => {
        req.resume().on("end", () => {
          res.writeHead(200, { trailer: "x-sum" });
          res.write("body");
          res.addTrailers({ "x-sum": "1", "x-seen": req.trailers["x-in"] ?? "none" });
          res.end();
        });
      });
      await using rig = await serving(app);
      using client = await RawClient.connect(
        rig.port,
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\nTrailer: x-in\r\n\r\n2\r\nhi\r\n0\r\nx-in: yes\r\n\r\n`,
      );
      await until(() => client.received.includes("x-seen: yes\r\n\r\n"));
      expect(client.received).toContain("0\r\nx-sum: 1\r\n");
      expect(client.received.toLowerCase()).toContain("trailer: x-sum");
    });

    test("takes out of trailers what says who is asking, however it is spelled", async () => {
      const seen: string[][] = [];
      await using app = await startHttpApp((req, res) => {
        req.resume().on("end", () => {
          seen.push(req.rawTrailers);
          res.end("over");
        });
      });
      await using rig = await serving(app);
      const forged = ["Remote-User", "X_Webauth_User", "remote.user", "X-Taskgate-User", "Cookie", "Authorization"];
      const trailers = [...forged, "X-Sum"].map((name) => `${name}: x\r\n`).join("");
      using client = await RawClient.connect(
        rig.port,
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${trailers}\r\n`,
      );
      await until(() => client.received.includes("over"));
      expect(seen).toEqual([["X-Sum", "x"]]);
    });

    test("refuses versions that are none, and transfer codings in HTTP/1.0, and ends such a connection", async () => {
      await using app = await startHttpApp((req, res) => res.end(req.url));
      await using rig = await serving(app);
      const keep = `Host: ${HOST}\r\nConnection: keep-alive\r\n`;
      for (const head of [
        `GET /\r\n${keep}`,
        `GET / HTTP/2.0\r\n${keep}`,
        `POST / HTTP/1.0\r\n${keep}Transfer-Encoding: chunked\r\n`,
      ]) {
        using client = await RawClient.connect(rig.port, `${head}\r\n0\r\n\r\n`);
        await until(() => client.ended);
        expect(client.received).toMatch(/^HTTP\/1\.1 (400|505) /);
      }
    });

    test("passes 100 and 103 on as they come", async () => {
      await using app = await startHttpApp((req, res) => res.end(req.url));
      app.server.on("checkContinue", (req: http.IncomingMessage, res: http.ServerResponse) => {
        if (req.url === "/no") return res.writeHead(417).end("no");
        res.writeEarlyHints({ link: "</a.css>; rel=preload" });
        res.writeContinue();
        echo(req, res);
      });
      await using rig = await serving(app);
      const head = `HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
      using client = await RawClient.connect(rig.port, `POST / ${head}`);
      await until(() => client.received.includes("100 Continue"));
      expect(client.received.indexOf("103 Early Hints")).toBeLessThan(client.received.indexOf("100 Continue"));
      expect(client.received.toLowerCase()).toContain("link: </a.css>; rel=preload");
      client.send("body");
      await until(() => client.received.includes('"body":"body"'));
      using refused = await RawClient.connect(rig.port, `POST /no ${head}`);
      await until(() => refused.ended);
      expect(refused.received).toMatch(/^HTTP\/1\.1 417 /);
      expect(refused.received).not.toContain("100 Continue");
    });

    test("keeps answers without a body as they are, on one connection", async () => {
      await using app = await startHttpApp((req, res) => {
        if (req.method === "HEAD") res.writeHead(200, { "content-length": "12345" });
        else res.writeHead(req.url === "/204" ? 204 : req.url === "/304" ? 304 : 200, { etag: '"x"' });
        res.end();
      });
      await using rig = await serving(app);
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const get = (method: string, path: string) => ask(rig.port, HOST, { method, path, agent });
      expect((await get("HEAD", "/")).headers["content-length"]).toBe("12345");
      expect((await get("GET", "/204")).status).toBe(204);
      const unchanged = await get("GET", "/304");
      expect([unchanged.status, unchanged.headers.etag]).toEqual([304, '"x"']);
      expect((await get("GET", "/")).status).toBe(200);
      expect((await get("OPTIONS", "/")).status).toBe(200);
      agent.destroy();
      expect(app.connections()).toBe(1);
    });

    test("keeps every field as it was sent, repeated ones and odd bytes too", async () => {
      await using app = await startHttpApp((_req, res) => {
        res.writeHead(203, "Quite\u00e9 fine", [
          "X-A",
          "1",
          "x-a",
          "2",
          "Set-Cookie",
          "a=1",
          "Set-Cookie",
          "b=2",
          "X-Odd",
          "\u00e9\u00ff",
        ]);
        res.end("body");
      });
      await using rig = await serving(app);
      const reply = await ask(rig.port, HOST);
      expect(reply.status).toBe(203);
      expect(reply.rawHeaders.slice(0, 10)).toEqual([
        "X-A",
        "1",
        "x-a",
        "2",
        "Set-Cookie",
        "a=1",
        "Set-Cookie",
        "b=2",
        "X-Odd",
        "\u00e9\u00ff",
      ]);
    });

    test("drops cookies for a parent domain and of the gate's names, and a forged mark of the gate", async () => {
      const cookies = [
        ["evil=1; Domain=localhost", false],
        ["evil=2; domain=.LOCALHOST; Path=/", false],
        ["taskgate=1", false],
        ["__Host-taskgate-x=1; Path=/; Secure", false],
        ["TaskGate=1", false],
        ["=taskgate=1", false],
        [`own=1; Domain=${HOST}`, true],
        ["plain=1; Domain=elsewhere.example", false],
        ["plain=2; HttpOnly", true],
      ] as const;
      await using app = await startHttpApp((_req, res) => {
        const fields = cookies.flatMap(([value]) => ["Set-Cookie", value]);
        res.writeHead(200, ["X-Taskgate-Error", "denied", "x_taskgate_error", "denied", ...fields]);
        res.end();
      });
      await using rig = await serving(app);
      const reply = await ask(rig.port, HOST);
      expect(reply.headers["set-cookie"]).toEqual(cookies.filter(([, kept]) => kept).map(([value]) => value));
      expect(reply.rawHeaders.join().toLowerCase()).not.toContain("error");
    });

    test("shows a job that checks for it its own address as Host and Origin, and nobody else", async () => {
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/go") res.writeHead(302, { location: `http://${own}/lab?x` }).end();
        else echo(req, res);
      });
      const own = `localhost:${String(app.address.port)}`;
      await using rig = await startRig(start);
      const policy = { rewriteHost: true };
      rig.table.service({ key: KEY, policy, matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      const host = `${HOST}:7080`;
      const headers = { origin: `http://${host}`, referer: `http://${host}/lab?x` };
      const seen = echoed(await ask(rig.port, host, { headers }));
      expect(["host", "origin", "referer", "x-forwarded-host"].map((field) => seen.header(field))).toEqual([
        own,
        `http://${own}`,
        `http://${own}/lab?x`,
        host,
      ]);
      const foreign = echoed(await ask(rig.port, host, { headers: { origin: "http://evil.localhost:7080" } }));
      expect(foreign.header("origin")).toBe("http://evil.localhost:7080");
      expect((await ask(rig.port, host, { path: "/go" })).headers.location).toBe(`http://${host}/lab?x`);
    });

    test("sends the head of a stream and each event as they come", async () => {
      const streams: http.ServerResponse[] = [];
      await using app = await startHttpApp((_req, res) => {
        streams.push(res.writeHead(200, { "content-type": "text/event-stream" }));
        res.flushHeaders();
      });
      await using rig = await serving(app);
      using client = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => client.received.includes("\r\n\r\n"));
      expect(client.received).not.toContain("data:");
      for (const text of ["one", "two"]) {
        streams[0]?.write(`data: ${text}\n\n`);
        await until(() => client.received.includes(`data: ${text}`));
      }
    });

    test("lets a client's leaving reach the job, before and in the midst of the answer", async () => {
      let open = 0;
      await using app = await startHttpApp((req, res) => {
        open += 1;
        res.once("close", () => (open -= 1));
        if (req.url === "/begun") res.write("begun");
      });
      await using rig = await serving(app);
      for (const path of ["/silent", "/begun"]) {
        using client = await RawClient.connect(rig.port, `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
        await until(() => open === 1 && (path === "/silent" || client.received.includes("begun")));
        client.socket.destroy();
        await until(() => open === 0 && rig.gatekeeper.open.length === 0);
      }
      using upload = await RawClient.connect(
        rig.port,
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 99\r\n\r\nabc`,
      );
      await until(() => open === 1);
      upload.socket.resetAndDestroy();
      await until(() => open === 0 && rig.gatekeeper.open.length === 0);
    });

    test("answers pipelined requests one at a time, in order, and none when their visitor has left", async () => {
      const held: http.ServerResponse[] = [];
      let left = 0;
      await using app = await startHttpApp((req, res) => {
        res.once("close", () => (left += 1));
        if (req.url === "/late") setTimeout(() => res.end("first"), 50);
        else if (req.url === "/hold") held.push(res);
        else res.end("second");
      });
      await using rig = await serving(app);
      const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
      using client = await RawClient.connect(rig.port, get("/late") + get("/now"));
      await until(() => client.received.includes("second"));
      expect(client.received.indexOf("first")).toBeLessThan(client.received.indexOf("second"));
      left = 0;
      using leaver = await RawClient.connect(rig.port, get("/hold") + get("/now") + get("/hold"));
      await until(() => held.length === 1);
      leaver.socket.destroy();
      await until(() => left === 1 && rig.gatekeeper.open.length === 0);
      expect(held).toHaveLength(1);
    });

    test.each([
      ["chunks", { "x-a": "1" }, "1.1"],
      ["a length", { "content-length": "99" }, "1.1"],
      ["neither", { "x-a": "1" }, "1.0"],
    ])("never ends an answer cleanly that its job broke off (%s)", async (_what, headers, version) => {
      await using app = await startHttpApp((req, res) => {
        res.writeHead(200, headers);
        res.write("half");
        setTimeout(() => req.socket.resetAndDestroy(), 50);
      });
      await using rig = await serving(app);
      using client = await RawClient.connect(rig.port, `GET / HTTP/${version}\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => client.over);
      expect(client.received).not.toContain("0\r\n\r\n");
      if (version === "1.0") expect(client.error).toBe("ECONNRESET");
      else await expect(ask(rig.port, HOST)).rejects.toThrow();
    });

    test("answers 502 when a job closes without a word, and says so to who explains", async () => {
      await using app = await startTcpApp((socket) => socket.once("data", () => socket.destroy()));
      await using rig = await serving(app);
      const reply = await ask(rig.port, HOST, { method: "POST", body: "x" });
      expect([reply.status, reply.headers["x-taskgate-error"]]).toEqual([502, "unreachable"]);
      expect(rig.explained).toEqual(["reset"]);
    });

    test("repeats a request that met a dying idle connection only where that changes nothing", async () => {
      let served = 0;
      await using app = await startTcpApp((socket) => {
        let requests = 0;
        socket.on("data", () => {
          requests += 1;
          if (requests > 1) return socket.destroy(); // an idle connection that ends just as it is used
          served += 1;
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        });
      });
      await using rig = await serving(app);
      for (let count = 1; count <= 4; count += 1) {
        expect((await ask(rig.port, HOST)).status).toBe(200);
        expect(served).toBe(count);
      }
      const post = await ask(rig.port, HOST, { method: "POST", body: "once" });
      expect([200, 502]).toContain(post.status);
      expect(served).toBe(post.status === 200 ? 5 : 4);
    });

    test("keeps connections to a job and uses them again", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      for (let count = 0; count < 10; count += 1) expect((await ask(rig.port, HOST)).status).toBe(200);
      expect(app.connections()).toBeLessThan(5);
    });

    test("reads a large body no faster than its reader does, and holds little of it", async () => {
      const size = 200 * 1024 * 1024;
      const chunk = Buffer.alloc(64 * 1024, "x");
      let sent = 0;
      await using app = await startHttpApp((_req, res) => {
        res.writeHead(200, { "content-length": String(size) });
        const more = () => {
          while (sent < size) {
            sent += chunk.length;
            if (!res.write(chunk)) return void res.once("drain", more);
          }
          res.end();
        };
        more();
      });
      await using rig = await serving(app);
      const before = heldBytes();
      const { body } = await undiciRequest(`http://127.0.0.1:${String(rig.port)}/`, {
        headers: { host: HOST },
        dispatcher: new Agent({ bodyTimeout: 60_000 }),
      });
      let stalledAt = -1;
      await until(() => {
        const stalled = sent > 0 && sent === stalledAt;
        stalledAt = sent;
        return stalled;
      });
      await sleep(200);
      expect(sent).toBeLessThan(64 * 1024 * 1024);
      let received = 0;
      let peak = 0;
      for await (const part of body as AsyncIterable<Buffer>) {
        received += part.length;
        if (received % (16 * 1024 * 1024) < part.length) peak = Math.max(peak, heldBytes());
      }
      expect(received).toBe(size);
      expect(peak - before).toBeLessThan(80 * 1024 * 1024);
    });

    test("carries a large upload whole, no faster than its job reads it", async () => {
      const size = 64 * 1024 * 1024;
      const chunk = Buffer.alloc(64 * 1024, "y");
      let received = 0;
      let release: () => void = () => undefined;
      await using app = await startHttpApp((req, res) => {
        release = () => {
          req.on("data", (part: Buffer) => (received += part.length));
          req.on("end", () => res.end(String(received)));
        };
      });
      await using rig = await serving(app);
      let sent = 0;
      const request = http.request({ port: rig.port, host: "127.0.0.1", method: "POST", headers: { host: HOST } });
      const answer = once(request, "response") as Promise<[http.IncomingMessage]>;
      const more = () => {
        while (sent < size) {
          sent += chunk.length;
          if (!request.write(chunk)) return void request.once("drain", more);
        }
        request.end();
      };
      more();
      let stalledAt = -1;
      await until(() => {
        const stalled = sent > 0 && sent === stalledAt;
        stalledAt = sent;
        return stalled;
      });
      await sleep(200);
      expect(sent).toBeLessThan(size);
      release();
      const [response] = await answer;
      let text = "";
      for await (const part of response) text += String(part);
      expect(text).toBe(String(size));
    });

    test("tells the job of a request before its body comes", async () => {
      await using app = await startHttpApp((req, res) => {
        res.write("go on|");
        req.pipe(res);
      });
      await using rig = await serving(app);
      for (const framing of ["Content-Length: 4", "Transfer-Encoding: chunked"]) {
        using client = await RawClient.connect(rig.port, `POST / HTTP/1.1\r\nHost: ${HOST}\r\n${framing}\r\n\r\n`);
        await until(() => client.received.includes("go on|"));
        client.send(framing.startsWith("C") ? "body" : "4\r\nbody\r\n0\r\n\r\n");
        await until(() => client.received.includes("body"));
      }
    });

    test("passes an early answer on while the request is still being sent", async () => {
      await using app = await startHttpApp((_req, res) => res.writeHead(413).end("too much"));
      await using rig = await serving(app);
      using client = await RawClient.connect(
        rig.port,
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100\r\n\r\nab`,
      );
      await until(() => client.received.includes("too much"));
      expect(client.received).toMatch(/^HTTP\/1\.1 413 /);
    });

    test("answers 431 for a head that is too large, and 408 for one that comes too slowly", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app, { limits: { headerBytes: 16 * 1024, headerTime: 300 } });
      using large = await RawClient.connect(
        rig.port,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
      );
      await until(() => large.received.includes("\r\n\r\n"));
      expect(large.received).toMatch(/^HTTP\/1\.1 431 /);
      using slow = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX: `);
      await until(() => slow.over);
      expect(slow.received).toMatch(/^(HTTP\/1\.1 408 |$)/);
      using silent = await RawClient.connect(rig.port);
      await until(() => silent.over);
      expect(app.connections()).toBe(0);
    });

    test.each([
      ["no HTTP at all", "hello\r\n\r\n"],
      ["a control character in a field", "HTTP/1.1 200 OK\r\nX: a\u0001b\r\nContent-Length: 0\r\n\r\n"],
      ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
      ["a coding that nobody asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
      ["a head without end", `HTTP/1.1 200 OK\r\n${"X: yyyyyyyyyyyyyyyy\r\n".repeat(10_000)}`],
      [
        "a change of protocols that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      ],
    ])("answers 502 when a job answers with %s, and lives on", async (_what, bytes) => {
      await using app = await startTcpApp((socket) => socket.once("data", () => socket.end(bytes, "latin1")));
      await using rig = await serving(app);
      const reply = await ask(rig.port, HOST);
      expect(reply.status).toBe(502);
      expect(reply.headers["x-taskgate-error"]).toBeDefined();
      expect((await ask(rig.port, "unknown.localhost")).status).toBe(404);
    });

    test("passes thousands of fields on, none lost", async () => {
      await using app = await startTcpApp((socket) => {
        const fields = Array.from({ length: 4000 }, (_, at) => `X-${String(at)}: 1\r\n`).join("");
        socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`));
      });
      await using rig = await serving(app, { limits: { headerFields: 5000 } });
      using client = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => client.received.endsWith("ok"));
      expect(client.received.match(/^X-\d+: 1\r$/gim)).toHaveLength(4000);
    });

    test("gives up on a job that is silent for too long, before and in the midst of an answer", async () => {
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/begun") res.write("begun");
      });
      await using rig = await startRig(start);
      rig.table.service({
        key: KEY,
        policy: { idleTimeoutMs: 150 },
        matches: [byHost(HOST)],
        endpoints: [app.address],
      });
      await rig.publish();
      expect((await ask(rig.port, HOST)).status).toBe(504);
      expect(rig.explained).toEqual(["idle_timeout"]);
      await expect(ask(rig.port, HOST, { path: "/begun" })).rejects.toThrow();
    });

    test("refuses connections beyond its bound with 503, and takes them again after", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app, { limits: { connections: 2 } });
      const one = await RawClient.connect(rig.port);
      using two = await RawClient.connect(rig.port);
      using three = await RawClient.connect(rig.port);
      await until(() => three.ended);
      expect(three.received).toMatch(/^HTTP\/1\.1 503 /);
      expect(three.received.toLowerCase()).toContain("retry-after: ");
      one.socket.destroy();
      await until(() => one.closed);
      let reply = await ask(rig.port, HOST).catch(() => null);
      for (let more = 0; more < 200 && reply?.status !== 200; more += 1) {
        await sleep(10);
        reply = await ask(rig.port, HOST).catch(() => null);
      }
      expect(reply?.status).toBe(200);
      expect(two.closed).toBe(false);
    });

    test("notices a request that comes back to it from its own job", async () => {
      await using app = await startHttpApp((req, res) => {
        const { host = "", ...headers } = req.headers;
        void ask(rig.port, host, { headers }).then((reply) => res.writeHead(reply.status, { "x-inner": "1" }).end());
      });
      await using rig = await serving(app);
      const reply = await ask(rig.port, HOST);
      expect([reply.status, reply.headers["x-inner"]]).toEqual([502, "1"]);
    });
  });

  describe(`${name} data plane: upgrades`, () => {
    test("carries WebSocket messages both ways, small and large, and how they end", async () => {
      await using app = await startWebSocketApp();
      await using rig = await serving(app);
      const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/chat`, ["v2"], { headers: { host: HOST } });
      await once(socket, "open");
      expect(socket.protocol).toBe("v2");
      for (const size of [1, 70_000, 5_000_000]) {
        const message = Buffer.alloc(size, "m");
        socket.send(message);
        const [back] = (await once(socket, "message")) as [Buffer];
        expect(createHash("sha1").update(back).digest("hex")).toBe(createHash("sha1").update(message).digest("hex"));
      }
      await expect.poll(() => rig.answers()).toContain("websocket 101 app");
      const closed = once(socket, "close");
      socket.close(4001, "done");
      expect(((await closed) as [number])[0]).toBe(4001);
      await until(() => rig.gatekeeper.open.length === 0 && app.sockets.size === 0);
    });

    test("adds to the handshake what the gatekeeper says, and takes out what it says", async () => {
      await using app = await startWebSocketApp();
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({
        ...ALLOW,
        stripCookies: ["taskgate"],
        set: [["x-taskgate-user", "owner"]],
        respond: [["set-cookie", "taskgate=new"]],
      });
      const headers = { host: HOST, cookie: "taskgate=old; a=1" };
      const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers });
      const [[response], [hello]] = (await Promise.all([once(socket, "upgrade"), once(socket, "message")])) as [
        [http.IncomingMessage],
        [Buffer],
      ];
      expect(response.headers["set-cookie"]).toEqual(["taskgate=new"]);
      expect(JSON.parse(hello.toString())).toMatchObject({ cookie: "a=1", "x-taskgate-user": "owner" });
      socket.terminate();
    });

    test("delivers a refused handshake with its body, from the job and from the gate", async () => {
      await using app = await startHttpApp((_req, res) => res.end());
      app.server.on("upgrade", (_req, socket: net.Socket) => {
        socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nX-Why: app\r\n\r\nno pass");
      });
      await using rig = await serving(app);
      const refused = await upgradeAnswer(rig.port);
      expect(refused).toMatch(/^HTTP\/1\.1 403 /);
      expect(refused).toMatch(/no pass$/);
      expect(refused.toLowerCase()).toContain("x-why: app");
      rig.gatekeeper.checking = () => DENIED;
      const denied = await upgradeAnswer(rig.port);
      expect(denied).toMatch(/^HTTP\/1\.1 403 /);
      expect(denied.toLowerCase()).toContain("x-taskgate-error: denied");
    });

    test("keeps early bytes and half-closed connections of any upgrade", async () => {
      await using app = await startTcpApp((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: thing\r\n\r\nearly");
          let rest = "";
          socket.on("data", (chunk: Buffer) => (rest += chunk.toString()));
          socket.on("end", () => setTimeout(() => socket.end(`after the end: ${rest}`), 50));
        });
      });
      await using rig = await serving(app);
      using client = await RawClient.connect(
        rig.port,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: thing\r\n\r\nhead`,
      );
      await until(() => client.received.endsWith("early"));
      client.send(" and more");
      client.socket.end();
      await until(() => client.ended);
      expect(client.received).toMatch(/after the end: head and more$/);
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("survives resets on either side in every phase of a handshake", async () => {
      let mode = "silent";
      await using app = await startTcpApp((socket) => {
        socket.on("end", () => socket.end());
        socket.once("data", () => {
          if (mode === "reset") socket.resetAndDestroy();
          if (mode !== "switch") return;
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
          socket.on("data", () => socket.resetAndDestroy());
        });
      });
      await using rig = await serving(app);
      const handshake = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
      const silent = await RawClient.connect(rig.port, handshake);
      await until(() => app.sockets.size === 1);
      silent.socket.resetAndDestroy();
      await until(() => app.sockets.size === 0);
      mode = "reset";
      using reset = await RawClient.connect(rig.port, handshake);
      await until(() => reset.ended);
      expect(reset.received).toMatch(/^HTTP\/1\.1 502 /);
      mode = "switch";
      using switched = await RawClient.connect(rig.port, handshake);
      await until(() => switched.received.includes("101"));
      switched.send("now");
      await until(() => switched.over);
      const leaver = await RawClient.connect(rig.port, handshake);
      await until(() => leaver.received.includes("101"));
      leaver.socket.resetAndDestroy();
      await until(() => app.sockets.size === 0 && rig.gatekeeper.open.length === 0);
    });

    test("takes an upgrade to h2c, and one with a body, for ordinary requests", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      for (const upgrade of ["h2c", "websocket, h2c"]) {
        const fields = [
          "Connection",
          "Upgrade, HTTP2-Settings",
          "Upgrade",
          upgrade,
          "HTTP2-Settings",
          "AAMAAABkAARAAAAAAAIAAAAA",
        ];
        const seen = echoed(await ask(rig.port, HOST, { fields }));
        expect(seen.all("upgrade")).toEqual([]);
      }
      const fields = ["Connection", "Upgrade", "Upgrade", "websocket", "Content-Length", "4"];
      expect(echoed(await ask(rig.port, HOST, { method: "POST", fields, body: "body" })).body).toBe("body");
    });
  });

  describe(`${name} data plane: HTTP/2 and gRPC`, () => {
    const serveGrpc = async (
      app: { readonly address: App["address"] },
      options: Parameters<typeof startRig>[1] = {},
    ) => {
      const rig = await startRig(start, options);
      rig.table.service({ key: KEY, protocol: "grpc", matches: [byHost("rpc.localhost")], endpoints: [app.address] });
      await rig.publish();
      return rig;
    };

    test("carries all four kinds of calls, with metadata, trailers and big messages", async () => {
      await using app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      using client = grpcClient(rig.port, "rpc.localhost");
      const metadata = new grpc.Metadata();
      metadata.set("x-in", "1");
      metadata.set("x-bytes-bin", Buffer.from([0, 255]));
      expect((await unary(client, "hi", metadata)).toString()).toBe("hi");
      expect(app.metadata()?.get("x-in")).toEqual(["1"]);
      expect(app.metadata()?.get("x-bytes-bin")).toEqual([Buffer.from([0, 255])]);
      expect(app.metadata()?.get("x-forwarded-for")).toEqual(["127.0.0.1"]);
      const big = Buffer.alloc(8 * 1024 * 1024, "b");
      expect((await unary(client, big)).equals(big)).toBe(true);
      const collected = await new Promise<Buffer | undefined>((resolve, reject) => {
        const call = client.collect((error, value) => (error === null ? resolve(value) : reject(error)));
        for (const part of ["a", "b", "c"]) call.write(Buffer.from(part));
        call.end();
      });
      expect(collected?.toString()).toBe("abc");
      const repeated: string[] = [];
      for await (const part of client.repeat(Buffer.from("r")) as AsyncIterable<Buffer>) repeated.push(part.toString());
      expect(repeated).toEqual(["r", "r", "r"]);
      const chat = client.chat();
      for (const part of ["x", "y"]) {
        chat.write(Buffer.from(part));
        expect(String((await once(chat, "data"))[0])).toBe(part);
      }
      chat.end();
      await once(chat, "end");
      await expect.poll(() => rig.answers()).toEqual(["grpc 200 app"]);
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("passes a call's failure on with its details and trailers", async () => {
      await using app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      using client = grpcClient(rig.port, "rpc.localhost");
      const error = await unary(client, "fail").catch((caught: unknown) => caught as grpc.ServiceError);
      expect(error).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED, details: "no more: ü" });
      expect((error as grpc.ServiceError).metadata.get("x-trailer")).toEqual(["kept"]);
    });

    test("answers denials and failures with a gRPC status", async () => {
      await using app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      rig.table.service({ key: "local/no/rpc", protocol: "grpc", matches: [byHost("no.localhost")], endpoints: [] });
      await rig.publish();
      const codeOf = async (host: string) => {
        using client = grpcClient(rig.port, host);
        return await unary(client, "hi").then(
          () => grpc.status.OK,
          (error: unknown) => (error as grpc.ServiceError).code,
        );
      };
      expect(await codeOf("unknown.localhost")).toBe(grpc.status.UNIMPLEMENTED);
      expect(await codeOf("no.localhost")).toBe(grpc.status.UNAVAILABLE);
      rig.gatekeeper.checking = () => DENIED;
      expect(await codeOf("rpc.localhost")).toBe(grpc.status.PERMISSION_DENIED);
      rig.gatekeeper.checking = () => ({ kind: "deny", status: 401, code: "unauthenticated", reason: "log in" });
      expect(await codeOf("rpc.localhost")).toBe(grpc.status.UNAUTHENTICATED);
    });

    test("lets a cancelled call, and a deadline, reach the job", async () => {
      await using app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      using client = grpcClient(rig.port, "rpc.localhost");
      const call = client.repeat(Buffer.from("forever"));
      const failed = once(call, "error").catch((error: unknown) => [error]);
      call.on("error", () => undefined);
      await once(call, "data");
      call.cancel();
      await failed;
      await until(() => app.cancelled() === 1 && rig.gatekeeper.open.length === 0);
    });

    test("ends calls with an error, never as whole, when their job dies", async () => {
      const app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      using client = grpcClient(rig.port, "rpc.localhost");
      const call = client.repeat(Buffer.from("forever"));
      const failed = new Promise<grpc.ServiceError>((resolve) => call.on("error", resolve));
      await once(call, "data");
      await app[Symbol.asyncDispose]();
      expect((await failed).code).not.toBe(grpc.status.OK);
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("goes on with a new session when a job says goodbye to one, and lets its calls finish", async () => {
      const sessions: http2.ServerHttp2Session[] = [];
      const server = http2.createServer();
      server.on("session", (session) => sessions.push(session));
      const held: http2.ServerHttp2Stream[] = [];
      server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" });
        if (headers[":path"] === "/hold") held.push(stream);
        else stream.end("now");
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as net.AddressInfo;
      await using rig = await serveGrpc({ address: { ip: "127.0.0.1", port } });
      const client = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const call = (path: string) =>
        client.request({ ":path": path, ":authority": "rpc.localhost", ":method": "POST" });
      const holding = call("/hold");
      holding.end();
      await once(holding, "response");
      sessions[0]?.goaway();
      const answerOf = (path: string) =>
        new Promise<string>((resolve) => {
          const stream = call(path);
          let text = "";
          stream.on("data", (part: Buffer) => (text += part.toString()));
          stream.on("error", () => undefined);
          stream.on("close", () =>
            resolve(stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ? "refused" : text),
          );
          stream.end();
        });
      // One that crosses the goodbye is refused, which tells a client that it may ask again.
      let next = await answerOf("/next");
      if (next === "refused") next = await answerOf("/next");
      expect(next).toBe("now");
      await until(() => sessions.length === 2);
      held[0]?.end("late");
      expect(String((await once(holding, "data"))[0])).toBe("late");
      client.destroy();
      server.close();
      for (const session of sessions) session.destroy();
    });

    test("lets a visitor's leaving with its whole connection reach every job", async () => {
      const pem = selfSigned([HOST]);
      await using files = await writePem(pem);
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/begun") res.write("begun");
      });
      for (const encrypted of [false, true]) {
        await using rig = await serving(app, { tls: encrypted ? files : null });
        const url = `${encrypted ? "https" : "http"}://127.0.0.1:${String(rig.port)}`;
        const session = http2.connect(url, { ca: pem.certificate, servername: HOST });
        session.on("error", () => undefined);
        for (const [path, method] of [
          ["/begun", "GET"],
          ["/silent", "GET"],
          ["/silent", "POST"],
          ["/silent", "HEAD"],
        ] as const) {
          const stream = session.request({ ":path": path, ":authority": HOST, ":method": method });
          stream.on("error", () => undefined);
          if (path === "/begun") await once(stream, "data");
        }
        await until(() => rig.gatekeeper.open.length === 4);
        session.destroy();
        await until(() => rig.gatekeeper.open.length === 0 && app.sockets.size === 0);
      }
    });

    test("lets nobody break off other visitors' calls by giving up many of their own", async () => {
      const held: http2.ServerHttp2Stream[] = [];
      const server = http2.createServer();
      server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
        stream.on("error", () => undefined);
        stream.respond({ ":status": 200, "content-type": "application/grpc" });
        stream.write("begun");
        if (headers[":path"] === "/hold") held.push(stream);
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as net.AddressInfo;
      await using rig = await serveGrpc({ address: { ip: "127.0.0.1", port } });
      const call = (client: http2.ClientHttp2Session, path: string) => {
        const stream = client.request({ ":path": path, ":authority": "rpc.localhost" });
        stream.on("error", () => undefined);
        return stream;
      };
      const calm = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const holding = call(calm, "/hold");
      await once(holding, "data");
      for (let visitor = 0; visitor < 3; visitor += 1) {
        const hasty = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
        for (let batch = 0; batch < 16; batch += 1) {
          const streams = Array.from({ length: 50 }, () => call(hasty, "/left"));
          await Promise.all(
            streams.map(async (stream) => {
              await once(stream, "data");
              stream.close(http2.constants.NGHTTP2_CANCEL);
            }),
          );
        }
        hasty.destroy();
      }
      held[0]?.write("still here");
      const [data] = (await once(holding, "data")) as [Buffer];
      expect(data.toString()).toBe("still here");
      calm.destroy();
      server.close();
      for (const stream of held) stream.session?.destroy();
    });

    test("shares few connections to a job among many calls", async () => {
      await using app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      using client = grpcClient(rig.port, "rpc.localhost");
      const calls = Array.from({ length: 100 }, (_, at) => unary(client, String(at)));
      expect((await Promise.all(calls)).map(String)).toEqual(calls.map((_, at) => String(at)));
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("refuses HTTP/1.1 to a gRPC service with 501", async () => {
      await using app = await startGrpcApp();
      await using rig = await serveGrpc(app);
      const reply = await ask(rig.port, "rpc.localhost");
      expect([reply.status, reply.headers["x-taskgate-error"]]).toEqual([501, "grpc_only"]);
    });

    test("bridges HTTP/2 to a job that speaks HTTP/1.1: cookies joined, bodies, trailers and aborts kept", async () => {
      let left = false;
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/stay") {
          res.write("stay");
          res.once("close", () => (left = true));
        } else if (req.url === "/trailers") {
          res.writeHead(200, { trailer: "x-sum", "x-a": ["1", "2"] });
          res.write("t");
          res.addTrailers({ "x-sum": "1" });
          res.end();
        } else if (req.url === "/break") {
          res.write("half");
          setTimeout(() => req.socket.destroy(), 50);
        } else echo(req, res);
      });
      await using rig = await serving(app);
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const call = (path: string, more: http2.OutgoingHttpHeaders = {}) =>
        session.request({ ":path": path, ":authority": HOST, ...more });
      const posted = call("/x", { ":method": "POST", cookie: ["a=1", "b=2"] });
      posted.end("body");
      let text = "";
      for await (const part of posted) text += String(part);
      const seen = echoed({ status: 200, headers: {}, rawHeaders: [], rawTrailers: [], body: text });
      expect([
        seen.body,
        seen.header("cookie"),
        seen.header("host"),
        seen.header("via")?.replace("HTTP/", "").slice(0, 2),
      ]).toEqual(["body", "a=1; b=2", HOST, "2 "]);
      const empty = call("/x", { ":method": "POST" });
      empty.end();
      expect(String((await once(empty, "data"))[0])).toContain('"body":""');
      const trailing = call("/trailers");
      const trailers = once(trailing, "trailers");
      trailing.resume();
      expect(((await trailers) as [Record<string, string>])[0]["x-sum"]).toBe("1");
      for (const code of [http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_NO_ERROR]) {
        for (const method of ["GET", "POST"]) {
          const stay = call("/stay", { ":method": method });
          await once(stay, "data");
          stay.close(code);
          await until(() => left);
          left = false;
        }
      }
      const broken = call("/break");
      const failed = once(broken, "error").catch((error: unknown) => [error]);
      broken.on("error", () => undefined);
      broken.resume();
      await failed;
      expect(broken.rstCode).not.toBe(http2.constants.NGHTTP2_NO_ERROR);
      const head = call("/", { ":method": "HEAD" });
      const [headers] = (await once(head, "response")) as [http2.IncomingHttpHeaders];
      expect(headers[":status"]).toBe(200);
      session.destroy();
    });

    test("serves HTTP/1.1, HTTP/2 and gRPC behind TLS, and nothing in the clear beside it", async () => {
      const pem = selfSigned(["nb.localhost", "rpc.localhost"]);
      await using files = await writePem(pem);
      await using app = await startHttpApp(echo);
      await using calls = await startGrpcApp();
      await using rig = await serving(app, { tls: files });
      rig.table.service({
        key: "local/rpc/web",
        protocol: "grpc",
        matches: [byHost("rpc.localhost")],
        endpoints: [calls.address],
      });
      await rig.publish();
      for (const protocol of ["http/1.1", "h2"]) {
        const socket = tls.connect({
          port: rig.port,
          host: "127.0.0.1",
          servername: HOST,
          ca: pem.certificate,
          ALPNProtocols: [protocol],
        });
        await once(socket, "secureConnect");
        expect(socket.alpnProtocol).toBe(protocol);
        socket.destroy();
      }
      const agent = new Agent({ connect: { ca: pem.certificate, servername: HOST }, allowH2: true });
      const reply = await undiciRequest(`https://127.0.0.1:${String(rig.port)}/`, {
        headers: { host: HOST },
        dispatcher: agent,
      });
      const seen = (await reply.body.json()) as { rawHeaders: string[] };
      const at = seen.rawHeaders.findIndex((name) => name.toLowerCase() === "x-forwarded-proto");
      expect(seen.rawHeaders[at + 1]).toBe("https");
      await agent.destroy();
      using client = grpcClient(rig.port, "rpc.localhost", pem.certificate);
      expect((await unary(client, "hi")).toString()).toBe("hi");
      const plain = await ask(rig.port, HOST);
      expect([plain.status, plain.headers["x-taskgate-error"]]).toEqual([400, "tls_needed"]);
    });

    test("carries WebSockets and tunnels behind TLS, with half-close", async () => {
      const pem = selfSigned([HOST]);
      await using files = await writePem(pem);
      await using app = await startWebSocketApp();
      await using raw = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => socket.write(chunk));
        socket.on("end", () => setTimeout(() => socket.end("|bye"), 30));
      });
      await using rig = await serving(app, { tls: files });
      rig.table.service({
        key: "local/db/sql",
        protocol: "tcp",
        matches: [byHost("db.localhost")],
        endpoints: [raw.address],
      });
      await rig.publish();
      const secure = { ca: pem.certificate, servername: HOST };
      const socket = new WebSocket(`wss://127.0.0.1:${String(rig.port)}/`, { ...secure, headers: { host: HOST } });
      await once(socket, "open");
      socket.send("x".repeat(300_000));
      const [message] = (await once(socket, "message")) as [Buffer];
      expect(message.length).toBe(300_000);
      socket.close();
      await once(socket, "close");
      const halfOpen = net.connect({ port: rig.port, host: "127.0.0.1", allowHalfOpen: true });
      const tunnel = tls.connect({ ...secure, socket: halfOpen });
      let received = "";
      tunnel.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
      tunnel.write("CONNECT db.localhost:1 HTTP/1.1\r\nHost: db.localhost:1\r\n\r\nearly");
      await until(() => received.endsWith("early"));
      tunnel.end(" late");
      await until(() => received.endsWith(" late|bye"));
      tunnel.destroy();
      await until(() => rig.gatekeeper.open.length === 0);
    });
  });

  describe(`${name} data plane: tunnels and TCP ports`, () => {
    const echoApp = () =>
      startTcpApp((socket) => {
        let all = "";
        socket.on("data", (chunk: Buffer) => {
          all += chunk.toString();
          socket.write(chunk);
        });
        socket.on("end", () => setTimeout(() => socket.end(`|${all}`), 30));
      });
    const connect = (target: string, more = "") => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${more}\r\n`;

    test("opens a tunnel to a service's host, with bytes that came early and half-close", async () => {
      await using app = await echoApp();
      await using rig = await startRig(start);
      rig.table.service({
        key: "local/db/sql",
        protocol: "tcp",
        matches: [byHost("db.localhost")],
        endpoints: [app.address],
      });
      await rig.publish();
      const asked: string[] = [];
      rig.gatekeeper.checking = (route, head) => {
        asked.push(`${head.method} ${route.service} ${head.host} ${head.header("x-taskgate-authorization") ?? ""}`);
        return { ...ALLOW, session: SESSION };
      };
      using client = await RawClient.connect(
        rig.port,
        `${connect("DB.localhost:5432", "X-Taskgate-Authorization: Bearer t\r\n")}early`,
      );
      await until(() => client.received.endsWith("early"));
      expect(client.received).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nearly$/);
      client.socket.end(" late");
      await until(() => client.ended);
      expect(client.received).toMatch(/early late\|early late$/);
      expect(asked).toEqual(["CONNECT local/db/sql db.localhost:5432 Bearer t"]);
      await until(() => rig.gatekeeper.open.length === 0);
      expect(rig.gatekeeper.seen[0]?.bytes).toEqual({ in: 10, out: 21 });
      await expect.poll(() => rig.open("forward")).toBe(0);
    });

    test("refuses every other CONNECT in JSON, and dials nothing", async () => {
      await using app = await echoApp();
      await using rig = await serving(app);
      rig.table
        .service({ key: "gate/taskgate/api", matches: [byHost("taskgate.localhost")], endpoints: [app.address] })
        .service({ key: "local/t/tls", protocol: "tls", matches: [byHost("t.localhost")], endpoints: [app.address] });
      await rig.publish();
      const refusal = async (bytes: string) => {
        using client = await RawClient.connect(rig.port, bytes);
        await until(() => client.ended);
        const [head = "", body = ""] = client.received.split("\r\n\r\n");
        return [head.split(" ")[1], (JSON.parse(body) as { error: { code: string } }).error.code];
      };
      expect(await refusal(connect("example.com:443"))).toEqual(["404", "unknown_host"]);
      expect(await refusal(connect(`127.0.0.1:${String(app.address.port)}`))).toEqual(["404", "unknown_host"]);
      expect(await refusal(connect("taskgate.localhost:7080"))).toEqual(["403", "forward_refused"]);
      expect(await refusal(connect("t.localhost:7080"))).toEqual(["403", "forward_refused"]);
      rig.gatekeeper.checking = () => ({ kind: "redirect", location: "/login", respond: [] });
      expect(await refusal(connect(`${HOST}:80`))).toEqual(["401", "unauthenticated"]);
      rig.gatekeeper.checking = () => DENIED;
      expect(await refusal(connect(`${HOST}:80`))).toEqual(["403", "denied"]);
      expect(app.connections()).toBe(0);
    });

    test("says why a tunnel leads nowhere", async () => {
      const port = await freePort();
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, protocol: "tcp", matches: [byHost(HOST)], endpoints: [{ ip: "127.0.0.1", port }] });
      await rig.publish();
      using client = await RawClient.connect(rig.port, connect(`${HOST}:1`));
      await until(() => client.ended);
      expect(client.received).toMatch(/^HTTP\/1\.1 502 /);
      expect(rig.explained).toEqual(["connect_failed"]);
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("opens and closes raw ports as routes come and go", async () => {
      const port = await freePort();
      await using app = await echoApp();
      await using rig = await startRig(start);
      const base = { key: "local/db/sql", protocol: "tcp", guard: "self", endpoints: [app.address] } as const;
      rig.table.service({ ...base, matches: [byPort(port)] });
      await rig.publish();
      using client = await connectWhenOpen(port);
      client.send("hello");
      await until(() => client.received === "hello");
      client.socket.end();
      await until(() => client.ended);
      expect(client.received).toBe("hello|hello");
      using stays = await connectWhenOpen(port);
      stays.send("x");
      await until(() => stays.received === "x");
      await expect.poll(() => rig.open("tcp")).toBe(1);
      rig.table.remove("local/db/sql");
      await rig.publish();
      await until(() => stays.over);
      await expect(RawClient.connect(port)).rejects.toThrow();
    });

    test("reports a raw port that is taken, and opens it once it is free", async () => {
      const taken = await startTcpApp(() => undefined);
      await using app = await echoApp();
      await using rig = await startRig(start);
      const { port } = taken.address;
      rig.table.service({
        key: "local/db/sql",
        protocol: "tcp",
        guard: "self",
        matches: [byPort(port)],
        endpoints: [app.address],
      });
      await rig.publish();
      await until(() =>
        rig.status().problems.some(({ code, subject }) => code === "port_unavailable" && subject === "local/db/sql"),
      );
      await taken[Symbol.asyncDispose]();
      rig.table.service({ key: "local/other/web", matches: [byHost("o.localhost")], endpoints: [] });
      await rig.publish();
      await until(() => rig.status().problems.length === 0);
      using client = await connectWhenOpen(port);
      client.send("x");
      await until(() => client.received === "x");
    });

    test("ends a TCP connection that is silent for too long, and one whose job is not there", async () => {
      const port = await freePort();
      await using app = await startTcpApp((socket) => socket.resume().on("end", () => socket.end()));
      await using rig = await startRig(start);
      const base = { key: "local/db/sql", protocol: "tcp", guard: "self", matches: [byPort(port)] } as const;
      rig.table.service({ ...base, policy: { idleTimeoutMs: 150 }, endpoints: [app.address] });
      await rig.publish();
      using silent = await connectWhenOpen(port);
      await until(() => silent.over && app.sockets.size === 0);
      rig.table.endpoints("local/db/sql", []);
      await rig.publish();
      await new Promise((resolve) => {
        const nowhere = net.connect(port, "127.0.0.1");
        nowhere.on("error", () => undefined); // a reset is what is expected
        nowhere.resume().once("close", resolve);
      });
      await until(() => rig.gatekeeper.open.length === 0);
    });
  });

  describeGrpcSessions(suite);
  describeHttp2Upgrades(suite);
  describeReplicas(suite);
  describeHealth(suite);
  describeBounds(suite);
  describeProxyProtocol(suite);
  describeFronts(suite);
  describePassThrough(suite);
  describeCertificates(suite);
  describeUpstreamTls(suite);
  describeSticky(suite);
  describeIsolation(suite);

  describe(`${name} data plane: endpoints`, () => {
    const named = (text: string) => startHttpApp((_req, res) => res.end(text));

    test("balances over healthy endpoints, with a name for each replica", async () => {
      await using a = await named("a");
      await using b = await named("b");
      await using rig = await startRig(start);
      rig.table.service({
        key: KEY,
        matches: [byHost(HOST)],
        endpoints: [a.address, b.address],
        replicas: { "0": [byHost("nb-0.localhost")], "1": [byHost("nb-1.localhost")] },
      });
      await rig.publish();
      const replies: Reply[] = [];
      // By lot, and by what each is doing: of a few requests at once one may get nearly all.
      for (let round = 0; round < 10; round += 1) {
        replies.push(...(await Promise.all(Array.from({ length: 40 }, () => ask(rig.port, HOST)))));
      }
      const counts = ["a", "b"].map((text) => replies.filter(({ body }) => body === text).length);
      expect(Math.min(...counts)).toBeGreaterThan(50);
      for (let count = 0; count < 5; count += 1) {
        expect((await ask(rig.port, "nb-0.localhost")).body).toBe("a");
        expect((await ask(rig.port, "nb-1.localhost")).body).toBe("b");
      }
    });

    test("gives the less to an endpoint the more it is doing", async () => {
      await using slow = await startHttpApp((_req, res) => void res.write("slow"));
      await using fast = await named("fast");
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [slow.address] });
      await rig.publish();
      const busy = await Promise.all(
        [1, 2, 3].map(() => RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)),
      );
      await until(() => busy.every(({ received }) => received.includes("slow")));
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [slow.address, fast.address] });
      await rig.publish();
      for (let count = 0; count < 5; count += 1) expect((await ask(rig.port, HOST)).body).toBe("fast");
      for (const client of busy) client[Symbol.dispose]();
    });

    test("serves every request around a dead endpoint, and says which it is", async () => {
      const port = await freePort();
      await using alive = await named("alive");
      await using rig = await startRig(start);
      const dead = { ip: "127.0.0.1", port };
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [dead, alive.address] });
      await rig.publish();
      for (let count = 0; count < 30; count += 1) {
        const reply = await ask(rig.port, HOST, { method: "POST", body: "kept" });
        expect([reply.status, reply.body]).toEqual([200, "alive"]);
      }
      await until(() => rig.status().endpoints.get(endpointKey(KEY, `127.0.0.1:${String(port)}`)) === "unhealthy");
      expect(rig.status().endpoints.get(endpointKey(KEY, `127.0.0.1:${String(alive.address.port)}`))).toBe("healthy");
    });

    test("still tries where all are dead, and finds them back at once", async () => {
      const port = await freePort();
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [{ ip: "127.0.0.1", port }] });
      await rig.publish();
      for (let count = 0; count < 6; count += 1) expect((await ask(rig.port, HOST)).status).toBe(502);
      expect(rig.explained).toEqual(Array.from({ length: 6 }, () => "connect_failed"));
      await using app = await startHttpApp((_req, res) => res.end("back"), port);
      expect((await ask(rig.port, HOST)).body).toBe("back");
      await until(
        () => rig.status().endpoints.get(endpointKey(KEY, `127.0.0.1:${String(app.address.port)}`)) === "healthy",
      );
    });

    test("gives nothing new to endpoints that drain or are declared unhealthy, and lets what runs there finish", async () => {
      const held: http.ServerResponse[] = [];
      await using old = await startHttpApp((_req, res) => void held.push(res));
      await using next = await named("next");
      await using rig = await serving(old);
      const pending = ask(rig.port, HOST);
      await until(() => held.length === 1);
      const endpoint = (app: App, replica: string, health: "healthy" | "draining" | "unhealthy") => ({
        ...{ address: app.address, replica, weight: 1, health },
      });
      for (const health of ["draining", "unhealthy"] as const) {
        rig.table.endpoints(KEY, [endpoint(old, "0", health), endpoint(next, "1", "healthy")]);
        await rig.publish();
        for (let count = 0; count < 5; count += 1) expect((await ask(rig.port, HOST)).body).toBe("next");
      }
      rig.table.endpoints(KEY, [endpoint(next, "1", "healthy")]);
      await rig.publish();
      held[0]?.end("finished");
      expect((await pending).body).toBe("finished");
      rig.table.endpoints(KEY, []);
      await rig.publish();
      const none = await ask(rig.port, HOST, { headers: PAGE });
      expect([none.status, none.headers["retry-after"], none.headers["x-taskgate-error"]]).toEqual([
        503,
        "7",
        "starting",
      ]);
      expect(none.body).toContain('http-equiv="refresh" content="7"');
      expect(none.body).toContain("&lt;b&gt;No&lt;/b&gt; such &amp; such.");
      expect(none.body).toContain("last &lt;line&gt;");
    });

    test("asks about health actively where it is told to, in HTTP, TCP and gRPC", () =>
      watchHealth(start, byHost("tcp.localhost")));

    test("never dials what no task may be: link-local, metadata, unspecified, multicast, another's loopback, sockets", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await startRig(start);
      const { port } = app.address;
      const cases = [
        ["local/a/web", { ip: "169.254.169.254", port }],
        ["local/b/web", { ip: "0.0.0.0", port }],
        ["local/c/web", { ip: "fe80::1", port }],
        ["local/d/web", { ip: "224.0.0.1", port }],
        ["local/e/web", { ip: "::ffff:169.254.169.254", port }],
        ["local/f/web", { unix: join(tmpdir(), "none.sock") }],
        ["k8s/g/web", { ip: "127.0.0.1", port }],
        ["k8s/h/web", { ip: "::ffff:127.0.0.1", port }],
        ["local/i/web", { ip: "127.0.0.1", port: rig.port }],
      ] as const;
      for (const [key, address] of cases) {
        rig.table.service({ key, matches: [byHost(`${key.replaceAll("/", "-")}.localhost`)], endpoints: [address] });
      }
      await rig.publish();
      for (const [key] of cases) {
        const reply = await ask(rig.port, `${key.replaceAll("/", "-")}.localhost`);
        expect(reply.headers["x-taskgate-error"], key).toBeDefined();
        expect(reply.status, key).toBeGreaterThanOrEqual(500);
      }
      expect(app.connections()).toBe(0);
    });

    test("reaches the gate's own service on a socket", async () => {
      const folder = await mkdtemp(join(tmpdir(), "taskgate-plane-"));
      const unix = join(folder, "api.sock");
      const server = http.createServer(echo);
      server.listen(unix);
      await once(server, "listening");
      await using rig = await startRig(start);
      rig.table.service({
        key: "gate/taskgate/api",
        guard: "self",
        matches: [byHost("taskgate.localhost")],
        endpoints: [{ unix }],
      });
      await rig.publish();
      expect(echoed(await ask(rig.port, "taskgate.localhost", { path: "/.taskgate/api" })).url).toBe("/.taskgate/api");
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true });
    });
  });

  describe(`${name} data plane: changes`, () => {
    test("touches no WebSocket, stream or TCP connection in 300 changes around it", async () => {
      await using sockets = await startWebSocketApp();
      const streams = new Set<http.ServerResponse>();
      await using sse = await startHttpApp((_req, res) => {
        streams.add(res.writeHead(200, { "content-type": "text/event-stream" }));
        res.write("data: hello\n\n");
      });
      await using tcp = await startTcpApp((socket) => socket.pipe(socket));
      await using churn = await startHttpApp(echo);
      const port = await freePort();
      await using rig = await startRig(start);
      rig.table
        .service({ key: "local/ws/web", matches: [byHost("ws.localhost")], endpoints: [sockets.address] })
        .service({ key: "local/sse/web", matches: [byHost("sse.localhost")], endpoints: [sse.address] })
        .service({
          key: "local/tcp/raw",
          protocol: "tcp",
          guard: "self",
          matches: [byPort(port)],
          endpoints: [tcp.address],
        });
      await rig.publish();
      const webSockets = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: "ws.localhost" } });
          await once(socket, "open");
          return socket;
        }),
      );
      let lost = 0;
      for (const socket of webSockets) socket.on("close", () => (lost += 1));
      const events = await Promise.all(
        Array.from({ length: 10 }, () => RawClient.connect(rig.port, "GET / HTTP/1.1\r\nHost: sse.localhost\r\n\r\n")),
      );
      const raws = await Promise.all(Array.from({ length: 10 }, () => connectWhenOpen(port)));
      for (const raw of raws) raw.send("a");
      await until(
        () =>
          events.every(({ received }) => received.includes("hello")) && raws.every(({ received }) => received === "a"),
      );
      for (let change = 0; change < 300; change += 1) {
        const id = String(change % 7);
        const key = `local/churn${id}/web`;
        if (change % 3 === 2) rig.table.remove(key);
        else
          rig.table.service({
            key,
            matches: [byHost(`c${id}.localhost`), byPath("paths.localhost", `/c${id}/`)],
            endpoints: [churn.address],
          });
        // A sibling endpoint that comes and goes, and news that is none, leave the routes that are in use as they were.
        const sibling = change % 2 === 0 ? [churn.address] : [];
        rig.table.endpoints("local/sse/web", [sse.address, ...sibling]);
        rig.table.service({ key: "local/ws/web", matches: [byHost("ws.localhost")], endpoints: [sockets.address] });
        rig.apply();
        if (change % 10 === 0) await sleep(1);
      }
      await rig.publish();
      for (const stream of streams) stream.write("data: goodbye\n\n");
      for (const raw of raws) raw.send("z");
      const echoes = webSockets.map(async (socket) => {
        const message = new Promise<string>((resolve) => {
          socket.on("message", (data: Buffer) => {
            if (data.toString() === "still") resolve("still");
          });
        });
        socket.send("still");
        return message;
      });
      expect(await Promise.all(echoes)).toHaveLength(20);
      await until(
        () =>
          events.every(({ received }) => received.includes("goodbye")) &&
          raws.every(({ received }) => received === "az"),
      );
      expect(lost + [...events, ...raws].filter(({ over }) => over).length).toBe(0);
      for (const client of [...events, ...raws]) client[Symbol.dispose]();
      for (const socket of webSockets) socket.terminate();
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("ends what is open on a route that goes away or gets another service, and nothing else", async () => {
      await using app = await startHttpApp((_req, res) => {
        res.write("open");
      });
      await using rig = await startRig(start);
      const matches = [byHost("a.localhost"), byHost("b.localhost"), byHost("c.localhost")];
      rig.table.service({ key: KEY, matches, endpoints: [app.address] });
      await rig.publish();
      const open = (host: string) => RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      using a = await open("a.localhost");
      using b = await open("b.localhost");
      using c = await open("c.localhost");
      await until(() => [a, b, c].every(({ received }) => received.includes("open")));
      rig.table.removeRoute(byHost("a.localhost"));
      rig.table.service({ key: "local/other/web", matches: [byHost("b.localhost")], endpoints: [app.address] });
      await rig.publish();
      await until(() => a.over && b.over);
      expect(c.over).toBe(false);
      expect((await ask(rig.port, "a.localhost")).status).toBe(404);
    });

    test("drains: takes nothing new, lets what runs finish, and cuts the rest at the deadline", async () => {
      const held: http.ServerResponse[] = [];
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/now") res.end("now");
        else held.push(res);
      });
      await using rig = await serving(app);
      const idle = new http.Agent({ keepAlive: true });
      await ask(rig.port, HOST, { path: "/now", agent: idle });
      const finishing = ask(rig.port, HOST);
      const cut = ask(rig.port, HOST).catch(() => "cut");
      await until(() => held.length === 2);
      const draining = rig.plane.drain(Date.now() + 1500);
      await until(() => Object.keys(idle.freeSockets).length === 0);
      await expect(ask(rig.port, HOST)).rejects.toThrow();
      held[0]?.end("one");
      held[0] = held[1] ?? held[0]!;
      expect(await Promise.race([finishing.then(({ body }) => body), cut])).toBe("one");
      await draining;
      expect(
        await Promise.all([
          finishing.then(
            () => "done",
            () => "cut",
          ),
          cut.then((end) => (end === "cut" ? "cut" : "done")),
        ]),
      ).toContain("cut");
      idle.destroy();
    });

    test("answers who connected before it drains and asks just after", async () => {
      await using app = await startHttpApp((_req, res) => res.end("in time"));
      await using rig = await serving(app);
      using silent = await RawClient.connect(rig.port);
      expect((await ask(rig.port, HOST)).body).toBe("in time"); // by now the one before is accepted, too
      const draining = rig.plane.drain(Date.now() + 5000);
      silent.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => silent.over);
      expect(silent.received).toMatch(/^HTTP\/1\.1 200 /);
      expect(silent.received).toContain("in time");
      expect(silent.received).toMatch(/\r\nConnection: close\r\n/i);
      await draining;
    });
  });
}

const DENIED: Decision = { kind: "deny", status: 403, code: "denied", reason: "not yours" };

/** Echoes messages; greets with the handshake's headers where it got any of ours. */
async function startWebSocketApp(): Promise<App> {
  const app = await startHttpApp((_req, res) => res.writeHead(426).end());
  const server = new WebSocketServer({ server: app.server, maxPayload: 64 * 1024 * 1024 });
  server.on("connection", (socket, request) => {
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    if (request.headers["x-taskgate-user"] !== undefined) socket.send(JSON.stringify(request.headers));
  });
  return app;
}

/** A handshake that is refused, whole. */
async function upgradeAnswer(port: number): Promise<string> {
  const head = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n`;
  using client = await RawClient.connect(port, head);
  await until(() => client.ended);
  return client.received;
}

async function connectWhenOpen(port: number): Promise<RawClient> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await RawClient.connect(port);
    } catch (error) {
      if (tries > 300) throw error;
      await sleep(10);
    }
  }
}

/** Shows that each side gets what is said to it, and nothing of the other's connection; gives the field that the job's Connection names. */
export async function passHopFields(start: StartPlane): Promise<string | string[] | undefined> {
  await using app = await startHttpApp((req, res) => {
    res.writeHead(200, ["Connection", "X-Mine, close", "X-Mine", "1", "Keep-Alive", "timeout=9", "X-Kept", "1"]);
    echo(req, res);
  });
  await using rig = await startRig(start);
  rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  const reply = await ask(rig.port, HOST, {
    fields: [
      ...["Connection", "close, X-Hop", "X-Hop", "1", "Proxy-Connection", "keep-alive", "Keep-Alive", "9"],
      ...["TE", "gzip, trailers", "Proxy-Authorization", "Basic x", "HTTP2-Settings", "x"],
      ...["X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil"],
      ...["X_Forwarded_For", "6.6.6.6", "Forwarded", "for=6.6.6.6", "X-Real-IP", "6.6.6.6", "X-Forwarded-Prefix", "/x"],
    ],
  });
  const seen = echoed(reply);
  for (const gone of [
    "x-hop",
    "proxy-connection",
    "keep-alive",
    "proxy-authorization",
    "http2-settings",
    "x_forwarded_for",
    "x-real-ip",
    "x-forwarded-prefix",
  ]) {
    expect(seen.all(gone), gone).toEqual([]);
  }
  expect(seen.all("te")).toEqual(["trailers"]);
  expect(seen.all("x-forwarded-for")).toEqual(["127.0.0.1"]);
  expect(seen.all("x-forwarded-proto")).toEqual(["http"]);
  expect(seen.all("x-forwarded-host")).toEqual([HOST]);
  expect(seen.all("x-forwarded-port")).toEqual([String(rig.site.port)]);
  expect(seen.all("forwarded")).toHaveLength(1);
  expect(seen.header("forwarded")).toMatch(/^for=(127\.0\.0\.1|"127\.0\.0\.1:\d+");host="nb\.localhost";proto=http$/);
  expect(seen.all("host")).toEqual([HOST]);
  expect(seen.header("via")).toMatch(/^(HTTP\/)?1\.1 /);
  expect(reply.headers["x-kept"]).toBe("1");
  expect(reply.headers["keep-alive"]).not.toBe("timeout=9");
  return reply.headers["x-mine"];
}
