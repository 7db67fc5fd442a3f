import type grpc from "@grpc/grpc-js";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { startTestPlane } from "../src/dataplanes/embedded/testing/start-plane.ts";
import { startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { RawClient } from "../src/dataplanes/testing/clients.ts";
import { grpcClient, startGrpcApp } from "../src/dataplanes/testing/grpc-app.ts";
import { startRig, until, type Rig } from "../src/dataplanes/testing/rig.ts";
import { byHost, byPath } from "../src/dataplanes/testing/table-builder.ts";

const WEBSOCKETS = 200;
const EVENTS = 25;
const CALLS = 25;
const CHANGES = 1000;

/** Something long-lived that says back what it is told, or says what its job is told to. */
interface Live {
  /** How often it was heard of. */
  heard: number;
  readonly say: () => void;
  readonly close: () => void;
}

test(`${String(WEBSOCKETS)} WebSockets and ${String(EVENTS + CALLS)} streams live through ${String(CHANGES)} changes of the table, with bytes moving`, async () => {
  const responses: ServerResponse[] = [];
  await using events = await startHttpApp((_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: hello\n\n");
    responses.push(res);
  });
  await using sockets = await startHttpApp((_req, res) => res.end());
  const echoing = new WebSocketServer({ server: sockets.server });
  echoing.on("connection", (socket) => socket.on("message", (data: Buffer) => socket.send(data)));
  await using calls = await startGrpcApp();
  await using other = await startHttpApp((_req, res) => res.end("other"));
  await using rig = await startRig(startTestPlane);
  rig.table.service({ key: "local/sse/web", matches: [byHost("sse.localhost")], endpoints: [events.address] });
  rig.table.service({ key: "local/ws/web", matches: [byHost("ws.localhost")], endpoints: [sockets.address] });
  rig.table.service({ key: "local/grpc/rpc", protocol: "grpc", matches: [byHost("grpc.localhost")], endpoints: [calls.address] }); // prettier-ignore
  await rig.publish();

  let lost = 0;
  const live: Live[] = [];
  for (let at = 0; at < WEBSOCKETS; at += 1) live.push(await openWebSocket(rig, () => (lost += 1)));
  for (let at = 0; at < EVENTS; at += 1) live.push(await openEvents(rig, responses, () => (lost += 1)));
  using client = grpcClient(rig.port, "grpc.localhost");
  for (let at = 0; at < CALLS; at += 1) live.push(openCall(client.chat(), () => (lost += 1)));
  await until(() => responses.length === EVENTS);

  let rounds = 0;
  for (let change = 0; change < CHANGES; change += 1) {
    const key = `local/churn${String(change % 7)}/web`;
    if (change % 3 === 2) rig.table.remove(key);
    else {
      const matches = [
        byHost(`c${String(change % 7)}.localhost`),
        byPath("paths.localhost", `/c${String(change % 7)}/`),
      ];
      rig.table.service({ key, matches, endpoints: [other.address] });
    }
    // A sibling endpoint that comes and goes, and news that is none, leave what is open as it is.
    rig.table.endpoints("local/sse/web", change % 2 === 0 ? [events.address, other.address] : [events.address]);
    rig.table.endpoints("local/ws/web", change % 2 === 1 ? [sockets.address, other.address] : [sockets.address]);
    rig.table.service({ key: "local/grpc/rpc", protocol: "grpc", matches: [byHost("grpc.localhost"), byHost(`g${String(change % 5)}.localhost`)], endpoints: [calls.address] }); // prettier-ignore
    rig.apply();
    if (change % 50 !== 49) continue;
    rounds += 1;
    for (const one of live) one.say();
    await until(() => live.every(({ heard }) => heard === rounds));
  }
  await rig.publish();
  expect([lost, rounds, rig.gatekeeper.open.length]).toEqual([0, CHANGES / 50, WEBSOCKETS + EVENTS + CALLS]);
  for (const one of live) one.close();
  await until(() => rig.gatekeeper.open.length === 0);
});

async function openWebSocket(rig: Rig, lost: () => void): Promise<Live> {
  const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: "ws.localhost" } });
  await once(socket, "open");
  const live: Live = {
    heard: 0,
    say: () => socket.send("still"),
    close: () => {
      socket.off("close", lost);
      socket.terminate();
    },
  };
  socket.on("message", () => (live.heard += 1)).on("close", lost);
  return live;
}

async function openEvents(rig: Rig, responses: readonly ServerResponse[], lost: () => void): Promise<Live> {
  const client = await RawClient.connect(rig.port, "GET / HTTP/1.1\r\nHost: sse.localhost\r\n\r\n");
  await until(() => client.received.includes("hello"));
  const response = responses.at(-1)!;
  const live: Live = {
    get heard() {
      return client.received.split("data: still").length - 1;
    },
    say: () => response.write("data: still\n\n"),
    close: () => {
      client.socket.off("close", lost);
      client.socket.destroy();
    },
  };
  client.socket.once("close", lost);
  return live;
}

function openCall(call: grpc.ClientDuplexStream<Buffer, Buffer>, lost: () => void): Live {
  const live: Live = {
    heard: 0,
    say: () => call.write(Buffer.from("still")),
    close: () => {
      call
        .off("end", lost)
        .off("error", lost)
        .on("error", () => undefined);
      call.cancel();
    },
  };
  call.on("data", () => (live.heard += 1));
  call.once("end", lost).once("error", lost);
  return live;
}
