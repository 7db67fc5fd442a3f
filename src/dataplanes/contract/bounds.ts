import grpc from "@grpc/grpc-js";
import { once } from "node:events";
import http2 from "node:http2";
import type { ServerResponse } from "node:http";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Policy } from "../../model/index.ts";
import type { PlaneSuite } from "./plane-test.ts";
import { echo, freePort, startHttpApp, startTcpApp, type App } from "../testing/apps.ts";
import { ask, RawClient } from "../testing/clients.ts";
import { grpcClient, startGrpcApp, unary } from "../testing/grpc-app.ts";
import { startRig, until, type Rig, type StartPlane } from "../testing/rig.ts";
import { byHost, byPort } from "../testing/table-builder.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const GET = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

type Limits = NonNullable<NonNullable<Parameters<typeof startRig>[1]>["limits"]>;

/** Bounds on what is open at once: who comes too much is refused at once, and what is open stays. */
export function describeBounds({ name, start, test }: PlaneSuite): void {
  const serving = async (app: Pick<App, "address">, limits: Limits, policy: Policy = {}): Promise<Rig> => {
    const rig = await startRig(start, { limits });
    rig.table.service({ key: KEY, policy, matches: [byHost(HOST)], endpoints: [app.address] });
    await rig.publish();
    return rig;
  };

  describe(`${name} data plane: bounds`, () => {
    test.each<[what: string, limits: Limits]>([
      ["connections", { connections: 3 }],
      ["connections of one client", { connectionsPerClient: 3 }],
    ])(
      "refuses %s beyond the bound with 503 on HTTP, closes them at once elsewhere, and keeps the rest",
      (_what, limits) =>
        boundConnections(start, limits, (answer) => {
          expect(answer).toMatch(/^HTTP\/1\.1 503 /);
          expect(answer.toLowerCase()).toMatch(/retry-after: 1\r\n/);
          expect(answer.toLowerCase()).toContain("x-taskgate-error: overloaded\r\n");
        }),
    );

    test.each<[what: string, limits: Limits, policy: Policy]>([
      ["in all", { requests: 2 }, {}],
      ["of one client", { requestsPerClient: 2 }, {}],
      ["of one service", { requestsPerService: 2 }, {}],
      ["of one service that asks for fewer", { requestsPerService: 100 }, { maxRequests: 2 }],
    ])("refuses requests %s beyond the bound with 503, over HTTP/1.1 and HTTP/2", async (_what, limits, policy) => {
      const held: ServerResponse[] = [];
      await using app = await startHttpApp((_req, res) => void held.push(res));
      await using rig = await serving(app, limits, policy);
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const one = ask(rig.port, HOST);
      const two = session.request({ ":authority": HOST });
      await until(() => held.length === 2);
      const refused = await ask(rig.port, HOST, { method: "POST", body: "x".repeat(100_000) });
      expect([refused.status, refused.headers["retry-after"], refused.headers["x-taskgate-error"]]).toEqual([
        503,
        "1",
        "overloaded",
      ]);
      const stream = session.request({ ":authority": HOST });
      const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
      expect([headers[":status"], headers["retry-after"]]).toEqual([503, "1"]);
      stream.close();
      for (const response of held.splice(0)) response.end("done");
      const [answered] = (await once(two, "response")) as [http2.IncomingHttpHeaders];
      expect([answered[":status"], (await one).body]).toEqual([200, "done"]);
      two.resume();
      await once(two, "close");
      const again = ask(rig.port, HOST);
      await until(() => held.length === 1);
      held[0]?.end("again");
      expect((await again).body).toBe("again");
      session.destroy();
    });

    test("counts WebSockets, and calls that their visitor leaves, until they end", async () => {
      await using app = await startHttpApp((_req, res) => void res.write("begun"));
      new WebSocketServer({ server: app.server });
      await using rig = await serving(app, { requests: 2 });
      const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: HOST } });
      await once(socket, "open");
      const stream = await RawClient.connect(rig.port, GET);
      await until(() => stream.received.includes("begun"));
      expect((await ask(rig.port, HOST)).status).toBe(503);
      socket.terminate();
      stream.socket.destroy();
      await until(() => rig.gatekeeper.open.length === 0);
      for (let count = 0; count < 5; count += 1) {
        using client = await RawClient.connect(rig.port, GET);
        await until(() => client.received.includes("begun"));
        client.socket.destroy();
        await until(() => rig.gatekeeper.open.length === 0);
      }
    });

    test("does not let who is not let in take up a service's requests", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app, { requestsPerService: 1 });
      const { checking } = rig.gatekeeper;
      rig.gatekeeper.checking = () => ({ kind: "deny", status: 403, code: "denied", reason: "no" });
      using stranger = await RawClient.connect(
        rig.port,
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 9\r\n\r\n`,
      );
      await until(() => stranger.received.includes("403"));
      rig.gatekeeper.checking = checking;
      expect((await ask(rig.port, HOST)).status).toBe(200);
    });

    test.each<[Limits, grpc.status]>([
      [{ requests: 1 }, grpc.status.UNAVAILABLE],
      [{ requestsPerService: 1 }, grpc.status.UNAVAILABLE],
      [{ requestsPerClient: 1 }, grpc.status.RESOURCE_EXHAUSTED],
    ])("answers gRPC calls beyond %o with status %i", async (limits, status) => {
      await using app = await startGrpcApp();
      await using rig = await startRig(start, { limits });
      rig.table.service({ key: KEY, protocol: "grpc", matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      using client = grpcClient(rig.port, HOST);
      const chat = client.chat();
      chat.on("error", () => undefined);
      chat.write(Buffer.from("hi"));
      await once(chat, "data");
      await expect(unary(client, "x")).rejects.toMatchObject({ code: status });
      chat.write(Buffer.from("still"));
      await once(chat, "data");
      chat.cancel();
    });
  });
}

/**
 * Shows that three connections are all there are, at the port of HTTP and at another, that who is let in stays, and that others come in once
 * one has left. `refused`: looks at what one too many hears over HTTP.
 */
export async function boundConnections(
  start: StartPlane,
  limits: Limits,
  refused: (answer: string) => void,
): Promise<void> {
  const port = await freePort();
  await using app = await startHttpApp(echo);
  await using raw = await startTcpApp((socket) => socket.pipe(socket));
  await using rig = await startRig(start, { limits });
  rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] }).service({
    ...{ key: "local/raw/raw", protocol: "tcp", guard: "self", matches: [byPort(port)] },
    endpoints: [raw.address],
  });
  await rig.publish();
  using tcp = await RawClient.connect(port, "one");
  await until(() => tcp.received === "one");
  using first = await RawClient.connect(rig.port, GET);
  using second = await RawClient.connect(rig.port, GET);
  await until(() => first.received.includes("200 OK") && second.received.includes("200 OK"));
  refused(await heardByNext(rig.port, GET));
  expect(await heardByNext(port)).toBe("");
  tcp.send("two");
  first.send(GET);
  await until(() => tcp.received === "onetwo" && first.received.split("200 OK").length === 3);
  second.socket.destroy();
  while (!(await comesIn(rig))); // the plane hears of the end a moment later
}

/** What one connection too many hears until its end. */
export async function heardByNext(port: number, first = ""): Promise<string> {
  using client = await RawClient.connect(port, first).catch(() => null); // it may be reset before we hear of it
  await until(() => client?.over !== false);
  return client?.received ?? "";
}

/** Whether a request on a connection of its own is answered. */
export async function comesIn({ port }: Pick<Rig, "port">): Promise<boolean> {
  using client = await RawClient.connect(port, GET);
  await until(() => client.over || client.received.includes("200 OK"));
  return client.received.includes("200 OK");
}
