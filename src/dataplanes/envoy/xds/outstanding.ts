/**
 * Responses, and their bytes, that an Envoy has neither taken nor refused: beyond them, what changes waits, and comes together. One alone
 * would not do: Envoy keeps its answer on clusters until all are warm, and is then to hear of the next.
 */
const MAX_RESPONSES = 256;
const MAX_BYTES = 512 * 1024;

/** Resources that are there, or names of such that are not: a response has one or the other. */
export type Part =
  | {
      readonly kind: "set";
      readonly ids: readonly number[];
      readonly entries: readonly string[];
      readonly versions: readonly string[];
      /** Of all entries. */
      readonly bytes: number;
    }
  | { readonly kind: "gone"; readonly ids: readonly number[] };

export type Kind = Part["kind"];

/** What is remembered of a response: not its entries, which may be others by now. */
export interface SentResponse {
  readonly kind: Kind;
  readonly ids: readonly number[];
  readonly versions: readonly string[];
  readonly bytes: number;
  /** `seq` of the oldest change in it. */
  readonly since: number;
  /** Epoch ms. */
  readonly at: number;
}

/** Responses of one type to one Envoy that are on their way, or were neither taken nor refused yet. */
export class Outstanding {
  /** By nonce, in the order of going. */
  readonly #responses = new Map<string, SentResponse>();
  #bytes = 0;

  /** Whether the Envoy is to answer some before it is sent more. */
  get isFull(): boolean {
    return this.#responses.size >= MAX_RESPONSES || this.#bytes >= MAX_BYTES;
  }

  /** When the oldest was sent, epoch ms. */
  get since(): number | null {
    for (const { at } of this.#responses.values()) return at;
    return null;
  }

  /** `seq` of the oldest change of the kind in those that were sent after `sentAfter` (epoch ms); Infinity: none. */
  oldest(kind: Kind, sentAfter = -Infinity): number {
    let oldest = Infinity;
    for (const each of this.#responses.values()) {
      if (each.kind === kind && each.at > sentAfter) oldest = Math.min(oldest, each.since);
    }
    return oldest;
  }

  add(nonce: string, part: Part, { since, at }: Pick<SentResponse, "since" | "at">): void {
    const { kind, ids } = part;
    const { versions, bytes } = part.kind === "set" ? part : { versions: [], bytes: 0 };
    this.#responses.set(nonce, { kind, ids, versions, bytes, since, at });
    this.#bytes += bytes;
  }

  /** The response of that nonce, which is outstanding no more; undefined: it was not. */
  answered(nonce: string): SentResponse | undefined {
    const response = this.#responses.get(nonce);
    this.#responses.delete(nonce);
    this.#bytes -= response?.bytes ?? 0;
    return response;
  }
}
