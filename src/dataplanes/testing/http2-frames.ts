import { once } from "node:events";
import net, { type Socket } from "node:net";

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** RFC 9113 §7. */
export const CODE = { none: 0, protocol: 1, internal: 2, refused: 7, cancel: 8, calm: 11 } as const;

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One frame as it is on the wire (RFC 9113 §4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Fields as literals without indexing and without Huffman (RFC 7541 §6.2.2). */
export function fieldBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const size = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) size.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...size, rest]), bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A connection that speaks HTTP/2 frame by frame, and nothing by itself but the preface. */
export class RawHttp2 implements Disposable {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;
  #rest: Buffer = Buffer.alloc(0);
  /** Of the other side's preface, still to come. */
  #preface: number;

  private constructor(socket: Socket, preface = 0) {
    this.socket = socket;
    this.#preface = preface;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => (this.closed = true));
  }

  /** Sends the preface and these settings. */
  static async connect(port: number, settings: Buffer = Buffer.alloc(0)): Promise<RawHttp2> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    const client = new RawHttp2(socket);
    client.send(Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, settings));
    return client;
  }

  /** The other side of such a connection, as a job: sends these settings. */
  static accept(socket: Socket, settings: Buffer = Buffer.alloc(0)): RawHttp2 {
    const job = new RawHttp2(socket, PREFACE.length);
    job.send(frame(FRAME.settings, 0, 0, settings));
    return job;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** A whole request without a body. */
  request(stream: number, host: string, more: Readonly<Record<string, string>> = {}): Buffer {
    const fields = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": host, ...more };
    return frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, stream, fieldBlock(fields));
  }

  /** Frames of a kind on a stream. */
  on(type: number, stream: number): Frame[] {
    return this.frames.filter((one) => one.type === type && one.stream === stream);
  }

  /** The other side ended a stream. */
  ended(stream: number): boolean {
    const enders: number[] = [FRAME.data, FRAME.headers];
    return this.frames.some(
      (one) => one.stream === stream && enders.includes(one.type) && (one.flags & FLAG.endStream) !== 0,
    );
  }

  /** Code of the GOAWAY that came; null: none did. */
  get goaway(): number | null {
    const found = this.frames.find(({ type }) => type === FRAME.goaway);
    return found === undefined ? null : found.payload.readUInt32BE(4);
  }

  /** Code of the reset of a stream; null: none came. */
  resetOf(stream: number): number | null {
    const found = this.frames.find((one) => one.type === FRAME.reset && one.stream === stream);
    return found === undefined ? null : found.payload.readUInt32BE(0);
  }

  count(type: number): number {
    return this.frames.filter((one) => one.type === type).length;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #read(came: Buffer): void {
    const chunk = came.subarray(Math.min(this.#preface, came.length));
    this.#preface -= came.length - chunk.length;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#rest.length < HEAD_BYTES) return;
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < HEAD_BYTES + length) return;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        stream: this.#rest.readUInt32BE(5) & 0x7fff_ffff,
        payload: Buffer.from(this.#rest.subarray(HEAD_BYTES, HEAD_BYTES + length)),
      });
      this.#rest = this.#rest.subarray(HEAD_BYTES + length);
    }
  }
}
