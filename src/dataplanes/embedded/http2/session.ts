import type { Socket } from "node:net";
import { isTlsSocket } from "../../../platform/node-tls.ts";
import { sharedBuffer } from "../buffer-pool.ts";
import { sendOff } from "../http1/send-off.ts";
import { reuseReads, type ReusedReads } from "../reused-reads.ts";
import { BlockReader, readPriority } from "./block-reader.ts";
import { CODE, FLAG, FRAME, FRAME_BYTES, Http2Error, PREFACE, SETTING, WINDOW_BYTES, WINDOW_MAX } from "./frames.ts";
import { FrameReader, type FrameHead, type FrameSink, type Piece } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { flushSoon, type Flushed } from "./flush.ts";
import { HpackError, type FieldBlock } from "./hpack/decoder.ts";
import { encoded, HpackEncoder } from "./hpack/encoder.ts";
import type { Http2Stream, StreamSession } from "./stream.ts";

export interface SessionDeps {
  readonly socket: Socket;
  readonly user: SessionUser;
  /** Of one list of fields. */
  readonly headBytes: number;
  readonly headFields: number;
  /** DATA that is taken and that nobody has consumed, of one stream and of all. */
  readonly windows: { readonly stream: number; readonly session: number };
  /** Told to the peer, besides those that follow from these. */
  readonly settings: readonly (readonly [id: number, value: number])[];
}

/** `control`: PING and the like; `reset`: a stream that is broken off, by whoever had it begun or by its faults. */
export type Costly = "control" | "reset";

/** Told of what concerns a session as a whole. */
export interface SessionUser {
  /** The peer's settings came for the first time: it speaks HTTP/2. */
  settled(): void;
  /** A frame came that costs the peer nothing and asks for work. false: one too many. */
  spend(what: Costly): boolean;
  closed(): void;
}

/** DATA that may wait for the socket. */
const WAITING_MAX = 256 * 1024;
/** Answers that may wait for a peer that goes on asking. */
const UNREAD_MAX = 256 * 1024;
/** Heads and control frames that a peer left unread for as long as it went on asking for more of them. */
const UNREAD_END = 8 * 1024 * 1024;
const SETTING_BYTES = 6;
const GOAWAY_BYTES = 8;
const FRAME_BYTES_MAX = 0xff_ffff;
const SETTINGS_MAX = 32;
const NOTHING = Buffer.alloc(0);

/** A connection that speaks HTTP/2, and its streams (RFC 9113). What either side does otherwise is up to who extends it. */
export abstract class Http2Session implements FrameSink, Flushed, ReusedReads, StreamSession {
  readonly socket: Socket;
  readonly streams = new Map<number, Http2Stream>();
  readonly windowBytes: number;
  /** What the peer takes of each stream at first. */
  peerWindow = WINDOW_BYTES;
  /** Streams that the peer takes at once. */
  peerStreams = Infinity;
  dirty = false;
  /** No more streams: one of both said goodbye. */
  leaving = false;
  over = false;
  protected readonly writer: FrameWriter;
  readonly #user: SessionUser;
  readonly #reader: FrameReader;
  readonly #blocks: BlockReader;
  readonly #encoder = new HpackEncoder();
  #settled = false;
  #sendWindow = WINDOW_BYTES;
  readonly #windowBytes: number;
  #recvWindow: number;
  #unreturned = 0;
  /** With something to send that only the session holds back. */
  readonly #stalled = new Set<Http2Stream>();
  /** Of the DATA under way; null: nobody wants it. */
  #receiver: Http2Stream | null = null;

  constructor(deps: SessionDeps, server: boolean) {
    const { socket, user, headBytes, headFields, windows } = deps;
    this.socket = socket;
    this.windowBytes = windows.stream;
    this.#windowBytes = windows.session;
    this.#recvWindow = windows.session;
    this.#user = user;
    this.#reader = new FrameReader(this, server);
    const read = (stream: number, block: FieldBlock, last: boolean) => this.#section(stream, block, last);
    this.#blocks = new BlockReader({ headBytes, headFields, read });
    this.writer = new FrameWriter(socket);
    if (!server) socket.write(PREFACE);
    this.#introduce([...deps.settings, [SETTING.window, windows.stream], [SETTING.listBytes, headBytes]]);
    this.writer.number(FRAME.windowUpdate, 0, windows.session - WINDOW_BYTES);
    flushSoon(this);
    socket
      .on("data", (chunk: Buffer) => this.#take(chunk, chunk.length))
      .on("drain", () => this.#drained())
      .on("error", () => undefined) // `close` follows
      .on("end", () => socket.destroy()) // HTTP/2 knows no half-closed connection
      .on("close", () => this.#finish());
    if (!isTlsSocket(socket)) reuseReads(socket, this);
    socket.resume();
  }

  /** A block of fields on a stream that is not open: a new one, or the rest of an old one. */
  protected abstract unknownHead(stream: number, block: FieldBlock, last: boolean): void;
  /** DATA for one that is not open. */
  protected abstract unknownData(stream: number): void;
  /** Whether a stream that is not open may ever have been. */
  protected abstract wasOpen(stream: number): boolean;
  protected abstract goaway(lastStream: number): void;
  /** The highest stream of the peer's that was looked at (RFC 9113 §6.8). */
  protected abstract readonly lastStream: number;
  /** Reading may stop for as long as the peer does not read. */
  protected abstract readonly stops: boolean;

  // Reading.

  next(): Buffer {
    return sharedBuffer;
  }

  read(length: number): boolean {
    if (this.socket.readableLength > 0) return this.socket.push(Buffer.from(sharedBuffer.subarray(0, length)));
    this.#take(sharedBuffer, length);
    return true;
  }

  #take(chunk: Buffer, length: number): void {
    if (this.over) return;
    try {
      this.#reader.read(chunk, length);
    } catch (error) {
      if (error instanceof Http2Error) this.fail(error.code);
      else if (error instanceof HpackError) this.fail(CODE.compression);
      else throw error;
    }
  }

  frame(head: FrameHead, piece: Piece): void {
    if (this.over) return;
    const { type } = head;
    if (this.#blocks.open && type !== FRAME.continuation) throw new Http2Error(CODE.protocol, "a frame within a block");
    if (type === FRAME.headers) this.#blocks.headers(head, piece);
    else if (type === FRAME.continuation) this.#blocks.continuation(head, piece);
    else this.#control(head, piece);
  }

  #control({ type, flags, stream }: FrameHead, piece: Piece): void {
    switch (type) {
      case FRAME.windowUpdate:
        return this.#windowUpdate(stream, piece);
      case FRAME.reset:
        return this.#reset(stream, piece);
      case FRAME.ping:
        return this.#ping(flags, stream, piece);
      case FRAME.settings:
        return this.#settings(flags, stream, piece);
      case FRAME.goaway:
        return this.#goaway(stream, piece);
      case FRAME.priority:
        return this.#priority(stream, piece);
      case FRAME.push:
        throw new Http2Error(CODE.protocol, "PUSH_PROMISE");
      default:
        this.spend("control");
    }
  }

  #goaway(stream: number, { bytes, at, end }: Piece): void {
    if (stream !== 0) throw new Http2Error(CODE.protocol, "GOAWAY on a stream");
    if (end - at < GOAWAY_BYTES) throw new Http2Error(CODE.frameSize, "GOAWAY too short");
    this.goaway(bytes.readUInt32BE(at) & WINDOW_MAX);
  }

  #section(id: number, block: FieldBlock, last: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return this.unknownHead(id, block, last);
    if (stream.remoteEnded) return this.fault(stream, CODE.streamClosed);
    stream.active = true;
    if (last && stream.expected > stream.received) return this.fault(stream, CODE.protocol);
    if (last) stream.remoteEnded = true;
    stream.user?.section(block, last);
    if (last && stream.localEnded) this.close(stream, CODE.none);
  }

  dataBegins(id: number, length: number): void {
    if (this.over) return;
    if (this.#blocks.open) throw new Http2Error(CODE.protocol, "DATA within a block");
    this.#recvWindow -= length;
    if (this.#recvWindow < 0) throw new Http2Error(CODE.flowControl, "more than the session's window");
    const stream = this.streams.get(id);
    this.#receiver = stream ?? null;
    if (stream === undefined) {
      if (!this.wasOpen(id)) throw new Http2Error(CODE.protocol, "DATA on an idle stream");
      return this.unknownData(id);
    }
    stream.recvWindow -= length;
    stream.held += length;
    if (stream.remoteEnded) this.fault(stream, CODE.streamClosed);
    else if (stream.recvWindow < 0) this.fault(stream, CODE.flowControl);
  }

  padding(length: number): void {
    if (this.#receiver === null) this.consumed(length);
    else this.#receiver.consumed(length);
  }

  data(_id: number, piece: Piece, last: boolean): void {
    if (this.over) return;
    const stream = this.#receiver;
    const length = piece.end - piece.at;
    if (stream === null) return this.consumed(length);
    if (stream.closed) return; // all that it held was given back with it
    if (length === 0 && !last) this.spend("control");
    if (!stream.counts(length, last)) return this.fault(stream, CODE.protocol);
    if (last) stream.remoteEnded = true;
    stream.user?.data(piece, last);
    if (last && stream.localEnded) this.close(stream, CODE.none);
  }

  #windowUpdate(id: number, piece: Piece): void {
    const more = numberOf(piece) & WINDOW_MAX;
    if (id === 0) {
      if (more === 0) throw new Http2Error(CODE.protocol, "WINDOW_UPDATE of nothing");
      this.#sendWindow += more;
      if (this.#sendWindow > WINDOW_MAX) throw new Http2Error(CODE.flowControl, "a window beyond what there is");
      return this.#pump();
    }
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#late(id);
    if (more === 0) return this.fault(stream, CODE.protocol);
    stream.sendWindow += more;
    if (stream.sendWindow > WINDOW_MAX) return this.fault(stream, CODE.flowControl);
    if (stream.pending > 0) this.#stalled.add(stream);
    this.#pump();
  }

  #reset(id: number, piece: Piece): void {
    const code = numberOf(piece);
    if (id === 0) throw new Http2Error(CODE.protocol, "RST_STREAM on stream 0");
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#late(id);
    if (this.spend("reset")) this.close(stream, code);
  }

  /** A frame for a stream that is over. */
  #late(id: number): void {
    if (!this.wasOpen(id)) throw new Http2Error(CODE.protocol, "a frame on an idle stream");
    this.spend("control");
  }

  #ping(flags: number, stream: number, { bytes, at, end }: Piece): void {
    if (stream !== 0) throw new Http2Error(CODE.protocol, "PING on a stream");
    if (end - at !== 8) throw new Http2Error(CODE.frameSize, "PING of another size");
    if ((flags & FLAG.ack) !== 0 || !this.spend("control")) return;
    this.writer.control(FRAME.ping, FLAG.ack, bytes.subarray(at, end));
    flushSoon(this);
  }

  #priority(stream: number, piece: Piece): void {
    if (stream === 0) throw new Http2Error(CODE.protocol, "PRIORITY on stream 0");
    const { bytes, at, end } = piece;
    if (readPriority(stream, bytes, at, end) !== end - at) throw new Http2Error(CODE.frameSize, "PRIORITY too long");
    this.spend("control");
  }

  #settings(flags: number, stream: number, { bytes, at: from, end }: Piece): void {
    if (stream !== 0) throw new Http2Error(CODE.protocol, "SETTINGS on a stream");
    const length = end - from;
    if ((flags & FLAG.ack) !== 0) {
      if (length !== 0) throw new Http2Error(CODE.frameSize, "an answer to SETTINGS that says something");
      return;
    }
    if (length % SETTING_BYTES !== 0) throw new Http2Error(CODE.frameSize, "SETTINGS of another size");
    if (length > SETTINGS_MAX * SETTING_BYTES) throw new Http2Error(CODE.calm, "more SETTINGS than there are");
    if (!this.spend("control")) return;
    for (let at = from; at < end; at += SETTING_BYTES) this.#apply(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    this.writer.control(FRAME.settings, FLAG.ack, NOTHING);
    flushSoon(this);
    const first = !this.#settled;
    this.#settled = true;
    if (first) this.#user.settled();
    this.#pump();
  }

  #apply(id: number, value: number): void {
    switch (id) {
      case SETTING.tableBytes:
        return this.#encoder.limit(value);
      case SETTING.streams:
        this.peerStreams = value;
        return;
      case SETTING.window:
        return this.#applyWindow(value);
      case SETTING.frameBytes:
        if (value < FRAME_BYTES || value > FRAME_BYTES_MAX) throw new Http2Error(CODE.protocol, "MAX_FRAME_SIZE");
        return; // none longer than the smallest are sent
      case SETTING.push:
      case SETTING.connectProtocol:
        if (value > 1) throw new Http2Error(CODE.protocol, "neither yes nor no");
        return;
      default:
    }
  }

  #applyWindow(value: number): void {
    if (value > WINDOW_MAX) throw new Http2Error(CODE.flowControl, "INITIAL_WINDOW_SIZE");
    const more = value - this.peerWindow;
    this.peerWindow = value;
    for (const stream of this.streams.values()) {
      stream.sendWindow += more;
      if (stream.sendWindow > WINDOW_MAX) throw new Http2Error(CODE.flowControl, "a window beyond what there is");
      if (stream.pending > 0) this.#stalled.add(stream);
    }
  }

  #introduce(settings: readonly (readonly [number, number])[]): void {
    const payload = Buffer.alloc(settings.length * SETTING_BYTES);
    settings.forEach(([id, value], index) => {
      payload.writeUInt16BE(id, index * SETTING_BYTES);
      payload.writeUInt32BE(value, index * SETTING_BYTES + 2);
    });
    this.writer.control(FRAME.settings, 0, payload);
  }

  // Writing, for streams.

  /** Bytes of DATA that the session may send now. */
  room(): number {
    return this.writer.waiting >= WAITING_MAX ? 0 : this.#sendWindow;
  }

  stalls(stream: Http2Stream): void {
    this.#stalled.add(stream);
  }

  writeHead(stream: number, fields: readonly string[], last: boolean): void {
    const length = this.#encoder.encode(fields);
    this.writer.block(stream, encoded, length, last);
    flushSoon(this);
  }

  writeData(stream: number, piece: Piece, last: boolean): void {
    this.#sendWindow -= piece.end - piece.at;
    this.writer.data(stream, piece, last);
    flushSoon(this);
  }

  returnWindow(stream: number, bytes: number): void {
    this.writer.number(FRAME.windowUpdate, stream, bytes);
    flushSoon(this);
  }

  /** So many bytes of DATA are done with. */
  consumed(bytes: number): void {
    this.#unreturned += bytes;
    if (this.over || this.#unreturned * 2 < this.#windowBytes) return;
    this.#recvWindow += this.#unreturned;
    this.returnWindow(0, this.#unreturned);
    this.#unreturned = 0;
  }

  /** Sends what waits, a frame of each stream in turn. */
  #pump(): void {
    for (const stream of this.#stalled) {
      if (this.over || this.room() <= 0 || this.socket.writableNeedDrain) return;
      this.#stalled.delete(stream);
      if (stream.pump()) this.#stalled.add(stream);
    }
  }

  flush(): void {
    if (this.over) return;
    this.writer.flush();
    const unread = this.socket.writableLength;
    if (unread > UNREAD_END) return this.destroy();
    // Who reads no answers is not asked what else it wants.
    if (this.stops && unread > UNREAD_MAX) this.socket.pause();
    this.#pump();
  }

  #drained(): void {
    if (this.socket.isPaused()) this.socket.resume();
    this.#pump();
  }

  // Ending.

  /** Breaks a stream off. */
  reset(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    this.writer.number(FRAME.reset, stream.id, code);
    flushSoon(this);
    this.close(stream, code);
  }

  /** The peer broke the rules of a stream. */
  fault(stream: Http2Stream, code: number): void {
    if (this.spend("reset")) this.reset(stream, code);
  }

  /** Forgets a stream and tells its user. */
  close(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    stream.closed = true;
    this.streams.delete(stream.id);
    this.#stalled.delete(stream);
    if (stream.held > 0) this.consumed(stream.held);
    stream.user?.closed(code);
    if (this.leaving && this.streams.size === 0) this.end();
  }

  /** false: it was one too many, and the session is over. */
  protected spend(what: Costly): boolean {
    if (this.over) return false;
    if (!this.#user.spend(what)) this.fail(CODE.calm);
    return !this.over;
  }

  /** Takes no more streams, and tells the peer so. */
  sayGoodbye(code: number): void {
    const payload = Buffer.alloc(GOAWAY_BYTES);
    payload.writeUInt32BE(this.lastStream, 0);
    payload.writeUInt32BE(code, 4);
    this.writer.control(FRAME.goaway, 0, payload);
    this.leaving = true;
    flushSoon(this);
  }

  /** Asks whether the peer is there. */
  ping(): void {
    this.writer.control(FRAME.ping, 0, Buffer.alloc(8));
    flushSoon(this);
  }

  /** Says goodbye and ends it. */
  fail(code: number): void {
    if (this.over) return;
    this.sayGoodbye(code);
    this.end();
  }

  /** Ends it, with all that is open, once what was said is out. */
  end(): void {
    if (this.over) return;
    this.writer.flush();
    this.#finish();
    sendOff(this.socket);
  }

  destroy(): void {
    this.#finish();
    this.socket.destroy();
  }

  #finish(): void {
    if (this.over) return;
    this.over = true;
    this.leaving = true;
    this.writer.drop();
    for (const stream of [...this.streams.values()]) this.close(stream, CODE.internal);
    this.#user.closed();
  }
}

function numberOf({ bytes, at, end }: Piece): number {
  if (end - at !== 4) throw new Http2Error(CODE.frameSize, "a frame of another size");
  return bytes.readUInt32BE(at);
}
