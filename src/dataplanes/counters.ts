import type { TrafficKind } from "../model/index.ts";
import { add, addAnswer, KINDS, newBlock, SOURCES, type Block, type PlaneFigures, type Source } from "./figures.ts";

const STATUSES = 600;
/** More codes than the gate has; authorities elsewhere may send theirs. */
const MOST_CODES = 200;
const OTHER_CODE = "other";

const KIND_INDEX: Readonly<Record<TrafficKind, number>> = Object.freeze(
  Object.fromEntries(KINDS.map((kind, at) => [kind, at])) as Record<TrafficKind, number>,
);

/** An answer as it is counted. */
export interface Answer {
  readonly kind: TrafficKind;
  /** 0: none could be given; 100 to 999. */
  readonly status: number;
  readonly source: Source;
  /** Of the gate's own answers: why. */
  readonly code: string | null;
}

/** What one process counts while it moves bytes. Nothing is put into words until somebody asks. */
export class Counters {
  /** Of connecting to endpoints: connections are shared by requests, so they are of no kind. */
  readonly upstreams = newBlock();
  readonly #kinds: readonly Block[] = KINDS.map(newBlock);
  readonly #services = new Map<string, Block>();
  readonly #answers = new Float64Array(KINDS.length * SOURCES.length * STATUSES);
  /** Where in `answers` there is something: of thousands of places a gate uses a few dozen, and is asked every other second. */
  readonly #given: number[] = [];
  readonly #limited = new Map<string, number>();
  readonly #codes = new Map<string, number>();

  kind(kind: TrafficKind): Block {
    return this.#kinds[KIND_INDEX[kind]] ?? this.upstreams;
  }

  /** Whoever keeps it may add to it for as long as he likes; once the service is forgotten nobody reads it. */
  service(key: string): Block {
    let block = this.#services.get(key);
    if (block === undefined) this.#services.set(key, (block = newBlock()));
    return block;
  }

  /** The service left the table: its own figures end, the sums over all keep what it had. */
  forget(service: string): void {
    this.#services.delete(service);
  }

  /** `service`: its block, where the request came as far as one. */
  answered(answer: Answer, service: Block | null): void {
    const { kind, source, code } = answer;
    if (code !== null) this.#refused(code);
    if (answer.status === 0) return;
    const status = answer.status < STATUSES ? answer.status : STATUSES - 1; // a job may say 999
    const row = KIND_INDEX[kind] * SOURCES.length + (source === "app" ? 0 : 1);
    const at = row * STATUSES + status;
    if (this.#answers[at] === 0) this.#given.push(at);
    add(this.#answers, at, 1);
    addAnswer(this.kind(kind), status, source);
    if (service !== null) addAnswer(service, status, source);
  }

  limited(bound: string): void {
    this.#limited.set(bound, (this.#limited.get(bound) ?? 0) + 1);
  }

  figures(dropped: PlaneFigures["dropped"]): PlaneFigures {
    return {
      kinds: this.#kinds.map((block) => Array.from(block)),
      upstreams: Array.from(this.upstreams),
      services: [...this.#services].map(([service, block]) => [service, Array.from(block)] as const),
      answers: this.#answersByName(),
      refusals: [...this.#codes],
      limited: [...this.#limited],
      dropped,
    };
  }

  #refused(code: string): void {
    const key = this.#codes.has(code) || this.#codes.size < MOST_CODES ? code : OTHER_CODE;
    this.#codes.set(key, (this.#codes.get(key) ?? 0) + 1);
  }

  #answersByName(): [string, number][] {
    const named: [string, number][] = [];
    for (const at of this.#given) {
      const row = Math.floor(at / STATUSES);
      const kind = KINDS[Math.floor(row / SOURCES.length)] ?? "";
      named.push([`${kind} ${String(at % STATUSES)} ${SOURCES[row % SOURCES.length] ?? ""}`, this.#answers[at] ?? 0]);
    }
    return named;
  }
}
