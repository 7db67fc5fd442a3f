import { browserHeaders } from "./headers.ts";
import { wrk } from "./loads/wrk.ts";
import { cpuSeconds } from "./machine.ts";
import { compare, type Figure, type Measure } from "./peers/compare.ts";
import type { Suite } from "./suite.ts";

const CONNECTIONS = 64;

/** Keep-alive GETs of a small page, with a browser's headers. */
export const benchHttp: Suite = (say, options) =>
  compare(say, options, { kinds: ["http"], rounds: 5, seconds: 2, measure });

const measure: Measure = async (running, _peer, seconds): Promise<readonly Figure[]> => {
  const headers = browserHeaders(running.session);
  const load = { port: running.ports.http, authority: running.authority("http"), headers };
  const before = cpuSeconds(running.pid);
  const counted = await wrk({ ...load, connections: CONNECTIONS, seconds });
  const used = cpuSeconds(running.pid) - before;
  return [
    { of: "", value: counted.requests / counted.seconds, unit: "requests/s" },
    { of: "per CPU second", value: counted.requests / used, unit: "requests/CPU-s" },
  ];
};
