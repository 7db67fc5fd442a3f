import { setTimeout } from "node:timers/promises";
import { exactCpuSeconds, start, type Started, stop } from "../machine.ts";
import { readWrk, wrkCommand, type HttpLoad } from "./wrk.ts";

const TURN_MS = 100;
/** Within it what is under way is answered, once nobody asks any more. */
const ANSWERED_MS = 10;

/** A load on a proxy, which may be the same for several. */
export interface Turn {
  readonly load: HttpLoad;
  /** Of the proxy. */
  readonly pid: number;
}

/** What came of the turns of one load. */
export interface Turns {
  readonly requests: number;
  /** Of its turns alone. */
  readonly seconds: number;
  /** Processor time of the proxy in them. */
  readonly cpu: number;
}

interface Player {
  readonly pid: number;
  readonly load: HttpLoad;
  readonly wrk: Started;
  seconds: number;
  cpu: number;
}

/**
 * Several loads side by side, of which all but one stand still, a tenth of a second each in turn: what a machine does faster or slower for some
 * seconds hits all alike. `seconds` of each load are those of all turns together.
 */
export async function inTurns(turns: readonly Turn[]): Promise<readonly Turns[]> {
  const players: Player[] = [];
  try {
    const end = performance.now() + (turns[0]?.load.seconds ?? 0) * 1000;
    for (const turn of turns) players.push(await begin(turn));
    while (performance.now() < end) for (const player of players) await goOn(player, TURN_MS);
    // Their time is up, which each finds when it goes on.
    for (const player of players) await goOn(player, null);
    return players.map(({ load, wrk, seconds, cpu }) => ({ ...readWrk(load, wrk.lastWords()), seconds, cpu }));
  } finally {
    for (const { wrk } of players) await stop(wrk);
  }
}

async function begin({ load, pid }: Turn): Promise<Player> {
  const cpu = exactCpuSeconds(pid);
  const from = performance.now();
  const player = { pid, load, wrk: start("load", wrkCommand(load)), seconds: 0, cpu: 0 };
  await setTimeout(TURN_MS);
  return halt(player, from, cpu);
}

/** null: to its end. */
async function goOn(player: Player, ms: number | null): Promise<void> {
  const cpu = exactCpuSeconds(player.pid);
  const from = performance.now();
  signal(player, "SIGCONT");
  await (ms === null ? player.wrk.ended : setTimeout(ms));
  await halt(player, from, cpu);
}

async function halt(player: Player, from: number, cpu: number): Promise<Player> {
  signal(player, "SIGSTOP");
  player.seconds += (performance.now() - from) / 1000;
  await setTimeout(ANSWERED_MS);
  player.cpu += exactCpuSeconds(player.pid) - cpu;
  return player;
}

/** One that has ended by itself says later why. */
function signal({ wrk }: Player, name: "SIGCONT" | "SIGSTOP"): void {
  if (wrk.running()) process.kill(wrk.pid, name);
}
