import { breaksLines, Refusal } from "./head-fields.ts";

const END = "\r\n\r\n";
/** Most heads are shorter; of a chunk that begins with one only so much is looked at first. */
const FIRST_LOOK = 8192;

/** Puts a head together from however many chunks it comes in. */
export class HeadCollector {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;
  /** The last bytes of the parts: the end of a head may be cut anywhere. */
  #tail = "";
  /** Where in the last chunk its head ended. */
  end = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Some of a head came, but not all. */
  get begun(): boolean {
    return this.#length > 0;
  }

  /** The first bytes of a head that is not whole, as many as are there, 7 at most. */
  get first(): string {
    return Buffer.concat(this.#parts.slice(0, 7)).toString("latin1", 0, 7);
  }

  /** The whole head, its empty line included; null: more is needed. Sets `end`. */
  take(chunk: Buffer, at: number): string | Refusal | null {
    if (this.#length === 0) {
      const looked = Math.min(chunk.length, at + FIRST_LOOK);
      const text = chunk.toString("latin1", at, looked);
      const found = text.indexOf(END);
      if (found >= 0) return this.#whole(found === text.length - 4 ? text : text.slice(0, found + 4), at + found + 4);
    }
    return this.#join(chunk, at);
  }

  #join(chunk: Buffer, at: number): string | Refusal | null {
    const room = this.#maxBytes - this.#length;
    const looked = Math.min(chunk.length, at + room + END.length);
    const text = this.#tail + chunk.toString("latin1", at, looked);
    const found = text.indexOf(END);
    if (found < 0) {
      if (breaksLines(text)) return BARE_LINE_END;
      if (chunk.length - at > room) return TOO_LARGE;
      this.#parts.push(at === 0 ? chunk : chunk.subarray(at));
      this.#length += chunk.length - at;
      this.#tail = text.slice(-3);
      return null;
    }
    const end = at + found + END.length - this.#tail.length;
    const whole = Buffer.concat([...this.#parts, chunk.subarray(at, end)]).toString("latin1");
    this.#parts = [];
    this.#length = 0;
    this.#tail = "";
    return this.#whole(whole, end);
  }

  #whole(text: string, end: number): string | Refusal {
    this.end = end;
    return text.length > this.#maxBytes ? TOO_LARGE : text;
  }
}

const BARE_LINE_END = new Refusal(400, "A line ends with a bare CR or LF.");
const TOO_LARGE = new Refusal(431, "The head is larger than the gate takes.");
