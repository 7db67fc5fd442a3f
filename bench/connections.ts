import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { startBackends } from "./backends/backends.ts";
import { browserHeaders } from "./headers.ts";
import { hold } from "./loads/hold.ts";
import { wrk } from "./loads/wrk.ts";
import {
  checkMachine,
  cpuOf,
  describeMachine,
  familyOf,
  loadAverage,
  residentKiB,
  residentKiBOf,
  stop,
} from "./machine.ts";
import { asRows, type Figure, keep, openScope, orTold, prepare } from "./peers/compare.ts";
import type { Backends, Peer, Running } from "./peers/peer.ts";
import type { Suite } from "./suite.ts";

/** Enough to outweigh what a heap grows by in steps; twice as many descriptors are what a process may commonly have. */
const CONNECTIONS = 3000;
const WARM_UP_CONNECTIONS = 300;
const SETTLE_MS = 700;

/**
 * Memory that a connection holds: kept alive after one request, and as a WebSocket, which holds the app's side too; and connections opened a
 * second for one request each. Each round starts each proxy aanew, for memory that was once had is seldom given back.
 */
export const benchConnections: Suite = async (say, options) => {
  checkMachine();
  const { rounds = 2, seconds = 2 } = options;
  const scope = openScope();
  try {
    const peers = await prepare(say, options, { suite: "connections", carries: carriesConnections });
    say(describeMachine());
    const backends = await startBackends(["http"]);
    const field = peers.map((peer) => ({ peer, figures: new Map<string, Figure[]>() }));
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}, load average ${loadAverage()}`);
      for (const { peer, figures } of field) {
        const folder = join(scope.folder, `${peer.name}-${round}`);
        mkdirSync(folder);
        const found = await orTold(say, peer, () => measure(peer, backends, folder, seconds));
        if (found === null) continue;
        say(
          `  ${peer.name}: ${found.map(({ of, value, unit }) => `${of} ${value.toPrecision(3)} ${unit}`).join(", ")}`,
        );
        keep(figures, found);
      }
    }
    return asRows(field);
  } finally {
    scope.close();
  }
};

/** Two bare sockets are what a proxy in Node starts from. */
function carriesConnections(peer: Peer): boolean {
  return peer.kinds.includes("http") || peer.name === "node-sockets";
}

/** Each kind of connection on a process of its own: what the first kind gave back would be the second one's. */
async function measure(peer: Peer, backends: Backends, folder: string, seconds: number): Promise<readonly Figure[]> {
  const first = await peer.start(backends, folder);
  const figures: Figure[] = [];
  try {
    await setTimeout(SETTLE_MS);
    figures.push(...memory(first));
    await wrk({ ...target(first), connections: 16, seconds: 1 });
    figures.unshift({ of: "", value: await perConnection(first, "idle"), unit: "KiB" });
    await setTimeout(SETTLE_MS);
    figures.push(...(await opens(first, seconds)));
  } finally {
    await stop(first);
  }
  const second = await peer.start(backends, folder);
  try {
    await wrk({ ...target(second), connections: 16, seconds: 1 });
    figures.push({ of: "WebSocket", value: await perConnection(second, "sockets"), unit: "KiB" });
  } finally {
    await stop(second);
  }
  return figures;
}

/** MiB of a proxy that has not been asked anything yet: all of its processes, and the largest one that another one started. */
function memory(running: Running): readonly Figure[] {
  const children = familyOf(running.pid).slice(1).map(residentKiBOf);
  const whole = { of: "at rest", value: residentKiB(running.pid) / 1024, unit: "MiB" };
  if (children.length === 0) return [whole];
  return [whole, { of: "largest worker at rest", value: Math.max(...children) / 1024, unit: "MiB" }];
}

async function perConnection(running: Running, what: "idle" | "sockets"): Promise<number> {
  const settled = async (): Promise<number> => {
    await setTimeout(SETTLE_MS);
    return residentKiB(running.pid);
  };
  // What the first of them cost, code and buffers included, is not theirs.
  await hold(what, running, WARM_UP_CONNECTIONS, settled);
  const before = await settled();
  const { done } = await hold(what, running, CONNECTIONS, settled);
  return (done - before) / CONNECTIONS;
}

async function opens(running: Running, seconds: number): Promise<readonly Figure[]> {
  const { headers, ...to } = target(running);
  const load = { ...to, headers: [...headers, ["Connection", "close"] as const], connections: 32, seconds };
  const { done, cpu } = await cpuOf(running.pid, () => wrk(load));
  return [
    { of: "opens", value: done.requests / done.seconds, unit: "connections/s" },
    { of: "opens, per CPU second", value: done.requests / cpu, unit: "connections/CPU-s" },
  ];
}

function target(running: Running) {
  return {
    port: running.ports.http,
    authority: running.authority("http"),
    headers: browserHeaders(running.session),
  };
}
