import { KubernetesError } from "./kubernetes-error.ts";

const NEWLINE = 0x0a;

/** Takes a stream of JSON texts apart, one a line, whatever the pieces that it comes in. Holds no more than one line of bounded length. */
export class JsonLines {
  readonly #asked: string;
  readonly #mostBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** `asked`: for errors. */
  constructor(asked: string, mostBytes: number) {
    this.#asked = asked;
    this.#mostBytes = mostBytes;
  }

  /** Whether part of a line waits for the rest. */
  get isPartial(): boolean {
    return this.#bytes > 0;
  }

  /** The values whose lines end in this piece. Throws `too_large`, or `unavailable` for what is no JSON. */
  push(piece: Buffer): readonly unknown[] {
    const values: unknown[] = [];
    let from = 0;
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, from)) {
      this.#keep(piece.subarray(from, end));
      from = end + 1;
      const line = this.#pieces.length === 1 ? (this.#pieces[0] ?? piece) : Buffer.concat(this.#pieces, this.#bytes);
      this.#pieces = [];
      this.#bytes = 0;
      if (line.length > 0) values.push(this.#parse(line));
    }
    this.#keep(piece.subarray(from));
    return values;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.#mostBytes) {
      throw this.#failure("too_large", `an event is larger than ${String(this.#mostBytes)} bytes`);
    }
    this.#pieces.push(part);
  }

  #parse(line: Buffer): unknown {
    try {
      return JSON.parse(line.toString("utf8"));
    } catch {
      // Without its cause, which quotes what may be a secret's content.
      throw this.#failure("unavailable", "an event is no JSON");
    }
  }

  #failure(code: "too_large" | "unavailable", message: string): KubernetesError {
    return new KubernetesError({ asked: this.#asked, status: 0, reason: "", message, code });
  }
}
