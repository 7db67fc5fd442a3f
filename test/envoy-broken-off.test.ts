import { expect, test } from "vitest";
import { startTestEnvoy } from "../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import { startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { ask, RawClient } from "../src/dataplanes/testing/clients.ts";
import { CODE, frame, FRAME, RawHttp2, uint32 } from "../src/dataplanes/testing/http2-frames.ts";
import { startRig, until } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { ALLOW } from "../src/dataplanes/testing/test-gatekeeper.ts";

const HOST = "nb.localhost";
/** Within what one connection may break off. */
const STREAMS = 100;
/** Node's servers end a connection on which more are broken off at once. */
const CONNECTIONS = 30;

test("visitors who break off while the gate thinks about them take nobody's answers, and nothing that it holds", async () => {
  await using app = await startHttpApp((_req, res) => res.end("served"));
  app.server.on("upgrade", (_req, socket) => {
    socket.on("error", () => undefined);
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  });
  await using rig = await startRig(startTestEnvoy);
  rig.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  using held = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`); // prettier-ignore
  await until(() => held.received.includes(" 101 ") && rig.gatekeeper.open.length === 1);
  let asked = 0;
  rig.gatekeeper.checking = (_route, { path }) => (path === "/think" ? { kind: "ask" } : ALLOW);
  rig.gatekeeper.admitting = () => new Promise(() => (asked += 1));

  for (let round = 1; round <= CONNECTIONS; round += 1) {
    using client = await RawHttp2.connect(rig.port);
    const streams = Array.from({ length: STREAMS }, (_, at) => 2 * at + 1);
    client.send(...streams.map((stream) => client.request(stream, HOST, { ":path": "/think" })));
    await until(() => asked === round * STREAMS);
    client.send(...streams.map((stream) => frame(FRAME.reset, 0, stream, uint32(CODE.cancel))));
    expect((await ask(rig.port, HOST)).body).toBe("served");
  }

  expect(rig.gatekeeper.seen.filter(({ use }) => use.kind === "websocket")).toHaveLength(1);
  expect([rig.status().problems, held.over]).toEqual([[], false]);
  rig.gatekeeper.open[0]?.cut(); // held all the while
  await until(() => held.over);
});
