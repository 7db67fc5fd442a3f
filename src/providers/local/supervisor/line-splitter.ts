const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Longest line, in bytes, that is kept in one piece. */
export const LINE_BYTES = 64 * 1024;

/** Ends a piece of a line that was too long. */
export const CUT_NOTE = Buffer.from(" [taskgate: line cut, it goes on below]");

/** Bytes in pieces → whole lines, without line ends. Holds at most one line; a longer one comes in pieces, each but the last with a note. */
export class LineSplitter {
  readonly #limit: number;
  #held: Buffer[] = [];
  #heldBytes = 0;

  /** `limit` in bytes. */
  constructor(limit: number = LINE_BYTES) {
    this.#limit = limit;
  }

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    for (let from = 0; from < chunk.length;) {
      const newline = chunk.indexOf(NEWLINE, from);
      const until = newline < 0 ? chunk.length : newline;
      this.#hold(chunk.subarray(from, until), lines);
      if (newline >= 0) lines.push(this.#take());
      from = until + 1;
    }
    return lines;
  }

  /** What is held without a line end; null: nothing. */
  flush(): Buffer | null {
    return this.#heldBytes === 0 ? null : this.#take();
  }

  #hold(piece: Buffer, lines: Buffer[]): void {
    let rest = piece;
    while (this.#heldBytes + rest.length > this.#limit) {
      const room = characterEnd(rest, this.#limit - this.#heldBytes);
      this.#add(rest.subarray(0, room));
      lines.push(Buffer.concat([this.#take(), CUT_NOTE]));
      rest = rest.subarray(room);
    }
    this.#add(rest);
  }

  #add(piece: Buffer): void {
    if (piece.length === 0) return;
    // A copy: the chunk may be a pooled buffer that its reader fills again.
    this.#held.push(Buffer.from(piece));
    this.#heldBytes += piece.length;
  }

  #take(): Buffer {
    const line = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return line.at(-1) === RETURN ? line.subarray(0, -1) : line;
  }
}

/** The last place at or before `at` where a character of UTF-8 starts; `at` itself where that would give nothing. */
function characterEnd(bytes: Buffer, at: number): number {
  for (let end = at; end > 0 && end > at - 4; end -= 1) {
    if (((bytes[end] ?? 0) & 0xc0) !== 0x80) return end;
  }
  return at;
}
