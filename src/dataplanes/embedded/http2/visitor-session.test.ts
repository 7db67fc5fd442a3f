import { once } from "node:events";
import http2, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { expect, test } from "vitest";
import { startHttpApp } from "../../testing/apps.ts";
import { startRig, until } from "../../testing/rig.ts";
import { byHost } from "../../testing/table-builder.ts";
import { startTestPlane } from "../testing/start-plane.ts";

const HOST = "nb.localhost";
const LIMIT = 100_000;

test("holds bodies to limits.bodyBytes, by their length or by what comes, and heads to limits.headerBytes", async () => {
  let whole = 0;
  await using app = await startHttpApp((req, res) => {
    req.resume();
    req.once("end", () => {
      whole += 1;
      res.end("served");
    });
  });
  await using rig = await startRig(startTestPlane, { limits: { bodyBytes: LIMIT, headerBytes: 8192 } });
  rig.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
  session.on("error", () => undefined);
  const ask = async (headers: OutgoingHttpHeaders, body: Buffer) => {
    const stream = session.request({ ":method": "POST", ":path": "/", ":authority": HOST, ...headers });
    stream.on("error", () => undefined);
    stream.end(body);
    const [head] = (await once(stream, "response")) as [IncomingHttpHeaders];
    stream.resume();
    return [head[":status"], head["x-taskgate-error"]];
  };

  expect(await ask({}, Buffer.alloc(LIMIT))).toEqual([200, undefined]);
  expect(await ask({}, Buffer.alloc(LIMIT + 1))).toEqual([413, "body_too_large"]);
  expect(await ask({ "content-length": String(LIMIT + 1) }, Buffer.alloc(LIMIT + 1))).toEqual([413, "body_too_large"]);
  expect(await ask({ "x-large": "y".repeat(9000) }, Buffer.alloc(0))).toEqual([431, "header_too_large"]);
  expect(await ask({}, Buffer.alloc(1))).toEqual([200, undefined]);
  expect(whole).toBe(2);
  session.destroy();
  await until(() => rig.gatekeeper.open.length === 0);
});

test("counts each answer once", async () => {
  await using app = await startHttpApp((_req, res) => res.end("served"));
  await using rig = await startRig(startTestPlane);
  rig.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
  const stream = session.request({ ":path": "/", ":authority": HOST });
  stream.resume();
  await once(stream, "close");
  const { answers } = await rig.plane.figures();
  expect(answers.map(([, count]) => count)).toEqual([1]);
  session.destroy();
});
