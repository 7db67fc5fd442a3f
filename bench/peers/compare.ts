import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checkMachine,
  cpuSeconds,
  describeMachine,
  epitaphOf,
  loadAverage,
  openBusyMeter,
  stopAll,
} from "../machine.ts";
import { median, type Row, type SuiteOptions } from "../suite.ts";
import { startBackends } from "../backends/backends.ts";
import { PEERS } from "./peers.ts";
import type { Kind, Peer, Running } from "./peer.ts";

/** What everybody is compared with, unless a suite names another. */
const YARDSTICK = "envoy";
/** V8 still gets faster after three. */
const WARM_UP_CPU_SECONDS = 4;
const WARM_UP_TURNS = 6;

/** One figure of one round. */
export interface Figure {
  /** Of what; "" for the suite's own, whose row is named by the peer alone. */
  readonly of: string;
  readonly value: number;
  readonly unit: string;
}

/** Measures one proxy once. */
export type Measure = (running: Running, peer: Peer, seconds: number) => Promise<readonly Figure[]>;

export interface Comparison {
  readonly suite: string;
  readonly kinds: readonly Kind[];
  /** Who of those that carry the kinds is left out. */
  readonly without?: (peer: Peer) => boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly measure: Measure;
  /** What warms them up; the measurement itself where it is missing. */
  readonly warmUp?: Measure;
}

/**
 * Starts backends and peers, measures all of them once per round, one after the other, so that noise hits all alike, and gives medians with
 * their ratios to Envoy's. Whoever cannot be had is told, and left out.
 */
export async function compare(
  say: (line: string) => void,
  options: SuiteOptions,
  comparison: Comparison,
): Promise<readonly Row[]> {
  checkMachine();
  const { kinds, without } = comparison;
  const { rounds = comparison.rounds, seconds = comparison.seconds } = options;
  const scope = openScope();
  try {
    const peers = await prepare(say, options, {
      suite: comparison.suite,
      carries: (peer) => kinds.every((kind) => peer.kinds.includes(kind)) && without?.(peer) !== true,
    });
    say(describeMachine());
    const backends = await startBackends(kinds);
    const field: Runner[] = [];
    for (const peer of peers) {
      const own = join(scope.folder, peer.name);
      mkdirSync(own);
      say(`${peer.name}: starting`);
      const running = await orTold(say, peer, () => peer.start(backends, own));
      if (running !== null) field.push({ peer, running, figures: new Map() });
    }
    for (const runner of field) await warmUp(say, comparison.warmUp ?? comparison.measure, runner);
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}, load average ${loadAverage()}`);
      for (const { peer, running, figures } of field) {
        const busy = openBusyMeter();
        const found = await orTold(say, peer, () => comparison.measure(running, peer, seconds));
        if (found === null) {
          const epitaph = epitaphOf(running.pid);
          if (epitaph !== null) say(`  ${peer.name}: ${epitaph}`);
          continue;
        }
        const told = found.map(({ value, unit }) => `${value.toPrecision(3)} ${unit}`);
        say(`  ${peer.name}: ${told.join(", ")} (${busy()})`);
        keep(figures, found);
      }
    }
    return asRows(field);
  } finally {
    scope.close();
  }
}

interface Runner {
  readonly peer: Peer;
  readonly running: Running;
  /** By what they are of. */
  readonly figures: Map<string, Figure[]>;
}

/** null, and told: it failed. The others go on. */
export async function orTold<T>(say: (line: string) => void, peer: Peer, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    say(`  ${peer.name} FAILED: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** Until it has used some processor time, which on a busy machine takes longer: compilers work by counts, not by clocks. */
async function warmUp(say: (line: string) => void, measure: Measure, { peer, running }: Runner): Promise<void> {
  say(`${peer.name}: warming up`);
  const from = cpuSeconds(running.pid);
  for (let turn = 0; turn < WARM_UP_TURNS && cpuSeconds(running.pid) - from < WARM_UP_CPU_SECONDS; turn++) {
    if ((await orTold(say, peer, () => measure(running, peer, 1))) === null) return;
  }
}

export function keep(kept: Map<string, Figure[]>, found: readonly Figure[]): void {
  for (const figure of found) kept.set(figure.of, [...(kept.get(figure.of) ?? []), figure]);
}

/** Those that are wanted and can be had, fetched where they were not there. Throws where that is nobody. */
export async function prepare(
  say: (line: string) => void,
  options: SuiteOptions,
  { suite, carries }: { readonly suite: string; readonly carries: (peer: Peer) => boolean },
): Promise<readonly Peer[]> {
  const wanted = PEERS.filter(carries)
    .filter(({ ofSuite }) => ofSuite === undefined || ofSuite === suite || options.only !== undefined)
    .filter(({ name }) => options.only?.includes(name) ?? true);
  const had: Peer[] = [];
  for (const peer of wanted) {
    try {
      await peer.prepare(options.build === true);
      had.push(peer);
    } catch (error) {
      say(`${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (had.length === 0) throw new Error("nobody is left to be measured");
  return had;
}

/** Medians; rows of one kind of figure together, each peer's in the order of the peers. `ratioOf`: of all figures of one to the yardstick's. */
export function asRows(
  field: readonly Pick<Runner, "peer" | "figures">[],
  yardstick: string = YARDSTICK,
  ratioOf: (own: readonly Figure[], others: readonly Figure[]) => number = (own, others) =>
    medianOf(own) / medianOf(others),
): readonly Row[] {
  const kinds = new Set(field.flatMap(({ figures }) => [...figures.keys()]));
  const yardsticks = field.find(({ peer }) => peer.name === yardstick)?.figures;
  return [...kinds].flatMap((of) =>
    field.flatMap(({ peer, figures }) => {
      const own = figures.get(of);
      if (own?.[0] === undefined) return [];
      const [value, ratio] = [medianOf(own), ratioOf(own, yardsticks?.get(of) ?? [])];
      const name = of === "" ? peer.name : `${peer.name}, ${of}`;
      return [{ name, value, unit: own[0].unit, ratio: Number.isFinite(ratio) ? ratio : null }];
    }),
  );
}

function medianOf(figures: readonly Figure[]): number {
  return median(figures.map(({ value }) => value));
}

/** A folder that goes, and processes that end, with the suite or with the bench. */
export function openScope(): { readonly folder: string; close(): void } {
  const folder = mkdtempSync(join(tmpdir(), "tg-bench-"));
  const clean = (): void => {
    stopAll();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", clean);
  return {
    folder,
    close: () => {
      process.off("exit", clean);
      clean();
    },
  };
}
