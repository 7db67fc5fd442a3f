import http2 from "node:http2";
import type { ServerResponse } from "node:http";
import { expect } from "vitest";
import { boundConnections, comesIn, heardByNext } from "../../../contract/bounds.ts";
import type { Differences } from "../../../contract/plane-test.ts";
import { echo, startHttpApp } from "../../../testing/apps.ts";
import { ask, RawClient } from "../../../testing/clients.ts";
import { grpcClient, startGrpcApp, unary } from "../../../testing/grpc-app.ts";
import { startRig, until } from "../../../testing/rig.ts";
import { byHost } from "../../../testing/table-builder.ts";
import { HOST, KEY, serving } from "./serving.ts";

const GET = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
const WITHOUT_A_WORD = "closes connections beyond the bound without an answer";
const PER_CLIENT = "counts what everybody has open, never what one client has";

/** Bounds that Envoy keeps in another way, and those that it has not. */
export const BOUND_DIFFERENCES: Differences = {
  "refuses connections beyond its bound with 503, and takes them again after": {
    why: WITHOUT_A_WORD,
    async instead(start) {
      await using app = await startHttpApp(echo);
      await using rig = await serving(start, app, { limits: { connections: 2 } });
      const one = await RawClient.connect(rig.port);
      using two = await RawClient.connect(rig.port);
      expect(await heardByNext(rig.port)).toBe("");
      one.socket.destroy();
      while (!(await comesIn(rig))); // Envoy hears of the end a moment later
      expect(two.closed).toBe(false);
    },
  },

  "refuses connections beyond the bound with 503 on HTTP, closes them at once elsewhere, and keeps the rest": {
    why: WITHOUT_A_WORD,
    instead: (start) => boundConnections(start, { connections: 3 }, (answer) => expect(answer).toBe("")),
  },

  "refuses connections of one client beyond the bound with 503 on HTTP, closes them at once elsewhere, and keeps the rest":
    {
      why: PER_CLIENT,
      async instead(start) {
        await using app = await startHttpApp(echo);
        await using rig = await serving(start, app, { limits: { connectionsPerClient: 3 } });
        const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(rig.port, GET)));
        await until(() => clients.every(({ received }) => received.includes("200 OK")));
        for (const client of clients) client[Symbol.dispose]();
      },
    },

  "refuses requests of one client beyond the bound with 503, over HTTP/1.1 and HTTP/2": {
    why: PER_CLIENT,
    async instead(start) {
      const held: ServerResponse[] = [];
      await using app = await startHttpApp((_req, res) => void held.push(res));
      await using rig = await serving(start, app, { limits: { requestsPerClient: 2 } });
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const asked = [1, 2].map(() => ask(rig.port, HOST));
      for (const stream of [1, 2].map(() => session.request({ ":authority": HOST }))) stream.resume();
      await until(() => held.length === 4);
      for (const response of held) response.end("done");
      expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200]);
      session.destroy();
    },
  },

  'answers gRPC calls beyond {"requestsPerClient":1} with status 8': {
    why: PER_CLIENT,
    async instead(start) {
      await using app = await startGrpcApp();
      await using rig = await startRig(start, { limits: { requestsPerClient: 1 } });
      rig.table.service({ key: KEY, protocol: "grpc", matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      using client = grpcClient(rig.port, HOST);
      const chat = client.chat();
      chat.on("error", () => undefined);
      chat.write(Buffer.from("hi"));
      expect(String(await unary(client, "x"))).toBe("x");
      chat.cancel();
    },
  },
};
