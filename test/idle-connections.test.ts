import net, { type Socket } from "node:net";
import { expect, test } from "vitest";
import { startTcpApp } from "../src/dataplanes/testing/apps.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { startPlaneProcess } from "./support/plane-process.ts";
import { OK } from "./support/raw.ts";

const CONNECTIONS = 4000;
const AT_ONCE = 16;
const KIB = 1024;
/** A connection at rest. Two of Node's bare sockets hold 9 KiB of memory; of the heap one takes about 1 KiB itself. */
const MOST = { rss: 10 * KIB, heap: 2.5 * KIB };

const FIELDS = Array.from({ length: 12 }, (_, at) => `X-Field-${String(at)}: ${"v".repeat(40)}\r\n`).join("");
const GET = `GET / HTTP/1.1\r\nHost: a.localhost\r\n${FIELDS}\r\n`;

/** A connection that was asked once on, and stays. */
function visit(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(GET));
    socket.once("error", reject);
    socket.once("data", (answer: Buffer) => {
      if (answer.toString("latin1").startsWith("HTTP/1.1 200 ")) resolve(socket);
      else reject(new Error(answer.toString("latin1")));
    });
  });
}

async function openMany(port: number, count: number): Promise<Socket[]> {
  const open: Socket[] = [];
  let left = count;
  const opener = async () => {
    while (left-- > 0) open.push(await visit(port));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, opener));
  return open;
}

test("a connection at rest holds little memory", { timeout: 60_000 }, async () => {
  await using backend = await startTcpApp((socket) => {
    socket.on("data", () => socket.write(OK)); // heads come whole, one at a time
    socket.on("end", () => socket.end());
  });
  await using plane = await startPlaneProcess();
  await plane.service({ key: "local/a/web", matches: [byHost("a.localhost")], endpoints: [backend.address] });
  for (const socket of await openMany(plane.port, CONNECTIONS / 4)) socket.resetAndDestroy(); // code, and what a first rush takes
  const before = await plane.held();
  const open = await openMany(plane.port, CONNECTIONS);
  const after = await plane.held();
  const each = { rss: (after.rss - before.rss) / CONNECTIONS, heap: (after.heap - before.heap) / CONNECTIONS };
  for (const socket of open) socket.destroy();
  console.log(`bytes a connection at rest: ${each.rss.toFixed(0)}, of it heap ${each.heap.toFixed(0)}`);
  expect(each.heap).toBeLessThan(MOST.heap);
  expect(each.rss).toBeLessThan(MOST.rss);
});
