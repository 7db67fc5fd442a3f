import { runSockets } from "./loads/run-sockets.ts";
import { cpuOf } from "./machine.ts";
import { compare } from "./peers/compare.ts";
import type { Suite } from "./suite.ts";

const CONNECTIONS = 64;

/** WebSocket messages of 64 bytes there and back, one at a time on each of 64 connections. */
export const benchWs: Suite = (say, options) =>
  compare(say, options, {
    ...{ suite: "ws", kinds: ["http"], rounds: 5, seconds: 2 },
    measure: async (running, _peer, seconds) => {
      const target = { port: running.ports.http, authority: running.authority("http"), session: running.session };
      const load = { ...target, what: "messages", connections: CONNECTIONS, seconds } as const;
      const { done, cpu } = await cpuOf(running.pid, () => runSockets(load));
      return [
        { of: "", value: done.count / done.seconds, unit: "messages/s" },
        { of: "per CPU second", value: done.count / cpu, unit: "messages/CPU-s" },
      ];
    },
  });
