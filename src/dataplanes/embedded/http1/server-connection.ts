import type { Socket } from "node:net";
import type { Clock } from "../../../platform/clock.ts";
import { readEarly } from "../early-bytes.ts";
import { DISCARD_MS, type Exchange, type Fields } from "../exchange.ts";
import type { Client } from "../client.ts";
import { keepLent, LentReads } from "../lent-reads.ts";
import { collectHead, HeadParts } from "./head-collector.ts";
import { Refusal } from "./head-fields.ts";
import { Http1Exchange, type ExchangeConnection } from "./http1-exchange.ts";
import { type BodyEvents, ChunkedReader, LengthReader, type BodyReader } from "./read-body.ts";
import { LastSection, NOT_HTTP, readRepeatedHead, readRequestHead, type RequestHeadRead } from "./read-head.ts";
import { sendOff } from "./send-off.ts";
import type { MessageBounds } from "./upstream-connection.ts";
import { isTlsSocket } from "../../../platform/node-tls.ts";

/** The same for all connections. */
export interface ServerConnectionDeps {
  readonly bounds: MessageBounds;
  /** Bytes of a body; Infinity: any. */
  readonly bodyBytes: number;
  /** Longest time from the first byte of a head to its last. */
  readonly headMs: number;
  /** Longest time without a request. */
  readonly keepAliveMs: number;
  readonly clock: Clock;
  serve(exchange: Exchange): void;
  /** CONNECT. */
  tunnel(exchange: Exchange): void;
  /** Answers by hand what is no request, and ends the connection. */
  refuse(connection: ServerConnection, refusal: Refusal): void;
  closed(connection: ServerConnection): void;
}

/** Bytes that are read ahead of whom they are for. */
const AHEAD_MAX = 64 * 1024;

const NO_FIELDS: Fields = Object.freeze([]);
const NOTHING = Buffer.alloc(0);

/** Whose socket it is. */
const CONNECTION = Symbol("connection");

interface OwnedSocket extends Socket {
  [CONNECTION]: ServerConnection;
}

/**
 * A visitor's connection. What is read next is
 *
 * - `head`: of a request; while an answer is under way, what comes is put aside: requests are served one at a time, in order.
 * - `body`: of the request under way, once somebody takes it; of one that is answered already, to be dropped.
 * - `nothing`: the last answer is out or on its way; what comes is dropped.
 * - `early`: the visitor asked to change protocols; what comes belongs to the new one. From `giveAway` on the socket is not read here.
 *
 * Most connections are at rest most of the time, thousands of them: what is not needed then is not there then, and listeners are shared.
 */
export class ServerConnection extends LentReads implements ExchangeConnection, BodyEvents {
  readonly client: Client;
  readonly #deps: ServerConnectionDeps;
  /** Some of a head came, but not all. */
  #begun: HeadParts | null = null;
  /** null: nobody asks again and again just now. */
  #last: LastSection | null = null;
  /** No head came since the last check. */
  #quiet = false;
  #reads: "head" | "body" | "nothing" | "early" = "head";
  #exchange: Http1Exchange | null = null;
  #reader: BodyReader | null = null;
  #bodyLength = 0;
  #full = false;
  /** Came, but is for later. */
  #ahead: Buffer | null = null;
  #running = false;
  /** Who takes the body is full. */
  #blocked = false;
  #paused = false;
  #draining = false;
  #served = 0;
  #takeEarly: (() => Buffer) | null = null;
  /** Epoch ms; from then on it is given up: what for, its state says. */
  #deadline: number;

  /** Takes over a connection whose first bytes are unread, and whose errors somebody hears. */
  constructor(socket: Socket, client: Client, deps: ServerConnectionDeps) {
    super(socket);
    this.client = client;
    this.#deps = deps;
    this.#deadline = deps.clock.now() + deps.headMs;
    Object.assign(socket, { [CONNECTION]: this });
    socket
      .on("data", ServerConnection.#onData)
      .on("end", ServerConnection.#onEnd)
      .on("drain", ServerConnection.#onDrain)
      .on("close", ServerConnection.#onClose);
    this.lend();
  }

  static #onData(this: OwnedSocket, chunk: Buffer): void {
    if (!this[CONNECTION].glance(chunk, chunk.length)) this[CONNECTION].take(chunk);
  }

  static #onEnd(this: OwnedSocket): void {
    this[CONNECTION].#ended();
  }

  static #onDrain(this: OwnedSocket): void {
    this[CONNECTION].#exchange?.roomAgain();
  }

  static #onClose(this: OwnedSocket): void {
    this[CONNECTION].#closed();
  }

  protected override get takesAll(): boolean {
    return this.#reads !== "early";
  }

  protected override get awaited(): number {
    return this.#reads === "body" && this.#mayRead ? (this.#reader?.left ?? 0) : 0;
  }

  get lastAnswer(): boolean {
    return this.#draining;
  }

  /** The present answer is the last one; without one under way it ends now, but for who has asked nothing yet: that may be on its way. */
  drain(): void {
    this.#draining = true;
    if (this.#served === 0) return;
    if (this.#exchange === null && this.#reads === "head" && this.#begun === null) this.#sendOff();
  }

  /** Gives it up if its time has come. */
  check(now: number): void {
    if (this.#quiet) this.#last = null;
    this.#quiet = true;
    if (now < this.#deadline) return;
    const slow = this.#reads === "head" && (this.#begun !== null || this.#served === 0);
    if (slow && this.#exchange === null) this.#refuse(TOO_SLOW);
    else if (this.#reads === "head") this.#sendOff();
    else this.socket.destroy();
  }

  // For its exchange.

  wantBody(): void {
    this.#run();
  }

  pause(): void {
    this.#blocked = true;
    this.#regulate();
  }

  resume(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#run();
  }

  answered(): void {
    if (this.socket.writableLength === 0) return this.#next();
    // A slow reader is not done before it has it all.
    this.socket.write("", () => this.#next());
  }

  abort(): void {
    this.#exchange?.breakOff();
    const { writableEnded } = this.socket; // a reset while an end is pending leaves node's socket open for ever
    const resets = this.#exchange?.endsByClose === true && !writableEnded && !isTlsSocket(this.socket);
    if (resets) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  giveAway(): Buffer {
    const early = this.#takeEarly?.() ?? NOTHING;
    this.#takeEarly = null;
    this.socket.off("drain", ServerConnection.#onDrain);
    return early;
  }

  // Reading.

  protected override take(chunk: Buffer): void {
    if (this.#reads === "nothing") return;
    if (this.#running || this.#ahead !== null) return this.#putAside(chunk);
    this.#running = true;
    this.#read(chunk);
    this.#running = false;
  }

  /** A request and nothing else, with the fields that came last. */
  protected override glance(bytes: Buffer, length: number): boolean {
    if (this.#last === null || this.#reads !== "head" || this.#running) return false;
    if (this.#exchange !== null || this.#begun !== null || this.#ahead !== null) return false;
    const read = readRepeatedHead(bytes, length, { bounds: this.#deps.bounds, last: this.#last });
    if (read === null) return false;
    this.#running = true;
    this.#begin(read, NOTHING, 0);
    this.#running = false;
    return true;
  }

  /** Goes on with what was put aside. */
  #run(): void {
    if (this.#running) return;
    const ahead = this.#ahead;
    this.#ahead = null;
    this.#running = true;
    if (ahead !== null) this.#read(ahead);
    this.#running = false;
    this.#regulate();
  }

  #regulate(): void {
    const stops = this.#blocked || (this.#ahead !== null && this.#ahead.length > AHEAD_MAX);
    if (stops === this.#paused || this.#reads === "nothing" || this.#reads === "early") return;
    this.#paused = stops;
    if (stops) this.socket.pause();
    else this.socket.resume();
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#mayRead) {
      const next = this.#reads === "head" ? this.#readHead(chunk, at) : this.#readBody(chunk, at);
      if (next < 0) return;
      at = next;
    }
    if (at < chunk.length && this.#reads !== "nothing") this.#putAside(at === 0 ? chunk : chunk.subarray(at));
  }

  get #mayRead(): boolean {
    if (this.#reads === "head") return this.#exchange === null;
    return this.#reads === "body" && !this.#blocked && this.#exchange?.takesBody !== false;
  }

  #putAside(chunk: Buffer): void {
    const kept = keepLent(chunk);
    this.#ahead = this.#ahead === null ? kept : Buffer.concat([this.#ahead, kept]);
    this.#regulate();
  }

  /** Gives where to read on; -1: no further. */
  #readHead(chunk: Buffer, at: number): number {
    if (this.#begun === null) this.#deadline = this.#deps.clock.now() + this.#deps.headMs;
    const begun = this.#begun;
    const text = collectHead(begun, chunk, at, this.#deps.bounds.headBytes);
    if (text instanceof HeadParts) {
      this.#begun = text;
      return chunk.length;
    }
    if (text instanceof Refusal) return this.#refuse(text);
    this.#begun = null;
    if (this.#served > 0) this.#last ??= new LastSection();
    const end = at + text.length - (begun?.length ?? 0);
    return this.#begin(readRequestHead(text, this.#deps.bounds, this.#last), chunk, end);
  }

  /** The head of a request is whole: it ended in `chunk` at `end`. Gives where to read on; -1: no further. */
  #begin(read: RequestHeadRead | Refusal, chunk: Buffer, end: number): number {
    this.#quiet = false;
    if (read instanceof Refusal) return this.#refuse(read);
    const { framing } = read;
    if (framing.kind === "length" && Number(framing.length) > this.#deps.bodyBytes) return this.#refuse(TOO_LARGE);
    this.#deadline = Infinity;
    this.#served += 1;
    const exchange = new Http1Exchange(this, read);
    this.#exchange = exchange;
    if (exchange.upgrade !== null) return this.#switch(exchange, chunk.subarray(end));
    this.#startBody(read, exchange);
    this.#deps.serve(exchange);
    return end;
  }

  #startBody({ framing }: RequestHeadRead, exchange: Http1Exchange): void {
    if (exchange.whole) return;
    this.#bodyLength = 0;
    this.#reads = "body";
    this.#reader =
      framing.kind === "length" ? new LengthReader(Number(framing.length)) : new ChunkedReader(this.#deps.bounds);
  }

  #switch(exchange: Http1Exchange, rest: Buffer): number {
    this.#reads = "early";
    this.socket.off("data", ServerConnection.#onData).off("end", ServerConnection.#onEnd);
    this.#takeEarly = readEarly(this.socket, keepLent(rest));
    if (exchange.head.method === "CONNECT") this.#deps.tunnel(exchange);
    else this.#deps.serve(exchange);
    return -1;
  }

  #readBody(chunk: Buffer, at: number): number {
    const reader = this.#reader;
    if (reader === null) return -1;
    const next = reader.read(chunk, at, this);
    const full = this.#full;
    this.#full = false;
    if (next instanceof Refusal) return this.#refuse(next);
    if (this.#bodyLength > this.#deps.bodyBytes) return this.#refuse(TOO_LARGE);
    if (this.socket.destroyed) return -1;
    if (reader.done) this.#bodyEnded();
    else if (full) this.pause();
    return next;
  }

  /** Of the body, for its reader. */
  data(chunk: Buffer): void {
    this.#bodyLength += chunk.length;
    if (this.#exchange?.received(chunk) === false) this.#full = true;
  }

  #bodyEnded(): void {
    const trailers = this.#reader?.trailers?.flat ?? NO_FIELDS;
    this.#reader = null;
    this.#reads = "head";
    if (this.#exchange !== null) this.#exchange.bodyEnded(trailers);
    else this.#waitForNext();
  }

  /** The answer is out. */
  #next(): void {
    const exchange = this.#exchange;
    if (exchange === null || exchange.left) return;
    this.#exchange = null;
    this.#blocked = false;
    exchange.close();
    if (!exchange.keepAlive || this.#draining) return this.#sendOff();
    if (this.#reads === "body") this.#deadline = this.#deps.clock.now() + DISCARD_MS;
    else this.#deadline = this.#deps.clock.now() + this.#deps.keepAliveMs;
    this.#run();
  }

  /** What was left of an answered request is dropped. */
  #waitForNext(): void {
    if (this.#draining) return this.#sendOff();
    this.#deadline = this.#deps.clock.now() + this.#deps.keepAliveMs;
  }

  // Ending.

  #refuse(refusal: Refusal): number {
    const exchange = this.#exchange;
    const begun = exchange?.begun === true;
    // In the middle of an answer there is no place for another one; and who speaks no HTTP at all would not understand one.
    const silent = begun || (refusal === NOT_HTTP && this.#served === 0) || !this.socket.writable;
    if (begun) this.abort();
    this.#reads = "nothing";
    exchange?.break();
    if (silent) this.socket.destroy();
    else this.#deps.refuse(this, refusal);
    this.#deadline = Infinity;
    return -1;
  }

  #sendOff(): void {
    this.#reads = "nothing";
    this.#deadline = Infinity;
    this.socket.off("end", ServerConnection.#onEnd);
    sendOff(this.socket);
  }

  /** Who ends its side while its answer is under way is taken for gone: nobody could tell it from one that left. */
  #ended(): void {
    if (this.#exchange === null && this.#reads === "head" && this.#begun !== null) this.#refuse(CUT_SHORT);
    else if (this.#exchange === null && this.#reads === "head") this.#sendOff();
    else if (this.#reads !== "nothing") this.socket.destroy();
  }

  #closed(): void {
    this.returnReads();
    this.#reads = "nothing";
    this.#ahead = null;
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.break();
    this.#deps.closed(this);
  }
}

const TOO_SLOW = new Refusal(408, "The head of this request did not come in time.");
const TOO_LARGE = new Refusal(413, "The body of this request is larger than the gate takes.");
const CUT_SHORT = new Refusal(400, "The connection ended in the middle of a head.");
