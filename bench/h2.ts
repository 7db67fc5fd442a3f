import { browserHeaders } from "./headers.ts";
import { h2load } from "./loads/h2load.ts";
import { cpuOf } from "./machine.ts";
import { compare } from "./peers/compare.ts";
import type { Suite } from "./suite.ts";

const LOAD = { connections: 8, streams: 16, protocol: "h2c" } as const;

/** GETs of a small page over HTTP/2 (prior knowledge) to an app that speaks HTTP/1.1, with a browser's headers. */
export const benchH2: Suite = (say, options) =>
  compare(say, options, {
    ...{ suite: "h2", kinds: ["http"], rounds: 5, seconds: 2 },
    without: (peer) => !peer.http2,
    measure: async (running, _peer, seconds) => {
      const headers = browserHeaders(running.session);
      const load = { ...LOAD, port: running.ports.http, authority: running.authority("http"), headers, seconds };
      const { done, cpu } = await cpuOf(running.pid, () => h2load(load));
      return [
        { of: "", value: done.requests / done.seconds, unit: "requests/s" },
        { of: "per CPU second", value: done.requests / cpu, unit: "requests/CPU-s" },
      ];
    },
  });
