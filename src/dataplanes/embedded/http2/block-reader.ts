import { CODE, FLAG, Http2Error, WINDOW_MAX } from "./frames.ts";
import type { FrameHead, Piece } from "./frame-reader.ts";
import { HpackDecoder, type FieldBlock } from "./hpack/decoder.ts";

export interface BlockReaderDeps {
  readonly headBytes: number;
  readonly headFields: number;
  /** A whole field section came. `last`: nothing follows on its stream. */
  read(stream: number, block: FieldBlock, last: boolean): void;
}

interface Part {
  readonly stream: number;
  readonly last: boolean;
  readonly pieces: Buffer[];
  length: number;
}

const TABLE_BYTES = 4096;
const CONTINUATIONS_MAX = 64;
const PRIORITY_BYTES = 5;

/** Puts HEADERS and what continues them together (RFC 9113 §4.3), and reads what they say. Throws `Http2Error` and `HpackError`. */
export class BlockReader {
  readonly #deps: BlockReaderDeps;
  readonly #decoder: HpackDecoder;
  #part: Part | null = null;

  constructor(deps: BlockReaderDeps) {
    this.#deps = deps;
    const { headBytes, headFields } = deps;
    this.#decoder = new HpackDecoder({ tableBytes: TABLE_BYTES, listBytes: headBytes, listFields: headFields });
  }

  /** No frame but CONTINUATION may come now. */
  get open(): boolean {
    return this.#part !== null;
  }

  headers({ flags, stream }: FrameHead, { bytes, at: from, end: to }: Piece): void {
    if (stream === 0) throw new Http2Error(CODE.protocol, "HEADERS on stream 0");
    const padded = (flags & FLAG.padded) !== 0;
    const end = padded ? to - (bytes[from] ?? 0) : to;
    let at = padded ? from + 1 : from;
    if ((flags & FLAG.priority) !== 0) at += readPriority(stream, bytes, at, end);
    if (at > end) throw new Http2Error(CODE.protocol, "HEADERS without room for what they say");
    const last = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) return this.#deps.read(stream, this.#decoder.decode(bytes, at, end), last);
    this.#part = { stream, last, pieces: [Buffer.from(bytes.subarray(at, end))], length: end - at };
  }

  continuation({ flags, stream }: FrameHead, { bytes, at, end }: Piece): void {
    const part = this.#part;
    if (part?.stream !== stream) throw new Http2Error(CODE.protocol, "CONTINUATION of nothing");
    part.length += end - at;
    // A list that may be said at all fits this; and what is said in crumbs is an attack (CVE-2024-27316).
    if (part.length > this.#deps.headBytes || part.pieces.length > CONTINUATIONS_MAX) {
      throw new Http2Error(CODE.calm, "a field block without an end");
    }
    part.pieces.push(Buffer.from(bytes.subarray(at, end)));
    if ((flags & FLAG.endHeaders) === 0) return;
    this.#part = null;
    this.#deps.read(stream, this.#decoder.decode(Buffer.concat(part.pieces), 0, part.length), part.last);
  }
}

/** Priorities are no more (RFC 9113 §5.3.2), but they are still read over. Gives how many bytes they take. */
export function readPriority(stream: number, bytes: Buffer, at: number, end: number): number {
  if (end - at < PRIORITY_BYTES) throw new Http2Error(CODE.frameSize, "a priority that is cut off");
  if ((bytes.readUInt32BE(at) & WINDOW_MAX) === stream) {
    throw new Http2Error(CODE.protocol, "a stream that depends on itself");
  }
  return PRIORITY_BYTES;
}
