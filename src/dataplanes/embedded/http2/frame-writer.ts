import type { Socket } from "node:net";
import { isTlsSocket } from "../../../platform/node-tls.ts";
import { BufferPool } from "../buffer-pool.ts";
import type { Piece } from "./frame-reader.ts";
import { FLAG, FRAME, FRAME_BYTES, FRAME_HEAD_BYTES } from "./frames.ts";

const PIECE_BYTES = 64 * 1024;
/** Lent from the first frame that is gathered to the write, so that a few are enough for all connections. */
const pieces = new BufferPool({ bytes: PIECE_BYTES, most: Infinity, kept: 16 });
const NOTHING = Buffer.alloc(0);

/** What is written at once. */
interface Filled {
  readonly piece: Buffer;
  readonly length: number;
}

/** Gathers frames, and writes them all at once. */
export class FrameWriter {
  readonly #socket: Socket;
  /** Bytes may lie with TLS for longer than anybody says. */
  readonly #copies: boolean;
  /** NOTHING: nothing is gathered. */
  #piece: Buffer = NOTHING;
  #length = 0;
  readonly #filled: Filled[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#copies = isTlsSocket(socket);
  }

  /** Bytes that the system has not taken yet. */
  get waiting(): number {
    return this.#length + this.#filled.length * PIECE_BYTES + this.#socket.writableLength;
  }

  /** A frame that belongs to the connection. */
  control(type: number, flags: number, payload: Uint8Array): void {
    const at = this.#head(payload.length, (type << 8) | flags, 0);
    this.#piece.set(payload, at);
  }

  /** A frame whose payload is one number: WINDOW_UPDATE, RST_STREAM. */
  number(type: number, stream: number, value: number): void {
    const at = this.#head(4, type << 8, stream);
    this.#piece.writeUInt32BE(value, at);
  }

  /** A field block as HEADERS, and CONTINUATION where it is long. */
  block(stream: number, block: Buffer, length: number, ends: boolean): void {
    let at = 0;
    do {
      const end = Math.min(length, at + FRAME_BYTES);
      const flags = (end === length ? FLAG.endHeaders : 0) | (at === 0 && ends ? FLAG.endStream : 0);
      const to = this.#head(end - at, ((at === 0 ? FRAME.headers : FRAME.continuation) << 8) | flags, stream);
      block.copy(this.#piece, to, at, end);
      at = end;
    } while (at < length);
  }

  /** DATA of at most `FRAME_BYTES`; `ends`: and the stream with it. */
  data(stream: number, { bytes, at, end }: Piece, ends: boolean): void {
    const to = this.#head(end - at, (FRAME.data << 8) | (ends ? FLAG.endStream : 0), stream);
    if (end > at) bytes.copy(this.#piece, to, at, end);
  }

  /** Gives all of it to the socket. */
  flush(): void {
    if (this.#length === 0) return;
    const socket = this.#socket;
    const filled = this.#take();
    if (filled.length > 1) socket.cork();
    for (const { piece, length } of filled) {
      const bytes = piece.subarray(0, length);
      socket.write(this.#copies ? Buffer.from(bytes) : bytes);
    }
    if (filled.length > 1) socket.uncork();
    // What the system took at once is done, though it is said later.
    const done = this.#copies || socket.writableLength === 0;
    for (const { piece } of filled) {
      if (done) pieces.give(piece);
      else pieces.forget(piece);
    }
  }

  /** Forgets what was gathered. */
  drop(): void {
    if (this.#length > 0) for (const { piece } of this.#take()) pieces.give(piece);
  }

  #take(): Filled[] {
    const filled = [...this.#filled.splice(0), { piece: this.#piece, length: this.#length }];
    this.#piece = NOTHING;
    this.#length = 0;
    return filled;
  }

  /** Gives where the payload goes. `kind`: type and flags. */
  #head(length: number, kind: number, stream: number): number {
    if (this.#length + FRAME_HEAD_BYTES + length > this.#piece.length) this.#next();
    const piece = this.#piece;
    const at = this.#length;
    piece[at] = length >>> 16;
    piece[at + 1] = length >>> 8;
    piece[at + 2] = length;
    piece[at + 3] = kind >>> 8;
    piece[at + 4] = kind;
    piece[at + 5] = stream >>> 24;
    piece[at + 6] = stream >>> 16;
    piece[at + 7] = stream >>> 8;
    piece[at + 8] = stream;
    this.#length = at + FRAME_HEAD_BYTES + length;
    return at + FRAME_HEAD_BYTES;
  }

  #next(): void {
    if (this.#length > 0) this.#filled.push({ piece: this.#piece, length: this.#length });
    this.#piece = pieces.take() ?? NOTHING;
    this.#length = 0;
  }
}
