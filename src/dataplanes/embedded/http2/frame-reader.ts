import { CODE, FLAG, FRAME, FRAME_BYTES, FRAME_HEAD_BYTES, Http2Error, PREFACE } from "./frames.ts";

/** Told of what came. Bytes are there for the time of the call only. */
export interface FrameSink {
  /** The head of a DATA frame came; `length` counts against windows, padding included. */
  dataBegins(stream: number, length: number): void;
  /** So much of it is padding. */
  padding(length: number): void;
  /** Some of what is not. `last`: the stream ends with it. */
  data(stream: number, piece: Piece, last: boolean): void;
  /** Any other frame, as a whole. */
  frame(head: FrameHead, piece: Piece): void;
}

/** Bytes of a chunk from `at` to `end`. One object is used for all. */
export interface Piece {
  readonly bytes: Buffer;
  readonly at: number;
  readonly end: number;
}

export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** The first bit is reserved. */
const STREAM_MASK = 0x7fff_ffff;
const NOTHING = Buffer.alloc(0);

/** Takes what comes on a connection apart into frames (RFC 9113 §4). What is wrong with one is thrown as `Http2Error`. */
export class FrameReader {
  readonly #sink: FrameSink;
  /** What is still to come of the client's preface. */
  #preface: number;
  #first = true;
  /** The beginning of a frame that is not whole; DATA is given as it comes, but for its head. */
  #part: Buffer = NOTHING;
  #partLength = 0;
  /** Of the payload of the frame under way. */
  #left = 0;
  // Of DATA: it is under way, the length of its padding is still to come, and that.
  #inData = false;
  #padded = false;
  #padding = 0;
  readonly #head: Mutable<FrameHead> = { type: 0, flags: 0, stream: 0 };
  readonly #piece: Mutable<Piece> = { bytes: NOTHING, at: 0, end: 0 };

  /** `server`: what comes begins with the preface. */
  constructor(sink: FrameSink, server: boolean) {
    this.#sink = sink;
    this.#preface = server ? PREFACE.length : 0;
  }

  /** Takes the first bytes of a chunk. Throws. */
  read(chunk: Buffer, length: number): void {
    let at = this.#preface === 0 ? 0 : this.#readPreface(chunk, length);
    while (at < length) {
      if (this.#inData) at = this.#readData(chunk, at, length);
      else if (this.#partLength > 0) at = this.#complete(chunk, at, length);
      else at = this.#readFrame(chunk, at, length);
    }
  }

  #readPreface(chunk: Buffer, length: number): number {
    let at = 0;
    for (; at < length && this.#preface > 0; at += 1, this.#preface -= 1) {
      if (chunk[at] !== PREFACE[PREFACE.length - this.#preface]) throw new Http2Error(CODE.protocol, "no preface");
    }
    return at;
  }

  /** Gives where to read on. */
  #readFrame(chunk: Buffer, at: number, length: number): number {
    if (length - at < FRAME_HEAD_BYTES) return this.#keep(chunk, at, length);
    this.#readHead(chunk, at);
    const start = at + FRAME_HEAD_BYTES;
    if (this.#head.type === FRAME.data) return this.#beginData(chunk, start, length);
    const end = start + this.#left;
    if (end > length) return this.#keep(chunk, at, length);
    this.#give(chunk, start, end);
    return end;
  }

  #readHead(chunk: Buffer, at: number): void {
    const head = this.#head;
    this.#left = chunk.readUInt32BE(at) >>> 8;
    head.type = chunk[at + 3] ?? 0;
    head.flags = chunk[at + 4] ?? 0;
    head.stream = chunk.readUInt32BE(at + 5) & STREAM_MASK;
    if (this.#left > FRAME_BYTES) throw new Http2Error(CODE.frameSize, "a frame longer than it may be");
    if (this.#first && (head.type !== FRAME.settings || (head.flags & FLAG.ack) !== 0)) {
      throw new Http2Error(CODE.protocol, "SETTINGS do not come first");
    }
    this.#first = false;
  }

  #give(bytes: Buffer, at: number, end: number): void {
    const piece = this.#piece;
    piece.bytes = bytes;
    piece.at = at;
    piece.end = end;
    this.#sink.frame(this.#head, piece);
  }

  #beginData(chunk: Buffer, at: number, length: number): number {
    const { flags, stream } = this.#head;
    if (stream === 0) throw new Http2Error(CODE.protocol, "DATA on stream 0");
    this.#inData = true;
    this.#padding = 0;
    this.#padded = (flags & FLAG.padded) !== 0;
    if (this.#padded && this.#left === 0) throw new Http2Error(CODE.frameSize, "no room for padding");
    this.#sink.dataBegins(stream, this.#left);
    return this.#readData(chunk, at, length);
  }

  #readData(chunk: Buffer, from: number, length: number): number {
    const at = this.#padded ? this.#readPadding(chunk, from, length) : from;
    if (this.#padded) return at;
    const end = Math.min(length, at + this.#left);
    this.#left -= end - at;
    const padding = this.#left === 0 ? Math.min(length - end, this.#padding) : 0;
    this.#padding -= padding;
    const ended = this.#left === 0 && this.#padding === 0;
    const { flags, stream } = this.#head;
    const piece = this.#piece;
    piece.bytes = chunk;
    piece.at = at;
    piece.end = end;
    if (ended) this.#inData = false;
    if (ended || end > at) this.#sink.data(stream, piece, ended && (flags & FLAG.endStream) !== 0);
    return end + padding;
  }

  /** How long the padding is comes before what is padded. */
  #readPadding(chunk: Buffer, at: number, length: number): number {
    if (at >= length) return at;
    this.#padded = false;
    this.#padding = chunk[at] ?? 0;
    this.#left -= this.#padding + 1;
    if (this.#left < 0) throw new Http2Error(CODE.protocol, "more padding than payload");
    this.#sink.padding(this.#padding + 1);
    return at + 1;
  }

  #keep(chunk: Buffer, at: number, length: number): number {
    const wanted = length - at < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + this.#left;
    this.#part = Buffer.allocUnsafe(wanted);
    this.#partLength = chunk.copy(this.#part, 0, at, length);
    return length;
  }

  /** Goes on with a frame of which there is only a part. */
  #complete(chunk: Buffer, at: number, length: number): number {
    let next = at;
    if (this.#partLength < FRAME_HEAD_BYTES) {
      next = this.#add(chunk, next, Math.min(length, next + FRAME_HEAD_BYTES - this.#partLength));
      if (this.#partLength < FRAME_HEAD_BYTES) return next;
      this.#readHead(this.#part, 0);
      if (this.#head.type === FRAME.data) {
        this.#partLength = 0;
        return this.#beginData(chunk, next, length);
      }
    }
    const wanted = FRAME_HEAD_BYTES + this.#left;
    if (this.#part.length < wanted) {
      const larger = Buffer.allocUnsafe(wanted);
      this.#part.copy(larger, 0, 0, this.#partLength);
      this.#part = larger;
    }
    next = this.#add(chunk, next, Math.min(length, next + wanted - this.#partLength));
    if (this.#partLength < wanted) return next;
    const part = this.#part;
    this.#part = NOTHING;
    this.#partLength = 0;
    this.#give(part, FRAME_HEAD_BYTES, wanted);
    return next;
  }

  #add(chunk: Buffer, at: number, end: number): number {
    this.#partLength += chunk.copy(this.#part, this.#partLength, at, end);
    return end;
  }
}
