import { once } from "node:events";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Endpoint, Match } from "../../model/index.ts";
import type { PlaneSuite } from "./plane-test.ts";
import { freePort, startHttpApp, startTcpApp, type App } from "../testing/apps.ts";
import { ask, RawClient } from "../testing/clients.ts";
import { startRig, until } from "../testing/rig.ts";
import { byHost, byPort } from "../testing/table-builder.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const ONE = "nb-1.localhost";

/** Routes of one replica: they lead to its endpoints and to nobody else's, whatever is carried. */
export function describeReplicas({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: replicas by name`, () => {
    test("asks the one replica alone, also when it cannot be reached and others can", async () => {
      await using zero = await startHttpApp((_req, res) => res.end("zero"));
      await using one = await startHttpApp((_req, res) => res.end("one"));
      await using rig = await startRig(start);
      rig.table.service({
        key: KEY,
        matches: [byHost(HOST)],
        endpoints: [endpoint(zero, "0"), endpoint(one, "1")],
        replicas: { "0": [byHost("nb-0.localhost")], "1": [byHost(ONE)], "2": [byHost("nb-2.localhost")] },
      });
      await rig.publish();
      for (let count = 0; count < 10; count += 1) expect((await ask(rig.port, ONE)).body).toBe("one");
      expect((await ask(rig.port, "nb-0.localhost")).body).toBe("zero");
      expect((await ask(rig.port, "nb-2.localhost")).status).toBe(503);
      expect(rig.explained).toEqual(["no_endpoint"]);
      await one[Symbol.asyncDispose]();
      for (let count = 0; count < 5; count += 1) expect((await ask(rig.port, ONE)).status).toBe(502);
      expect((await ask(rig.port, HOST)).body).toBe("zero");
    });

    test("follows a replica to where it is now", async () => {
      await using old = await startHttpApp((_req, res) => res.end("old"));
      await using next = await startHttpApp((_req, res) => res.end("next"));
      await using rig = await startRig(start);
      const replicas = { "1": [byHost(ONE)] };
      const publish = (...endpoints: Endpoint[]) => {
        rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints, replicas });
        return rig.publish();
      };
      await publish(endpoint(next, "0"), endpoint(old, "1"));
      expect((await ask(rig.port, ONE)).body).toBe("old");
      await publish(endpoint(next, "1"), endpoint(old, "0"));
      expect((await ask(rig.port, ONE)).body).toBe("next");
      await publish(endpoint(old, "0"));
      expect((await ask(rig.port, ONE)).status).toBe(503);
    });

    test("leads WebSockets, tunnels and raw ports to the one replica too", async () => {
      await using zero = await startSocketApp("zero");
      await using one = await startSocketApp("one");
      await using rawZero = await startTcpApp((socket) => void socket.end("zero"));
      await using rawOne = await startTcpApp((socket) => void socket.end("one"));
      const port = await freePort();
      await using rig = await startRig(start);
      const both = (first: App, second: App) => [endpoint(first, "0"), endpoint(second, "1")];
      const inOne = (...matches: Match[]) => ({ replicas: { "1": matches } });
      rig.table
        .service({ key: KEY, matches: [byHost(HOST)], endpoints: both(zero, one), ...inOne(byHost(ONE)) })
        .service({
          ...{ key: "local/db/raw", protocol: "tcp", guard: "self", matches: [byHost("db.localhost")] },
          endpoints: both(rawZero, rawOne),
          ...inOne(byHost("db-1.localhost"), byPort(port)),
        });
      await rig.publish();
      for (let count = 0; count < 5; count += 1) {
        expect(await firstMessage(rig.port, ONE)).toBe("one");
        using tunnel = await RawClient.connect(
          rig.port,
          "CONNECT db-1.localhost:1 HTTP/1.1\r\nHost: db-1.localhost:1\r\n\r\n",
        );
        using raw = await RawClient.connect(port);
        await until(() => tunnel.ended && raw.ended);
        expect(tunnel.received).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\none$/);
        expect(raw.received).toBe("one");
      }
    });
  });
}

function endpoint({ address }: Pick<App, "address">, replica: string): Endpoint {
  return { address, replica, weight: 1, health: "healthy" };
}

/** Says its name to every WebSocket. */
async function startSocketApp(text: string): Promise<App> {
  const app = await startHttpApp((_req, res) => res.writeHead(426).end());
  const server = new WebSocketServer({ server: app.server });
  server.on("connection", (socket) => socket.send(text));
  return app;
}

async function firstMessage(port: number, host: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/`, { headers: { host } });
  const [data] = (await once(socket, "message")) as [Buffer];
  socket.terminate();
  return data.toString();
}
