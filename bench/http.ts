import { browserHeaders } from "./headers.ts";
import { h2load } from "./loads/h2load.ts";
import { wrk, type HttpLoad } from "./loads/wrk.ts";
import { cpuOf } from "./machine.ts";
import { compare, type Figure } from "./peers/compare.ts";
import type { Running } from "./peers/peer.ts";
import { quantile, type Suite } from "./suite.ts";

const CONNECTIONS = 64;
/** Far below what the slowest peer can do: what is measured is how long each takes, not how long requests queue. */
const STEADY = { connections: 10, requestsPerSecond: 50 };

/** Keep-alive GETs of a small page, with a browser's headers: as many as get through, and then 500 a second. */
export const benchHttp: Suite = (say, options) =>
  compare(say, options, {
    ...{ suite: "http", kinds: ["http"], rounds: 8, seconds: 1 },
    warmUp: (running, _peer, seconds) => throughput(running, seconds),
    measure: async (running, _peer, seconds) => [
      ...(await throughput(running, seconds)),
      ...(await latency(running, seconds)),
    ],
  });

/** As many as get through, a second and per CPU second. */
export async function throughput(running: Running, seconds: number): Promise<readonly Figure[]> {
  const { done, cpu } = await cpuOf(running.pid, () => wrk(pageLoad(running, seconds)));
  return [
    { of: "", value: done.requests / done.seconds, unit: "requests/s" },
    { of: "per CPU second", value: done.requests / cpu, unit: "requests/CPU-s" },
  ];
}

/** The page on 64 connections, as a browser asks for it. */
export function pageLoad(running: Running, seconds: number): HttpLoad {
  const headers = [["Connection", "keep-alive"] as const, ...browserHeaders(running.session)];
  const [port, authority] = [running.ports.http, running.authority("http")];
  return { port, authority, headers, connections: CONNECTIONS, seconds };
}

async function latency(running: Running, seconds: number): Promise<readonly Figure[]> {
  const load = { ...pageLoad(running, seconds), ...STEADY };
  const { times } = await h2load({ ...load, protocol: "http/1.1", streams: 1 });
  return [
    { of: "p50 at 500 requests/s", value: quantile(times, 0.5), unit: "ms" },
    { of: "p99 at 500 requests/s", value: quantile(times, 0.99), unit: "ms" },
  ];
}
