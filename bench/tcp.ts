import { runSockets, type SocketLoad } from "./loads/run-sockets.ts";
import { cpuOf } from "./machine.ts";
import { compare, type Figure } from "./peers/compare.ts";
import type { Running } from "./peers/peer.ts";
import type { Suite } from "./suite.ts";

const MB = 1e6;

/** Raw TCP: bytes down, bytes up, and connections that carry a byte there and back. */
export const benchTcp: Suite = (say, options) =>
  compare(say, options, {
    ...{ suite: "tcp", kinds: ["tcp"], rounds: 3, seconds: 2 },
    measure: async (running, _peer, seconds) => [
      ...(await bytes(running, seconds, "download")),
      ...(await bytes(running, seconds, "upload")),
      ...(await connects(running, seconds)),
    ],
  });

async function bytes(running: Running, seconds: number, what: "download" | "upload"): Promise<readonly Figure[]> {
  const load: SocketLoad = { what, port: running.ports.tcp, connections: 4, seconds };
  const { done, cpu } = await cpuOf(running.pid, () => runSockets(load));
  const prefix = what === "download" ? "" : "upload, ";
  return [
    { of: what === "download" ? "" : "upload", value: done.count / MB / done.seconds, unit: "MB/s" },
    { of: `${prefix}per CPU second`, value: done.count / MB / cpu, unit: "MB/CPU-s" },
  ];
}

async function connects(running: Running, seconds: number): Promise<readonly Figure[]> {
  const load: SocketLoad = { what: "connects", port: running.ports.tcp, connections: 32, seconds };
  const { done, cpu } = await cpuOf(running.pid, () => runSockets(load));
  return [
    { of: "connects", value: done.count / done.seconds, unit: "connections/s" },
    { of: "connects, per CPU second", value: done.count / cpu, unit: "connections/CPU-s" },
  ];
}
