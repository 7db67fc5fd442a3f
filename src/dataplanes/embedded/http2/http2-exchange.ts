import type { Duplex } from "node:stream";
import type { RequestHead } from "../../../model/index.ts";
import type { Client } from "../client.ts";
import { type AnswerHead, type Exchange, type Fields, type Framing, valuesOf } from "../exchange.ts";
import type { Call } from "../forward.ts";
import { claimLent } from "../lent-reads.ts";
import type { Rendered } from "../../pages.ts";
import { responseFields } from "../response-fields.ts";
import type { Target } from "../target.ts";
import type { ResponseFraming, ResponseHeadRead } from "../http1/read-head.ts";
import { areSayable, checkSayable, dateText, isSayable } from "../http1/say.ts";
import type { Visitor, VisitorEvents } from "../http1/visitor.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { Piece } from "./frame-reader.ts";
import { CODE } from "./frames.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { Http2Head } from "./http2-head.ts";
import type { RequestRead } from "./read-request.ts";
import { readTrailers } from "./read-trailers.ts";
import type { Http2Stream, StreamUser } from "./stream.ts";
import { Tunnel } from "./tunnel.ts";
import { readUpgrade } from "./upgrade.ts";

/** What an exchange needs to know of the session that it is on. */
export interface ExchangeSession {
  readonly client: Client;
  /** Bytes of a body; Infinity: any. */
  readonly bodyBytes: number;
  /** The body is larger than that: the gate says so itself, if it still can. */
  tooLarge(exchange: Http2Exchange): void;
  /** What still comes is dropped: after a while the stream is broken off. */
  dropping(stream: Http2Stream): void;
}

/** Who carries a request on as pieces of what was read, to a job that speaks HTTP/2. */
export interface PieceTaker {
  /** Bytes of the body, there for the time of the call; `consumed` of the exchange is told once they are passed on. */
  piece(piece: Piece, last: boolean): void;
  /** The body ended before, with these. */
  trailers(fields: Fields): void;
  /** So many bytes of the answer that had to wait went on their way. */
  answerSent(bytes: number): void;
  left(): void;
}

interface JobAnswer {
  readonly status: number;
  readonly fields: Fields;
  /** Its length is not known before, so that trailers may follow. */
  readonly trailers: boolean;
  /** Nothing follows at all. */
  readonly only?: boolean;
}

const DATE = "date";
const NO_FIELDS: Fields = Object.freeze([]);

/** One request on a stream of a visitor, and its answer: waiting → begun → finished; `left` once the stream was broken off before that. */
export class Http2Exchange implements Exchange, Visitor, StreamUser {
  readonly version = "2";
  readonly read: RequestRead;
  readonly head: RequestHead;
  readonly client: Client;
  readonly fields: Fields;
  readonly framing: Framing;
  readonly upgrade: Exchange["upgrade"];
  begun = false;
  left = false;
  bodyTaken = false;
  readonly #session: ExchangeSession;
  readonly #stream: Http2Stream;
  #events: VisitorEvents | null = null;
  #taker: PieceTaker | null = null;
  /** What came of the body before somebody took it, or while that one took no more. */
  readonly #ahead = new ByteQueue();
  #taking = false;
  #blocked = false;
  #dropping = false;
  /** All of the body came, though not all may be taken. */
  #whole: boolean;
  /** Its taker knows. */
  #ended = false;
  #tunnel: Tunnel | null = null;
  #trailers: Fields = NO_FIELDS;
  #closed = false;
  readonly #closers: (() => void)[] = [];
  #controller: AbortController | null = null;

  constructor(session: ExchangeSession, stream: Http2Stream, read: RequestRead) {
    this.#session = session;
    this.#stream = stream;
    this.read = read;
    this.client = session.client;
    const { fields, upgrade } = readUpgrade(read, (answer) => this.#join(answer));
    this.fields = fields;
    this.upgrade = upgrade;
    this.framing = upgrade === null ? read.framing : NO_BODY;
    this.#whole = read.framing.kind === "none";
    this.head = new Http2Head(read, fields, this.client);
    if (this.framing.kind === "length") stream.expected = Number(this.framing.length);
    stream.user = this;
  }

  get expectsContinue(): boolean {
    return this.read.expectsContinue;
  }

  get fault(): Exchange["fault"] {
    const { protocol, target } = this.read;
    if (protocol !== null && this.upgrade === null) {
      return { status: 501, message: "Of extended CONNECT only WebSockets are understood." };
    }
    if (!target.ok) return { status: 400, message: target.message };
    const tooLarge = this.framing.kind === "length" && Number(this.framing.length) > this.#session.bodyBytes;
    return tooLarge ? { status: 413, message: TOO_LARGE } : null;
  }

  get gone(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.left) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  proceed(): void {
    if (this.#mayInform) this.#stream.sendHead([":status", "100"], false);
  }

  /** Of early words, hints and the like are passed on with what they hint at. */
  inform(status: number, fields: Fields): void {
    const links = valuesOf(fields, "link").filter((value) => isSayable("link", value));
    if (!this.#mayInform) return;
    this.#stream.sendHead([":status", String(status), ...links.flatMap((value) => ["link", value])], false);
  }

  get #mayInform(): boolean {
    return !this.begun && !this.left;
  }

  begin({ status, fields, only }: AnswerHead): void {
    checkSayable(fields);
    this.#sendHead(status, fields, only);
  }

  #sendHead(status: number, fields: Fields, only: boolean): void {
    const head = [":status", String(status), ...fields];
    let dated = false;
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at] ?? "";
      if (name.length === DATE.length && name.toLowerCase() === DATE) dated = true;
    }
    if (!dated) head.push(DATE, dateText());
    this.begun = true;
    const last = only || this.head.method === "HEAD" || status === 204 || status === 304;
    this.#stream.sendHead(head, last);
  }

  finish(trailers: Fields): void {
    this.end(trailers);
    if (this.upgrade !== null) this.discard(); // what still comes belongs to a protocol that was refused
  }

  discard(): void {
    if (this.#closed || this.#dropping) return;
    this.#dropping = true;
    this.#stream.consumed(this.#ahead.length);
    this.#ahead.clear();
    if (!this.#stream.remoteEnded) this.#session.dropping(this.#stream);
  }

  abort(code: number = CODE.internal): void {
    this.#stream.reset(code);
  }

  onClose(call: () => void): void {
    if (this.#closed) call();
    else this.#closers.push(call);
  }

  // As a job's visitor.

  watch(events: VisitorEvents): void {
    this.#events = events;
  }

  /** For a job that speaks HTTP/2 as well. */
  watchPieces(taker: PieceTaker): void {
    this.#taker = taker;
  }

  unwatch(): void {
    this.#events = null;
    this.#taker = null;
    this.#taking = false;
    // The job answered and then stopped listening: what the visitor still sends has nowhere to go.
    if (this.begun && this.upgrade === null && !this.#whole) this.discard();
  }

  startBody(): void {
    this.#taking = true;
    this.resumeBody();
  }

  resumeBody(): void {
    this.#blocked = false;
    while (this.#takes) {
      const { first } = this.#ahead;
      if (first === null) break;
      const piece = { ...first };
      this.#ahead.drop(piece.end - piece.at);
      this.#give(piece, false);
    }
    this.#settleBody();
  }

  answer(call: Call, target: Target, answer: { head: ResponseHeadRead; framing: ResponseFraming }): boolean {
    const { status, fields } = answer.head;
    return this.#answer(call, target, { status, fields: fields.flat, trailers: answer.framing.kind === "chunked" });
  }

  /** The same from a job that speaks HTTP/2. `last`: nothing follows. */
  answerWith(call: Call, target: Target, answer: { status: number; fields: Fields; last: boolean }): boolean {
    const { status, fields, last } = answer;
    return this.#answer(call, target, { status, fields, trailers: !last, only: last });
  }

  #answer({ route, allowed, prefix }: Call, { address }: Target, answer: JobAnswer): boolean {
    if (!areSayable(allowed.respond)) return false; // what the readers took is sayable
    const { status, fields, trailers, only = false } = answer;
    const input = { exchange: this, route, allowed, prefix, address, status, trailers };
    this.#sendHead(status, responseFields(fields, input), only);
    return true;
  }

  write(chunk: Buffer): boolean {
    this.#stream.write({ bytes: chunk, at: 0, end: chunk.length }, false);
    claimLent(chunk)?.(); // a copy is on its way
    return this.left || this.#stream.pending === 0;
  }

  /** Passes a piece of the answer on. Gives how much of it went at once; `answerSent` of the taker tells of the rest. */
  writePiece(piece: Piece, last: boolean): number {
    return this.#stream.write(piece, last);
  }

  flush(): void {
    // A head is a frame of its own.
  }

  end(trailers: Fields): void {
    this.#stream.end(trailers);
  }

  /** So many bytes that a taker got have gone on. */
  consumed(bytes: number): void {
    this.#stream.consumed(bytes);
  }

  /** The gate's own last words, though somebody may be answering: that one is told that the visitor left. */
  refuse({ status, fields, body }: Rendered): void {
    this.#break();
    this.begin({ status, message: "", fields, only: body === "" });
    this.write(Buffer.from(body));
    this.end(NO_FIELDS);
    this.discard();
  }

  // From its stream.

  /** Trailers of the request. */
  section(block: FieldBlock, last: boolean): void {
    const trailers = readTrailers(block, last);
    if (trailers === null) return this.#stream.fault(CODE.protocol);
    this.#trailers = trailers;
    this.#whole = true;
    this.#tunnel?.ended();
    this.#settleBody();
  }

  data(piece: Piece, last: boolean): void {
    const length = piece.end - piece.at;
    if (last) this.#whole = true;
    if (this.#tunnel !== null) return this.#tunnel.received(piece, last);
    if (this.#dropping) return this.#stream.consumed(length);
    if (this.#stream.received > this.#session.bodyBytes && this.upgrade === null) return this.#session.tooLarge(this);
    this.#receive(piece, last);
  }

  sent(bytes: number): void {
    if (this.#tunnel !== null) this.#tunnel.sent();
    else if (this.#taker !== null) this.#taker.answerSent(bytes);
    else if (this.#stream.pending === 0) this.#events?.roomAgain();
  }

  silent(): void {
    this.abort(CODE.cancel);
  }

  closed(code: number): void {
    this.#closed = true;
    this.#ahead.clear();
    const { localEnded, remoteEnded } = this.#stream;
    if (!localEnded || code !== CODE.none) this.#break();
    this.#tunnel?.streamClosed(localEnded && remoteEnded && code === CODE.none);
    for (const call of this.#closers.splice(0)) call();
  }

  #receive(piece: Piece, last: boolean): void {
    const { bytes, at, end } = piece;
    if (!this.#takes || this.#ahead.length > 0) {
      if (end > at) this.#ahead.push(bytes, at, end);
      return;
    }
    this.#give(piece, last);
    this.#settleBody();
  }

  /** Whoever carries the request on takes more of its body. */
  get #takes(): boolean {
    return this.#taking && !this.#blocked;
  }

  #give(piece: Piece, last: boolean): void {
    const { bytes, at, end } = piece;
    this.bodyTaken = true;
    if (this.#taker !== null) {
      if (last) this.#ended = true;
      return this.#taker.piece(piece, last);
    }
    if (end === at) return;
    if (this.#events?.body(Buffer.from(bytes.subarray(at, end))) === false) this.#blocked = true;
    this.#stream.consumed(end - at);
  }

  /** Tells of the body's end once all of it was taken. */
  #settleBody(): void {
    if (this.#ended || !this.#whole || !this.#takes || this.#ahead.length > 0) return;
    this.#ended = true;
    if (this.#taker !== null) this.#taker.trailers(this.#trailers);
    else this.#events?.bodyEnded(this.#trailers);
  }

  #break(): void {
    if (this.left) return;
    this.left = true;
    const [events, taker] = [this.#events, this.#taker];
    this.#events = null;
    this.#taker = null;
    events?.left();
    taker?.left();
    this.#controller?.abort();
  }

  /** The stream belongs to another protocol from now on. */
  #join(fields: Fields): Duplex {
    if (this.#closed) throw new Error("the visitor left");
    this.begin({ status: 200, message: "", fields, only: false });
    const tunnel = new Tunnel(this.#stream);
    this.#tunnel = tunnel;
    for (let { first } = this.#ahead; first !== null; { first } = this.#ahead) {
      tunnel.received(first, false);
      this.#ahead.drop(first.end - first.at);
    }
    if (this.#whole) tunnel.ended();
    return tunnel;
  }
}

const NO_BODY: Framing = Object.freeze({ kind: "none" });
const TOO_LARGE = "The body of this request is larger than the gate takes.";
