/** What the first TLS message says, as far as it decides where a connection goes. */
export type Hello =
  /** Its bytes did not all come yet. */
  | { readonly kind: "more" }
  /** No ClientHello, or one that breaks its own lengths. */
  | { readonly kind: "malformed" }
  /** `serverName`: lower case; null: it names none, or what can be no host name. */
  | { readonly kind: "hello"; readonly serverName: string | null };

/** Largest ClientHello that is read, its record headers included; real ones have 200 to 2,000 bytes. */
export const HELLO_BYTES_MAX = 32 * 1024;

/** RFC 8446 §5.1. */
const HANDSHAKE = 22;
const RECORD_HEADER_BYTES = 5;
const RECORD_BYTES_MAX = 16 * 1024;
/** So that putting together what a hostile client cut into pieces stays cheap. */
const RECORDS_MAX = 128;
/** RFC 8446 §4. */
const CLIENT_HELLO = 1;
const MESSAGE_HEADER_BYTES = 4;
/** RFC 6066 §3. */
const SERVER_NAME = 0;
const HOST_NAME = 0;
const NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*$/;

const MORE: Hello = Object.freeze({ kind: "more" });
const MALFORMED: Hello = Object.freeze({ kind: "malformed" });

/** Reads a ClientHello from the first bytes of a connection, however it is cut into records; what follows it is not looked at. */
export function readClientHello(bytes: Buffer): Hello {
  const message = joinRecords(bytes);
  if (message === null) return MALFORMED;
  if (message === "more") return bytes.length >= HELLO_BYTES_MAX ? MALFORMED : MORE;
  try {
    return { kind: "hello", serverName: readServerName(new Cursor(message)) };
  } catch (error) {
    if (error instanceof Overrun) return MALFORMED;
    throw error;
  }
}

/** The body of the handshake message that the records hold; null: they hold none. */
function joinRecords(bytes: Buffer): Buffer | "more" | null {
  const parts: Buffer[] = [];
  let held = 0;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE || (at + 1 < bytes.length && bytes[at + 1] !== 3)) return null;
    if (at + RECORD_HEADER_BYTES > bytes.length) return "more";
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > RECORD_BYTES_MAX) return null; // empty handshake records are forbidden: RFC 8446 §5.1
    const part = bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
    if (parts.push(part) > RECORDS_MAX) return null;
    held += part.length;
    const message = whole(parts, held);
    if (message !== "more") return message;
    at += RECORD_HEADER_BYTES + length;
  }
  return "more";
}

function whole(parts: readonly Buffer[], held: number): Buffer | "more" | null {
  if (parts[0]?.[0] !== undefined && parts[0][0] !== CLIENT_HELLO) return null;
  if (held < MESSAGE_HEADER_BYTES) return "more";
  const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  const length = all.readUIntBE(1, 3);
  if (length > HELLO_BYTES_MAX) return null;
  return held < MESSAGE_HEADER_BYTES + length
    ? "more"
    : all.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + length);
}

/** RFC 8446 §4.1.2; the same layout since TLS 1.0. Throws Overrun. */
function readServerName(hello: Cursor): string | null {
  hello.take(2 + 32); // legacy_version, random
  hello.vector(1); // legacy_session_id
  hello.vector(2); // cipher_suites
  hello.vector(1); // legacy_compression_methods
  if (hello.isDone()) return null;
  const extensions = hello.vector(2);
  if (!hello.isDone()) throw new Overrun();
  const seen = new Set<number>();
  let serverName: string | null = null;
  while (!extensions.isDone()) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (seen.has(type)) throw new Overrun(); // RFC 8446 §4.2: never twice. Two names would be one for us and another for the task
    seen.add(type);
    if (type === SERVER_NAME) serverName = readNames(body);
  }
  return serverName;
}

/** RFC 6066 §3: one host name; other kinds of names were never defined. */
function readNames(body: Cursor): string | null {
  const list = body.vector(2);
  if (!body.isDone() || list.isDone()) throw new Overrun();
  const type = list.number(1);
  const name = list.vector(2).rest.toString("latin1").toLowerCase();
  if (!list.isDone() || type !== HOST_NAME) throw new Overrun();
  return NAME.test(name) ? name : null;
}

/** A length that goes beyond what holds it, or leaves something over. */
class Overrun extends Error {}

/** Reads big-endian numbers and vectors with their length before them (RFC 8446 §3). */
class Cursor {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  get rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Overrun();
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  number(width: 1 | 2): number {
    return this.take(width).readUIntBE(0, width);
  }

  vector(width: 1 | 2): Cursor {
    return new Cursor(this.take(this.number(width)));
  }
}
