import { Socket } from "node:net";

/**
 * Reading a connection into memory of one's own, which node offers for connections that it makes (`onread` of `net.connect`), and here is done
 * to any that is open already: accepted ones, and ones that streams read until now. Without it every read costs a new buffer of 64 KiB:
 * the kernel has to find its pages, V8 to collect it.
 *
 * Node keeps what `onread` says under symbols of its own. They are found by their values on a socket that is made with `onread`, so that
 * no name is relied upon, and a node that does it otherwise is noticed: then nothing can be taken over, and streams do it.
 */
interface ReadKeys {
  readonly buffer: symbol;
  readonly next: symbol;
  readonly callback: symbol;
}

/** Of node's handle of a connection: also TLS has one, which is left alone. */
interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
}

export interface ReusedReads {
  /** Where the next read goes; asked after each. The buffer must not be used for anything else until something was read. */
  next(): Buffer;
  /** So many bytes came into the buffer that `next` gave. false: no more before `resume()` of the socket. */
  read(length: number): boolean;
}

/** null: this node cannot do it. */
const keys = findKeys();

/** Whom a socket's reads go to. */
const READS = Symbol("reads");

interface ReadSocket extends Socket {
  [READS]: ReusedReads;
}

/** Where the next read of the socket goes that was read just now: node asks right after it told of the read. */
let aim: Buffer | undefined;

/**
 * From now on what comes on the socket goes to `reads`, and no more `data`; `end`, `error` and `close` are as ever. It stands still until `resume()`.
 * What was read before is to be taken by `read()` first. false: it cannot be done with this socket, nothing was changed.
 */
export function reuseReads(socket: Socket, reads: ReusedReads): boolean {
  const handle = (socket as Socket & { readonly _handle?: Partial<Handle> | null })._handle;
  if (keys === null || socket.connecting || typeof handle?.useUserBuffer !== "function") return false;
  const first = reads.next();
  Object.assign(socket, { [READS]: reads, [keys.buffer]: first, [keys.next]: nextAim, [keys.callback]: passOn });
  handle.useUserBuffer(first);
  return true;
}

// The same two for all sockets: functions of their own would be a third of what a connection at rest holds.

function passOn(this: ReadSocket, length: number): boolean {
  const room = this[READS].read(length);
  const next = this[READS].next();
  // Node leaves it as it is, which is cheaper than to be told the same.
  aim = keys !== null && Reflect.get(this, keys.buffer) === next ? undefined : next;
  return room;
}

function nextAim(): Buffer | undefined {
  return aim;
}

/** null: this node keeps them elsewhere. */
function findKeys(): ReadKeys | null {
  const read = () => true;
  const fixed = Buffer.alloc(1);
  const given = () => fixed;
  const plain = new Socket();
  const one = new Socket({ onread: { buffer: fixed, callback: read } });
  const many = new Socket({ onread: { buffer: given, callback: read } });
  const buffer = keyOf(one, fixed);
  const callback = keyOf(one, read);
  const next = keyOf(many, given);
  for (const socket of [plain, one, many]) socket.destroy();
  if (buffer === null || callback === null || next === null) return null;
  const unset = [buffer, callback, next].every((key) => Reflect.get(plain, key) === null);
  return unset ? { buffer, callback, next } : null;
}

function keyOf(socket: Socket, value: unknown): symbol | null {
  return Object.getOwnPropertySymbols(socket).find((key) => Reflect.get(socket, key) === value) ?? null;
}
