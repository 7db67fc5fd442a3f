import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkMachine, cpuSeconds, describeMachine, loadAverage, stopAll } from "../machine.ts";
import { median, type Row, type SuiteOptions } from "../suite.ts";
import { startBackends } from "../backends/backends.ts";
import { PEERS } from "./peers.ts";
import type { Kind, Peer, Running } from "./peer.ts";

/** What everybody is compared with. */
const YARDSTICK = "envoy";
const WARM_UP_CPU_SECONDS = 2;
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
  readonly kinds: readonly Kind[];
  /** Who of those that carry the kinds is left out. */
  readonly without?: (peer: Peer) => boolean;
  readonly rounds: number;
  readonly seconds: number;
  /** Told what it is of the backends that run. */
  readonly measure: Measure;
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
  const { rounds = comparison.rounds, seconds = comparison.seconds } = options;
  const scope = openScope();
  try {
    const peers = await prepare(say, options, comparison);
    say(describeMachine());
    const backends = await startBackends(comparison.kinds);
    const folder = scope.folder;
    const field: { readonly peer: Peer; readonly running: Running }[] = [];
    for (const peer of peers) {
      say(`${peer.name}: starting`);
      const own = join(folder, peer.name);
      mkdirSync(own);
      field.push({ peer, running: await peer.start(backends, own) });
    }
    const figures = new Map<string, Map<string, Figure[]>>(peers.map(({ name }) => [name, new Map()]));
    for (const { peer, running } of field) await warmUp(say, comparison.measure, peer, running);
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}, load average ${loadAverage()}`);
      for (const { peer, running } of field) {
        const found = await comparison.measure(running, peer, seconds);
        say(`  ${peer.name}: ${found.map(({ value, unit }) => `${value.toPrecision(3)} ${unit}`).join(", ")}`);
        keep(figures.get(peer.name), found);
      }
    }
    return asRows(figures);
  } finally {
    scope.close();
  }
}

/** Until it has used some processor time, which on a busy machine takes longer: compilers work by counts, not by clocks. */
async function warmUp(say: (line: string) => void, measure: Measure, peer: Peer, running: Running): Promise<void> {
  say(`${peer.name}: warming up`);
  const from = cpuSeconds(running.pid);
  for (let turn = 0; turn < WARM_UP_TURNS && cpuSeconds(running.pid) - from < WARM_UP_CPU_SECONDS; turn++) {
    await measure(running, peer, 1);
  }
}

function keep(kept: Map<string, Figure[]> | undefined, found: readonly Figure[]): void {
  for (const figure of found) kept?.set(figure.of, [...(kept.get(figure.of) ?? []), figure]);
}

async function prepare(
  say: (line: string) => void,
  options: SuiteOptions,
  { kinds, without }: Comparison,
): Promise<readonly Peer[]> {
  const wanted = PEERS.filter((peer) => kinds.every((kind) => peer.kinds.includes(kind)))
    .filter((peer) => without?.(peer) !== true)
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

/** Rows of one kind of figure together, each peer's in the order of the peers. */
function asRows(figures: ReadonlyMap<string, ReadonlyMap<string, readonly Figure[]>>): readonly Row[] {
  const kinds = new Set([...figures.values()].flatMap((own) => [...own.keys()]));
  return [...kinds].flatMap((of) => {
    const medianOf = (name: string): number => median((figures.get(name)?.get(of) ?? []).map(({ value }) => value));
    return [...figures].flatMap(([name, own]) => {
      const unit = own.get(of)?.[0]?.unit;
      if (unit === undefined) return [];
      const [value, yardstick] = [medianOf(name), medianOf(YARDSTICK)];
      const ratio = Number.isFinite(value / yardstick) ? value / yardstick : null;
      return [{ name: of === "" ? name : `${name}, ${of}`, value, unit, ratio }];
    });
  });
}

/** A folder that goes, and processes that end, with the suite or with the bench. */
function openScope(): { readonly folder: string; close(): void } {
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
