import type { Socket } from "node:net";
import { INTERIM_MAX, type Fields } from "../exchange.ts";
import { claimLent, isThrough, keepLent, LentReads } from "../lent-reads.ts";
import { collectHead, HeadParts } from "./head-collector.ts";
import { Refusal } from "./head-fields.ts";
import {
  type BodyEvents,
  ChunkedReader,
  CloseReader,
  LengthReader,
  type BodyReader,
  type ChunkBounds,
} from "./read-body.ts";
import {
  LastSection,
  readResponseHead,
  responseFraming,
  type ResponseFraming,
  type ResponseHeadRead,
} from "./read-head.ts";
import { LAST_CHUNK, startOfChunk } from "./say.ts";

export interface MessageBounds extends ChunkBounds {
  /** Bytes of a head. */
  readonly headBytes: number;
}

/** Why there is no answer, or not all of it. */
export type Break =
  | { readonly failure: "reset" | "idle_timeout" }
  /** It was there, but nobody may pass it on. */
  | { readonly failure: "bad_answer"; readonly reason: string };

/** Who asked. All calls come from the connection's own events, never from within `ask`. Exactly one of `ended`, `switched`, `broke` is the last. */
export interface Asker {
  /** A head of 1xx but 101. */
  informed(head: ResponseHeadRead): void;
  /** The head of the answer. false: it cannot be passed on; the connection ends without another call. */
  answered(head: ResponseHeadRead, framing: ResponseFraming): boolean;
  /** Bytes of the body. false: no more before `resume`. */
  data(chunk: Buffer): boolean;
  /** All that has come up to now was given. */
  caughtUp(): void;
  ended(trailers: Fields): void;
  /** The connection speaks another protocol from now on: its socket is the asker's, paused, and so is what came behind the head. */
  switched(head: ResponseHeadRead, socket: Socket, rest: Buffer): void;
  broke(why: Break): void;
  /** After `write` gave false: there is room again. */
  drained(): void;
}

export interface Ask {
  /** The whole head, as latin1. */
  readonly head: string;
  readonly method: string;
  /** The head asks to change protocols. */
  readonly switching: boolean;
  /** A body follows, by `write` and `endRequest`. */
  readonly body: boolean;
  /** Longest silence, both ways. */
  readonly idleMs: number;
}

export interface UpstreamConnectionDeps {
  readonly socket: Socket;
  readonly bounds: MessageBounds;
  /** It is done with a request and good for another: who takes it, or nobody (false), and then it ends. */
  idle(connection: UpstreamConnection): boolean;
  /** It ended. */
  closed(connection: UpstreamConnection): void;
}

const NO_FIELDS: Fields = Object.freeze([]);
const NOTHING = Buffer.alloc(0);
/** What every answer begins with. */
const VERSION = "HTTP/1.";

/**
 * One connection to a job. It is idle (any byte ends it), asked (the head of an answer is awaited), reading (its body comes), over, or
 * given away (it changed protocols). One request at a time: the next is sent when both the request and its answer are whole.
 */
export class UpstreamConnection extends LentReads implements BodyEvents {
  readonly #deps: UpstreamConnectionDeps;
  /** Some of a head came, but not all. */
  #begun: HeadParts | null = null;
  readonly #last = new LastSection();
  #asker: Asker | null = null;
  #method = "";
  #switching = false;
  /** The body of the answer under way; null: its head is awaited, or nothing is. */
  #reader: BodyReader | null = null;
  #full = false;
  #keeps = true;
  #sending = false;
  #interim = 0;
  #idleMs = -1;
  #asked = 0;
  #answering = false;
  #over = false;
  readonly #onData = (chunk: Buffer) => this.take(chunk);
  readonly #onEnd = () => this.#end();
  readonly #onClose = () => this.#close();
  readonly #onDrain = () => this.#asker?.drained();
  readonly #onTimeout = () => this.#timedOut();

  /** Takes the socket over: a connected one whose errors somebody hears. */
  constructor(deps: UpstreamConnectionDeps) {
    super(deps.socket);
    this.#deps = deps;
    this.socket
      .on("data", this.#onData)
      .on("end", this.#onEnd)
      .on("close", this.#onClose)
      .on("drain", this.#onDrain)
      .on("timeout", this.#onTimeout);
    this.lend();
  }

  protected override get takesAll(): boolean {
    return !this.#over;
  }

  protected override get awaited(): number {
    return this.#reader?.left ?? 0;
  }

  /** It may be asked. */
  get usable(): boolean {
    return !this.#over && !this.socket.destroyed;
  }

  /** It carried a request before the present one. */
  get reused(): boolean {
    return this.#asked > 1;
  }

  /** Some of an answer came. */
  get answering(): boolean {
    return this.#answering;
  }

  /** Sends a request. Only when idle. */
  ask(ask: Ask, asker: Asker): void {
    this.#asker = asker;
    this.#method = ask.method;
    this.#switching = ask.switching;
    this.#sending = ask.body;
    this.#interim = 0;
    this.#answering = false;
    this.#asked += 1;
    if (ask.idleMs !== this.#idleMs) {
      this.#idleMs = ask.idleMs;
      this.socket.setTimeout(ask.idleMs);
    }
    if (ask.body) this.#together();
    this.socket.write(ask.head, "latin1");
  }

  /** More of the request's body. false: no more before `drained`. */
  write(data: Buffer): boolean {
    const room = this.socket.write(data, claimLent(data));
    this.socket.uncork();
    return room || isThrough(this.socket);
  }

  /** The same, in a chunk of its own. */
  writeChunk(data: Buffer): boolean {
    if (this.socket.writableCorked === 0) this.socket.cork();
    this.socket.write(startOfChunk(data.length), "latin1");
    this.socket.write(data, claimLent(data));
    const room = this.socket.write("\r\n", "latin1");
    this.socket.uncork();
    return room || isThrough(this.socket);
  }

  /** What is written next goes out with the first bytes of a body that follow it, or at the end of this turn. */
  #together(): void {
    this.socket.cork();
    process.nextTick(uncork, this.socket);
  }

  /** What ends a body in chunks. `trailers`: field lines. */
  writeLastChunk(trailers: string): void {
    this.socket.write(`${LAST_CHUNK}${trailers}\r\n`, "latin1");
  }

  /** The request is whole. */
  endRequest(): void {
    this.#sending = false;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Nobody waits for an answer any more. */
  destroy(): void {
    this.#asker = null;
    this.#over = true;
    this.socket.destroy();
  }

  /** What comes is written to somebody else. */
  protected override glance(): boolean {
    return false;
  }

  protected override take(chunk: Buffer): void {
    const asker = this.#asker;
    if (asker === null) return this.destroy(); // nothing was asked: whatever it is, it is no answer
    this.#answering = true;
    let at = 0;
    while (at < chunk.length && this.#asker === asker) {
      const next = this.#reader === null ? this.#takeHead(chunk, at, asker) : this.#takeBody(chunk, at, asker);
      if (next < 0) return;
      at = next;
    }
    if (this.#asker === asker) asker.caughtUp();
  }

  /** Of the answer under way, for its reader. */
  data(chunk: Buffer): void {
    if (this.#asker?.data(chunk) === false) this.#full = true;
  }

  /** Gives where to read on; -1: it is over. */
  #takeHead(chunk: Buffer, at: number, asker: Asker): number {
    const begun = this.#begun;
    const text = collectHead(begun, chunk, at, this.#deps.bounds.headBytes);
    if (text instanceof HeadParts) {
      this.#begun = text;
      const { first } = text;
      return first.startsWith(VERSION.slice(0, first.length)) ? chunk.length : this.#refuse("It is no HTTP/1.1.");
    }
    if (text instanceof Refusal) return this.#refuse(text.reason);
    const head = readResponseHead(text, this.#deps.bounds, this.#last);
    if (head instanceof Refusal) return this.#refuse(head.reason);
    this.#begun = null;
    const end = at + text.length - (begun?.length ?? 0);
    if (head.status === 101) return this.#switch(head, asker, chunk.subarray(end));
    if (head.status < 200) {
      if ((this.#interim += 1) > INTERIM_MAX) return this.#refuse("There are too many interim answers.");
      asker.informed(head);
      return this.#asker === asker ? end : -1;
    }
    return this.#begin(head, asker, end === chunk.length) ? end : -1;
  }

  #begin(head: ResponseHeadRead, asker: Asker, last: boolean): boolean {
    const framing = responseFraming(this.#method, head);
    this.#keeps = head.keepAlive && framing.kind !== "close" && !this.#switching;
    if (!asker.answered(head, framing)) {
      this.destroy();
      return false;
    }
    if (this.#asker !== asker) return false;
    const reader = createReader(framing, this.#deps.bounds);
    this.#reader = reader;
    if (reader?.done !== false) this.#finish(asker, NO_FIELDS, last);
    return !this.#over;
  }

  #takeBody(chunk: Buffer, at: number, asker: Asker): number {
    const reader = this.#reader;
    if (reader === null) return -1;
    const next = reader.read(chunk, at, this);
    const full = this.#full;
    this.#full = false;
    if (this.#asker !== asker) return -1;
    if (next instanceof Refusal) return this.#refuse(next.reason);
    if (reader.done) this.#finish(asker, reader.trailers?.flat ?? NO_FIELDS, next === chunk.length);
    else if (full) this.socket.pause();
    return this.#over ? -1 : next;
  }

  /** The answer is whole. `last`: nothing came behind it, which, as nothing else was asked, would be no answer. */
  #finish(asker: Asker, trailers: Fields, last: boolean): void {
    this.#reader = null;
    this.#asker = null;
    const again = last && this.#keeps && !this.#sending && !this.#over;
    // Idle before anybody hears of the end: who asks again at once may have it.
    if (!again || !this.#deps.idle(this)) this.#leave();
    asker.ended(trailers);
  }

  #leave(): void {
    this.#over = true;
    this.socket.end();
    this.socket.destroy();
  }

  #switch(head: ResponseHeadRead, asker: Asker, rest: Buffer): number {
    if (!this.#switching || head.upgrade === null) {
      return this.#refuse("It changes protocols, which nobody asked for, or does not say to which.");
    }
    const socket = this.socket;
    socket.pause();
    socket
      .off("data", this.#onData)
      .off("end", this.#onEnd)
      .off("close", this.#onClose)
      .off("drain", this.#onDrain)
      .off("timeout", this.#onTimeout);
    this.#asker = null;
    this.#over = true;
    this.#deps.closed(this);
    asker.switched(head, socket, rest.length === 0 ? NOTHING : keepLent(rest));
    return -1;
  }

  #refuse(reason: string): number {
    this.#break({ failure: "bad_answer", reason });
    return -1;
  }

  #break(why: Break): void {
    const asker = this.#asker;
    this.destroy();
    asker?.broke(why);
  }

  #timedOut(): void {
    if (this.#asker !== null) this.#break({ failure: "idle_timeout" });
  }

  #end(): void {
    const asker = this.#asker;
    if (asker !== null && this.#reader instanceof CloseReader) {
      this.#finish(asker, NO_FIELDS, false);
    } else this.#break({ failure: "reset" });
  }

  #close(): void {
    this.returnReads();
    this.#break({ failure: "reset" });
    this.#deps.closed(this);
  }
}

function uncork(socket: Socket): void {
  socket.uncork();
}

/** null: there is no body. */
function createReader(framing: ResponseFraming, bounds: ChunkBounds): BodyReader | null {
  switch (framing.kind) {
    case "none":
      return null;
    case "length":
      return new LengthReader(Number(framing.length));
    case "chunked":
      return new ChunkedReader(bounds);
    case "close":
      return new CloseReader();
  }
}
