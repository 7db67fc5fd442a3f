import { throughput } from "./http.ts";
import { hold } from "./loads/hold.ts";
import { cpuOf } from "./machine.ts";
import { compare, type Figure } from "./peers/compare.ts";
import type { Peer, Running } from "./peers/peer.ts";
import type { Suite } from "./suite.ts";

const OURS: ReadonlySet<string> = new Set(["taskgate", "taskgate-login", "taskgate-bare-login"]);
const SOCKETS = 500;

/** What asking for a login costs: the same page with and without, and WebSockets that are opened. */
export const benchLogin: Suite = (say, options) =>
  compare(say, options, {
    ...{ suite: "login", kinds: ["http"], rounds: 8, seconds: 1 },
    without: ({ name }: Peer) => !OURS.has(name),
    yardstick: "taskgate",
    warmUp: (running, _peer, seconds) => throughput(running, seconds),
    measure: async (running, _peer, seconds) => [...(await throughput(running, seconds)), await opening(running)],
  });

async function opening(running: Running): Promise<Figure> {
  const { cpu } = await cpuOf(running.pid, () => hold("sockets", running, SOCKETS, () => Promise.resolve()));
  return { of: "WebSockets opened, per CPU second", value: SOCKETS / cpu, unit: "opens/CPU-s" };
}
