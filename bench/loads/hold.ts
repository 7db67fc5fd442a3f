import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { start, stop } from "../machine.ts";
import type { Running } from "../peers/peer.ts";

const PROGRAM = fileURLToPath(new URL("sockets.ts", import.meta.url));
const POLL_MS = 20;

/** Opens connections that carry one request (`idle`) or WebSocket upgrade (`sockets`) each, and holds them while `meanwhile` runs. */
export async function hold<T>(
  what: "idle" | "sockets",
  running: Running,
  connections: number,
  meanwhile: () => Promise<T>,
): Promise<{ readonly done: T; readonly seconds: number }> {
  const authority = running.authority("http");
  const numbers = [running.ports.http, connections, 0].map(String);
  const from = performance.now();
  const load = start("load", [process.execPath, PROGRAM, what, ...numbers, authority, running.session ?? ""]);
  try {
    while (!load.lastWords().includes("held")) {
      if (!load.running()) throw new Error(`connections are not held: ${load.lastWords()}`);
      await setTimeout(POLL_MS);
    }
    const seconds = (performance.now() - from) / 1000;
    const done = await meanwhile();
    if (!load.running()) throw new Error(`connections were lost: ${load.lastWords()}`);
    return { done, seconds };
  } finally {
    await stop(load);
  }
}
