import type { FieldKind } from "./field-name.ts";
import { type HeadBounds, type HeadFields, hasControl, readFields, Refusal } from "./head-fields.ts";

/** Who gets a body as it is read. */
export interface BodyEvents {
  /** Bytes of the body itself, without framing: a part of what was given to read. */
  data(chunk: Buffer): void;
}

/** Reads one body by its framing, however its bytes are cut. */
export interface BodyReader {
  /** The body is whole; nothing more is taken. */
  readonly done: boolean;
  /** So many bytes of the body are to come, at least. */
  readonly left: number;
  /** Fields after the body; null: none came (yet). */
  readonly trailers: HeadFields | null;
  /** Reads from `at` on, and gives where it stopped: behind its last byte, which is the end of `chunk` unless the body is whole. */
  read(chunk: Buffer, at: number, events: BodyEvents): number | Refusal;
}

/** A body of so many bytes (RFC 9112 §6.2). */
export class LengthReader implements BodyReader {
  readonly trailers = null;
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  get left(): number {
    return this.#left;
  }

  read(chunk: Buffer, at: number, events: BodyEvents): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    if (end > at) events.data(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
    return end;
  }
}

/** A body that ends with its connection. */
export class CloseReader implements BodyReader {
  readonly trailers = null;
  readonly done = false;
  readonly left = 0;

  read(chunk: Buffer, at: number, events: BodyEvents): number {
    if (at < chunk.length) events.data(at === 0 ? chunk : chunk.subarray(at));
    return chunk.length;
  }
}

export interface ChunkBounds extends HeadBounds {
  /** Bytes of all trailers. */
  readonly trailerBytes: number;
}

const CR = 13;
const LF = 10;
/** Sizes up to 2^48, more than a number holds safely only if far more digits came. */
const SIZE_DIGITS = 12;
/** Bytes of one chunk's extensions, and of those of a whole body: nobody uses them but for attacks. */
const EXTENSION_BYTES = 256;
const EXTENSIONS_BYTES = 16 * 1024;
/** RFC 9112 §7.1.1, without the space that it calls bad. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*$/;

/**
 * A body in chunks (RFC 9112 §7.1). Strict: sizes are hex digits and nothing else, each line ends with CRLF, extensions are read, bounded
 * and dropped, trailers are read as fields. size → (extension) → size-lf → data → data-cr → data-lf → size … trailers → done.
 */
export class ChunkedReader implements BodyReader {
  readonly #bounds: ChunkBounds;
  #state: "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailers" | "done" = "size";
  #left = 0;
  #digits = 0;
  #extension = "";
  #extensionBytes = 0;
  #section = "";
  #trailers: HeadFields | null = null;

  constructor(bounds: ChunkBounds) {
    this.#bounds = bounds;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  get left(): number {
    return this.#state === "data" ? this.#left : 0;
  }

  get trailers(): HeadFields | null {
    return this.#trailers;
  }

  read(chunk: Buffer, from: number, events: BodyEvents): number | Refusal {
    let at = from;
    while (at < chunk.length && this.#state !== "done") {
      if (this.#state === "data") at = this.#readData(chunk, at, events);
      else if (this.#state === "trailers") {
        const read = this.#readTrailers(chunk, at);
        if (read instanceof Refusal) return read;
        at = read;
      } else {
        const refusal = this.#readFraming(chunk[at] ?? 0);
        if (refusal !== null) return refusal;
        at += 1;
      }
    }
    return at;
  }

  #readData(chunk: Buffer, at: number, events: BodyEvents): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) this.#state = "data-cr";
    events.data(chunk.subarray(at, end));
    return end;
  }

  #readFraming(byte: number): Refusal | null {
    switch (this.#state) {
      case "size":
        return this.#readSize(byte);
      case "extension":
        return this.#readExtension(byte);
      case "size-lf":
        if (byte !== LF) return BAD_SIZE;
        this.#state = this.#left === 0 ? "trailers" : "data";
        this.#digits = 0;
        return null;
      case "data-cr":
      case "data-lf":
        return this.#readDataEnd(byte);
      case "data":
      case "trailers":
      case "done":
        return null; // not read byte by byte
    }
  }

  #readDataEnd(byte: number): Refusal | null {
    const expected = this.#state === "data-cr" ? CR : LF;
    this.#state = expected === CR ? "data-lf" : "size";
    return byte === expected ? null : BAD_END;
  }

  #readSize(byte: number): Refusal | null {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if ((this.#digits += 1) > SIZE_DIGITS) return BAD_SIZE;
      this.#left = this.#left * 16 + digit;
      return null;
    }
    if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON)) return BAD_SIZE;
    this.#state = byte === CR ? "size-lf" : "extension";
    this.#extension = byte === CR ? "" : ";";
    return null;
  }

  #readExtension(byte: number): Refusal | null {
    if (byte !== CR) {
      this.#extension += String.fromCharCode(byte);
      this.#extensionBytes += 1;
      const tooMany = this.#extension.length > EXTENSION_BYTES || this.#extensionBytes > EXTENSIONS_BYTES;
      return tooMany || byte === LF ? BAD_EXTENSION : null;
    }
    this.#state = "size-lf";
    return EXTENSIONS.test(this.#extension) ? null : BAD_EXTENSION;
  }

  #readTrailers(chunk: Buffer, at: number): number | Refusal {
    const before = this.#section.length;
    this.#section += chunk.toString("latin1", at, Math.min(chunk.length, at + this.#bounds.trailerBytes + 1));
    const end = this.#section.startsWith("\r\n") ? 2 : this.#section.indexOf("\r\n\r\n", Math.max(0, before - 3)) + 4;
    if (end < 4 && end !== 2) {
      if (this.#section.length > this.#bounds.trailerBytes) return LONG_TRAILERS;
      return /^\n|[^\r]\n|\r[^\n]/.test(this.#section) ? BAD_TRAILERS : chunk.length;
    }
    if (end > this.#bounds.trailerBytes) return LONG_TRAILERS;
    const section = this.#section.slice(0, end);
    const trailers = hasControl(section) ? BAD_TRAILERS : readFields(section, 0, this.#bounds);
    if (trailers instanceof Refusal) return trailers;
    if (trailers.names.some(({ kind }) => FRAMING.has(kind))) return FRAMING_TRAILERS;
    this.#state = "done";
    this.#section = "";
    if (trailers.count > 0) this.#trailers = trailers;
    return at + end - before;
  }
}

const SEMICOLON = 59;
/** In trailers they frame nothing (RFC 9110 §6.5.1), but programs that put trailers into the head would believe them. */
const FRAMING: ReadonlySet<FieldKind> = new Set<FieldKind>([
  ...(["connection", "content-length", "transfer-encoding", "upgrade"] as const),
]);

/** -1: none. */
function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

const BAD_SIZE = new Refusal(400, "A chunk's size is no hexadecimal number on a line of its own.");
const BAD_END = new Refusal(400, "A chunk does not end where its size says.");
const BAD_EXTENSION = new Refusal(400, "A chunk's extensions are malformed or too long.");
const BAD_TRAILERS = new Refusal(400, "The trailers are malformed.");
const FRAMING_TRAILERS = new Refusal(
  400,
  "The trailers say what only a head may say: where the body ends, or what follows.",
);
const LONG_TRAILERS = new Refusal(431, "The trailers are larger than the gate takes.");
