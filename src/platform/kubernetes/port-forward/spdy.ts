/**
 * As much of SPDY/3.1 as two streams need that this side begins. Kubernetes forwards ports by it; nothing else speaks it any more, and no library
 * for Node is kept. https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
 */

/** What came, as far as it is of use here. */
export type SpdyFrame =
  | { readonly kind: "data"; readonly stream: number; readonly bytes: Buffer; readonly isLast: boolean }
  | { readonly kind: "reset"; readonly stream: number }
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "goAway" }
  | { readonly kind: "other" };

const HEAD = 8;
const CONTROL = 0x8003;
const TYPE = { synStream: 1, reset: 3, ping: 6, goAway: 7 } as const;
const LAST = 1;
/** Largest frame that is taken: the server's are of 32 KiB. */
const MOST_FRAME = 1024 * 1024;
/** 24 bits of length. */
const MOST_DATA = 0xff_ffff;

/** Frames out of a stream of bytes, whatever pieces it comes in. */
export class SpdyReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws a RangeError for a frame beyond all measure. */
  *push(piece: Buffer): Generator<SpdyFrame, void> {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    while (bytes.length >= HEAD) {
      const length = bytes.readUIntBE(5, 3);
      if (length > MOST_FRAME) throw new RangeError(`a frame of ${String(length)} bytes`);
      if (bytes.length < HEAD + length) break;
      yield readFrame(bytes.subarray(0, HEAD), bytes.subarray(HEAD, HEAD + length));
      bytes = bytes.subarray(HEAD + length);
    }
    this.#rest = bytes;
  }
}

function readFrame(head: Buffer, body: Buffer): SpdyFrame {
  const flags = head.readUInt8(4);
  if (head.readUInt8(0) < 0x80) {
    return { kind: "data", stream: head.readUInt32BE(0), bytes: body, isLast: (flags & LAST) !== 0 };
  }
  const type = head.readUInt16BE(2);
  if (type === TYPE.goAway) return { kind: "goAway" };
  if (body.length < 4) return { kind: "other" };
  const first = body.readUInt32BE(0);
  if (type === TYPE.reset) return { kind: "reset", stream: first };
  return type === TYPE.ping ? { kind: "ping", id: first } : { kind: "other" };
}

export function dataFrame(stream: number, bytes: Buffer, isLast = false): Buffer {
  if (bytes.length > MOST_DATA) throw new RangeError("more than fits into a frame");
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(stream, 0);
  head.writeUInt8(isLast ? LAST : 0, 4);
  head.writeUIntBE(bytes.length, 5, 3);
  return Buffer.concat([head, bytes]);
}

export function pingFrame(id: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(id, 0);
  return controlFrame(TYPE.ping, body);
}

/** Begins streams of one connection, all by the same writer: their headers are one compressed text. */
export class SpdyOpener {
  #isFirst = true;

  /** A SYN_STREAM; `stream` is odd, and larger than those before it. */
  open(stream: number, headers: Readonly<Record<string, string>>): Buffer {
    const ids = Buffer.alloc(10);
    ids.writeUInt32BE(stream, 0);
    return controlFrame(TYPE.synStream, Buffer.concat([ids, this.#deflated(headerBlock(headers))]));
  }

  /**
   * Stored, not compressed (RFC 1951, 3.2.4), after zlib's two bytes (RFC 1950, 2.2) once in a connection, which say that no dictionary is used:
   * nothing can be stored by one any shorter. An empty block follows, as after zlib's sync flush: readers give out what came before it.
   */
  #deflated(block: Buffer): Buffer {
    const start = this.#isFirst ? Buffer.from([0x78, 0x01]) : Buffer.alloc(0);
    this.#isFirst = false;
    return Buffer.concat([start, storedHead(block.length), block, storedHead(0)]);
  }
}

function storedHead(length: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt16LE(length, 1);
  head.writeUInt16LE(0xffff - length, 3);
  return head;
}

function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(headers);
  return Buffer.concat([uint32(entries.length), ...entries.flat().flatMap((text) => [uint32(Buffer.byteLength(text)), Buffer.from(text)])]); // prettier-ignore
}

function controlFrame(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt16BE(CONTROL, 0);
  head.writeUInt16BE(type, 2);
  head.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([head, body]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
