import net, { type Socket } from "node:net";
import { expect, test } from "vitest";
import { startTcpApp } from "../src/dataplanes/testing/apps.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { startPlaneProcess, type Held } from "./support/plane-process.ts";
import { until } from "./support/gate.ts";
import { OK } from "./support/raw.ts";

/** TASKGATE_CHURN runs another number. */
const CONNECTIONS = Number(process.env.TASKGATE_CHURN ?? "200000");
/** After each, what the plane holds is looked at. */
const PARTS = 6;
const AT_ONCE = 48;
/** Each of the loopback's addresses has ports of its own: those of closed connections are not free again for a minute. */
const SOURCES = 32;

const MiB = 1024 * 1024;
const FLAT = { rss: 48 * MiB, heap: 6 * MiB, buffers: 2 * MiB, descriptors: 48 };

const GET = "GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n";
const LAST = "GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n";
const UPGRADE = "GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

type Ending = "reset" | "gate" | "half" | "silent" | "switched";

/** How the `index`th connection goes: most ask once and reset; some let the gate end, send half a request, say nothing, or switch. */
function endingOf(index: number): Ending {
  if (index % 50 === 0) return "switched";
  if (index % 10 === 1) return "gate";
  if (index % 10 === 2) return "half";
  return index % 10 === 3 ? "silent" : "reset";
}

const BYTES: Readonly<Record<Ending, string>> = {
  ...{ reset: GET, gate: LAST, half: GET.slice(0, 30), silent: "", switched: UPGRADE },
};

/** One connection from its beginning to its end; rejects when its answer is not what it should be. */
function visit(port: number, index: number): Promise<void> {
  const ending = endingOf(index);
  return new Promise((resolve, reject) => {
    const localAddress = `127.0.1.${String(1 + (index % SOURCES))}`;
    const socket = net.connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    let received = "";
    const leave = (one: Socket) => one.resetAndDestroy();
    socket.on("connect", () => {
      if (BYTES[ending] !== "") socket.write(BYTES[ending]);
      if (ending === "half" || ending === "silent") setImmediate(leave, socket);
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (ending === "reset" && received.endsWith("ok")) leave(socket);
      if (ending === "switched" && received.includes("\r\n\r\n")) leave(socket);
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const right =
        ending === "half" ||
        ending === "silent" ||
        received.startsWith(ending === "switched" ? "HTTP/1.1 101 " : "HTTP/1.1 200 ");
      if (right) resolve();
      else reject(new Error(`${ending} ${String(index)}: ${received.slice(0, 200)}`));
    });
  });
}

test(
  `${String(CONNECTIONS)} connections that come and go leave memory and descriptors as they were`,
  { timeout: 400_000 },
  async () => {
    await using backend = await startTcpApp((socket) => {
      // Requests come whole here: heads alone, one at a time on a connection.
      socket.on("data", (chunk: Buffer) => socket.write(chunk.includes("Upgrade: ") ? SWITCHED : OK));
      socket.on("end", () => socket.end());
    });
    await using plane = await startPlaneProcess();
    await plane.service({ key: "local/a/web", matches: [byHost("a.localhost")], endpoints: [backend.address] });

    let next = 0;
    const run = async (end: number) => {
      const one = async () => {
        while (next < end) await visit(plane.port, next++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
    };
    const settled = async (): Promise<Held> => {
      let held = await plane.held();
      await until(async () => (held = await plane.held()).flows === 0, "all flows to end");
      return held;
    };
    const held: Held[] = [];
    for (let part = 1; part <= PARTS; part += 1) {
      await run(Math.ceil((CONNECTIONS / PARTS) * part));
      held.push(await settled());
    }
    // A process takes what it needs at its first rush; from the middle on, nothing may grow.
    const middle = held[PARTS / 2 - 1]!;
    for (const what of ["rss", "heap", "buffers", "descriptors"] as const) {
      const grown = Math.max(...held.slice(PARTS / 2).map((now) => now[what] - middle[what]));
      expect(grown, `${what} of ${JSON.stringify(held)}`).toBeLessThan(FLAT[what]);
    }
  },
);
