/** Whose answer it was: the job's, or the gate's own. */
export type Source = "app" | "gate";

export const KINDS = Object.freeze(["http", "websocket", "grpc", "tcp", "tls", "forward"] as const);
export const SOURCES = Object.freeze(["app", "gate"] as const satisfies readonly Source[]);

/** Upper bounds of the buckets of every histogram, seconds; what is longer goes to one more. */
export const BOUNDS: readonly number[] = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600,
]);

/** A sum in seconds, then one count for each bucket. */
const HISTOGRAM_SIZE = 1 + BOUNDS.length + 1;
/** Classes 1xx to 5xx. */
export const CLASSES = 5;

/**
 * Where each figure is in a block. A block is one array of numbers, of one kind of traffic or of one service: the hot path adds to it and
 * does nothing else.
 */
export const SLOT = Object.freeze({
  open: 0,
  bytesIn: 1,
  bytesOut: 2,
  /** Ended before the answer was whole. */
  aborted: 3,
  /** Tries after the first. */
  retries: 4,
  connectFailed: 5,
  connectTimeout: 6,
  tlsFailed: 7,
  /** Five counts of the job's answers, by class; then five of the gate's own. */
  app: 8,
  gate: 8 + CLASSES,
  /** From the head of a request to the end of its answer; of a connection, its life. */
  duration: 8 + 2 * CLASSES,
  /** From the head of a request to the head of the job's answer. */
  firstByte: 8 + 2 * CLASSES + HISTOGRAM_SIZE,
  connect: 8 + 2 * CLASSES + 2 * HISTOGRAM_SIZE,
});
const BLOCK_SIZE = SLOT.connect + HISTOGRAM_SIZE;

/** Where it is counted how connecting to an endpoint failed. */
export const DIAL_SLOTS = Object.freeze({
  connect_failed: SLOT.connectFailed,
  connect_timeout: SLOT.connectTimeout,
  tls_failed: SLOT.tlsFailed,
});

/** See `SLOT`. */
export type Block = Float64Array;

/** What a plane counted since it started, of all its processes. Only plain values: it crosses processes as JSON or as a structured clone. */
export interface PlaneFigures {
  /** A block for each of `KINDS`. */
  readonly kinds: readonly (readonly number[])[];
  /** A block of what no kind has: connecting to endpoints. */
  readonly upstreams: readonly number[];
  /** A block for each service that the table holds and that had traffic. */
  readonly services: readonly (readonly [service: string, block: readonly number[]])[];
  /** Answers by `KIND STATUS SOURCE`. */
  readonly answers: readonly (readonly [answer: string, count: number])[];
  /** The gate's own answers by their code. */
  readonly refusals: readonly (readonly [code: string, count: number])[];
  /** What was refused because a bound was reached, by bound. */
  readonly limited: readonly (readonly [bound: string, count: number])[];
  /** Lines of the access log and spans that were given up, rather than that traffic waited. */
  readonly dropped: { readonly logLines: number; readonly spans: number };
}

export const NO_FIGURES: PlaneFigures = Object.freeze({
  kinds: KINDS.map(() => Array.from(newBlock())),
  upstreams: Array.from(newBlock()),
  services: [],
  answers: [],
  refusals: [],
  limited: [],
  dropped: { logLines: 0, spans: 0 },
});

export function newBlock(): Block {
  return new Float64Array(BLOCK_SIZE);
}

/** Adds to one figure. */
export function add(block: Block, slot: number, amount: number): void {
  block[slot] = (block[slot] ?? 0) + amount;
}

/** Adds a value to the histogram at `slot`. */
export function addTime(block: Block, slot: number, seconds: number): void {
  let bucket = 0;
  while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? Infinity)) bucket += 1;
  add(block, slot, seconds);
  add(block, slot + 1 + bucket, 1);
}

/** Adds an answer to its class. */
export function addAnswer(block: Block, status: number, source: Source): void {
  const at = (source === "app" ? SLOT.app : SLOT.gate) + Math.floor(status / 100) - 1;
  add(block, at, 1);
}

export interface HistogramFigures {
  readonly sum: number;
  /** Not cumulative; one more than there are `BOUNDS`. */
  readonly counts: readonly number[];
}

export function histogramOf(block: readonly number[], slot: number): HistogramFigures {
  return { sum: block[slot] ?? 0, counts: block.slice(slot + 1, slot + HISTOGRAM_SIZE) };
}

/** Figures of several processes as those of one. */
export function sumFigures(all: readonly PlaneFigures[]): PlaneFigures {
  return {
    kinds: KINDS.map((_, at) => sumBlocks(all.map(({ kinds }) => kinds[at] ?? []))),
    upstreams: sumBlocks(all.map(({ upstreams }) => upstreams)),
    services: [
      ...Map.groupBy(
        all.flatMap(({ services }) => services),
        ([service]) => service,
      ),
    ].map(([service, blocks]) => [service, sumBlocks(blocks.map(([, block]) => block))] as const),
    answers: sumCounts(all.flatMap(({ answers }) => answers)),
    refusals: sumCounts(all.flatMap(({ refusals }) => refusals)),
    limited: sumCounts(all.flatMap(({ limited }) => limited)),
    dropped: {
      logLines: all.reduce((sum, { dropped }) => sum + dropped.logLines, 0),
      spans: all.reduce((sum, { dropped }) => sum + dropped.spans, 0),
    },
  };
}

export function sumBlocks(blocks: readonly (readonly number[])[]): readonly number[] {
  const sum = newBlock();
  for (const block of blocks) for (const [at, value] of block.entries()) add(sum, at, value);
  return Array.from(sum);
}

function sumCounts(counts: readonly (readonly [string, number])[]): readonly (readonly [string, number])[] {
  const sums = new Map<string, number>();
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count);
  return [...sums];
}
