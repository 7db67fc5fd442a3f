import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Policy } from "../../model/index.ts";
import type { PlaneSuite } from "./plane-test.ts";
import { freePort, startTcpApp, type App } from "../testing/apps.ts";
import { ask, echoed, RawClient } from "../testing/clients.ts";
import { grpcClient, startGrpcApp, unary } from "../testing/grpc-app.ts";
import { startRig, until, type StartPlane } from "../testing/rig.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byHost, byPort } from "../testing/table-builder.ts";
import { fingerprint, startHttpsApp, startTlsApp } from "../testing/tls-apps.ts";
import type { Pem } from "../testing/write-pem.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const TASK = "task.internal";

export type UpstreamTls = NonNullable<Policy["upstreamTls"]>;

/** TLS between the gate and its tasks. */
export function describeUpstreamTls({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: TLS to the task`, () => {
    const pem = selfSigned([TASK]);
    const policy = believing(pem);

    test("asks an HTTP task by it, keeps connections and their sessions, and asks after its health so", async () => {
      const names: (string | false | undefined)[] = [];
      await using app = await startEcho(pem, names);
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
      await using app = await startEcho(pem);
      await using calls = await startGrpcApp(pem);
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
      expect(await verifyTask(start, pem, upstreamTls)).toEqual({
        ...{ status, explained: status === 200 ? [] : ["tls_failed"] },
        asked: status === 200 ? 1 : 0,
      });
    });

    test("says what cannot be used, and what speaks no TLS or nothing at all", async () => {
      expect(await askUnusable(start)).toEqual([502, 504, 502]);
    });
  });
}

function believing({ certificate }: Pem) {
  return { upstreamTls: { verify: "full", serverName: TASK, authority: certificate } } as const;
}

/** What becomes of a request to a task that shows this certificate, and how many the task heard. */
export async function verifyTask(
  start: StartPlane,
  pem: Pem,
  upstreamTls: UpstreamTls,
): Promise<{ readonly status: number; readonly explained: readonly (string | null)[]; readonly asked: number }> {
  let asked = 0;
  await using app = await startHttpsApp(pem, (_req, res) => {
    asked += 1;
    res.end();
  });
  await using rig = await startRig(start);
  rig.table.service({ key: KEY, policy: { upstreamTls }, matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  const { status } = await ask(rig.port, HOST);
  return { status, explained: rig.explained, asked };
}

/** Statuses for a task that speaks no TLS, one that says nothing within its time to connect, and one whose policy has no whole identity. */
export async function askUnusable(start: StartPlane): Promise<readonly number[]> {
  await using plain = await startTcpApp((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
  await using silent = await startTcpApp(() => undefined);
  await using rig = await startRig(start);
  const pem = selfSigned([TASK]);
  const policy = believing(pem);
  const bad = { upstreamTls: { ...policy.upstreamTls, identity: pem.certificate } };
  const slow = { ...policy, connectTimeoutMs: 100 };
  rig.table
    .service({ key: "local/a/web", policy, matches: [byHost("a.localhost")], endpoints: [plain.address] })
    .service({ key: "local/b/web", policy: slow, matches: [byHost("b.localhost")], endpoints: [silent.address] })
    .service({ key: "local/c/web", policy: bad, matches: [byHost("c.localhost")], endpoints: [plain.address] });
  await rig.publish();
  const asked = ["a", "b", "c"].map((host) => ask(rig.port, `${host}.localhost`).then(({ status }) => status));
  const statuses = await Promise.all(asked);
  const problems = rig.status().problems.map(({ code, subject }) => `${code} ${subject}`);
  expect(problems).toEqual(["upstream_tls_unusable local/c/web"]);
  expect(JSON.stringify(rig.status().problems)).not.toContain("BEGIN");
  return statuses;
}

/** Says back what it is asked, to WebSockets too; `names`: gets those that it is asked for. */
async function startEcho(pem: Pem, names: (string | false | undefined)[] = []): Promise<App> {
  const app = await startHttpsApp(pem);
  app.server.on("secureConnection", (socket: TLSSocket & { servername?: string | false }) => {
    names.push(socket.servername);
  });
  new WebSocketServer({ server: app.server }).on("connection", (socket) => {
    socket.on("message", (message) => socket.send(message));
  });
  return app;
}
