import { keepLent } from "../lent-reads.ts";
import { breaksLines, Refusal } from "./head-fields.ts";

const END = "\r\n\r\n";
/** Most heads are shorter; of a chunk that begins with one only so much is looked at first. */
const FIRST_LOOK = 8192;

/** Some of a head, that came in however many chunks. */
export class HeadParts {
  #parts: Buffer[] = [];
  #length = 0;
  /** The last bytes of the parts: the end of a head may be cut anywhere. */
  #tail = "";

  get length(): number {
    return this.#length;
  }

  /** The first bytes of the head, as many as are there, 7 at most. */
  get first(): string {
    return Buffer.concat(this.#parts.slice(0, 7)).toString("latin1", 0, 7);
  }

  /** As `collectHead`. */
  join(chunk: Buffer, at: number, maxBytes: number): string | Refusal | this {
    const room = maxBytes - this.#length;
    const looked = Math.min(chunk.length, at + room + END.length);
    const text = this.#tail + chunk.toString("latin1", at, looked);
    const found = text.indexOf(END);
    if (found < 0) {
      if (breaksLines(text)) return BARE_LINE_END;
      if (chunk.length - at > room) return TOO_LARGE;
      this.#parts.push(keepLent(at === 0 ? chunk : chunk.subarray(at)));
      this.#length += chunk.length - at;
      this.#tail = text.slice(-3);
      return this;
    }
    const end = at + found + END.length - this.#tail.length;
    const whole = Buffer.concat([...this.#parts, chunk.subarray(at, end)]).toString("latin1");
    return whole.length > maxBytes ? TOO_LARGE : whole;
  }
}

/**
 * The whole head that `chunk` has the end of, its empty line included; or what is there of it: the next chunk's `begun`. Of a whole head
 * its length tells where in the chunk it ended. Most heads come whole, and cost no more than their text.
 */
export function collectHead(
  begun: HeadParts | null,
  chunk: Buffer,
  at: number,
  maxBytes: number,
): string | Refusal | HeadParts {
  if (begun === null) {
    const text = chunk.toString("latin1", at, Math.min(chunk.length, at + FIRST_LOOK));
    const found = text.indexOf(END);
    if (found + END.length > maxBytes) return TOO_LARGE;
    if (found >= 0) return found === text.length - END.length ? text : text.slice(0, found + END.length);
  }
  return (begun ?? new HeadParts()).join(chunk, at, maxBytes);
}

const BARE_LINE_END = new Refusal(400, "A line ends with a bare CR or LF.");
const TOO_LARGE = new Refusal(431, "The head is larger than the gate takes.");
