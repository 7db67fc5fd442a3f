import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { RequestHead } from "../../../model/index.ts";
import { type AnswerHead, type Exchange, type Fields, type Framing, valuesOf } from "../exchange.ts";
import type { Call } from "../forward.ts";
import { askerOf, type Client } from "../client.ts";
import { responseFieldsText } from "../response-fields.ts";
import type { Target } from "../target.ts";
import { AnswerWriter, type AnswerMode } from "./answer-writer.ts";
import type { HeadFields } from "./head-fields.ts";
import type { RequestHeadRead, ResponseFraming, ResponseHeadRead } from "./read-head.ts";
import { areSayable, checkSayable, dateText, fieldsText, statusLine } from "./say.ts";
import type { Visitor, VisitorEvents } from "./visitor.ts";

/** What an exchange needs of the connection that it is on. */
export interface ExchangeConnection {
  readonly socket: Socket;
  readonly client: Client;
  /** Somebody wants the body now. */
  wantBody(): void;
  /** No more of the body before `resume`. */
  pause(): void;
  resume(): void;
  /** The whole answer was written. */
  answered(): void;
  /** The connection ends with this answer. */
  readonly lastAnswer: boolean;
  /** Ends the connection so that nobody takes what was said for whole. */
  abort(): void;
  /** Gives the socket away, with what came behind the head; nothing of it is read here any more. */
  giveAway(): Buffer;
}

const NO_FIELDS: Fields = Object.freeze([]);

/** One request on a connection of a visitor, and its answer: waiting → begun → finished; `left` once the connection ended before that. */
export class Http1Exchange implements Exchange, Visitor {
  readonly wire: HeadFields;
  readonly head: RequestHead;
  readonly version: "1.0" | "1.1";
  readonly framing: Framing;
  readonly expectsContinue: boolean;
  readonly fault = null;
  readonly upgrade: Exchange["upgrade"];
  readonly client: Client;
  begun = false;
  left = false;
  bodyTaken = false;
  /** All of the request's body was read. */
  whole: boolean;
  readonly #connection: ExchangeConnection;
  readonly #writer: AnswerWriter;
  #keepAlive: boolean;
  #proceeded = false;
  #finished = false;
  #closed = false;
  #events: VisitorEvents | null = null;
  #trailers: Fields = NO_FIELDS;
  #closers: (() => void)[] = [];
  #controller: AbortController | null = null;

  constructor(connection: ExchangeConnection, read: RequestHeadRead) {
    this.#connection = connection;
    this.#writer = new AnswerWriter(connection.socket);
    this.wire = read.fields;
    this.version = read.version;
    this.framing = read.framing;
    this.expectsContinue = read.expectsContinue;
    this.client = connection.client;
    this.head = new WireHead(read, connection.client);
    const switching = read.method === "CONNECT" ? "" : read.upgrade;
    this.upgrade = switching === null ? null : this.#createUpgrade(switching);
    this.#keepAlive = read.keepAlive && switching === null;
    this.whole = read.framing.kind === "none" || (read.framing.kind === "length" && read.framing.length === "0");
  }

  get fields(): Fields {
    return this.wire.flat;
  }

  get gone(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.left) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Another request may follow on the connection. */
  get keepAlive(): boolean {
    return this.#keepAlive;
  }

  /** Somebody takes the body. */
  get takesBody(): boolean {
    return this.bodyTaken || this.#finished;
  }

  proceed(): void {
    this.#proceeded = true;
    if (this.#mayInform) this.#connection.socket.write("HTTP/1.1 100 Continue\r\n\r\n", "latin1");
  }

  /** Of interim answers, hints and the like are passed on with what they hint at. */
  inform(status: number, fields: Fields): void {
    if (!this.#mayInform || (status !== 102 && status !== 103)) return;
    const links = status === 103 ? valuesOf(fields, "link").flatMap((value) => ["Link", value]) : [];
    if (status === 103 && links.length === 0) return;
    this.#connection.socket.write(`${statusLine(status, "")}${fieldsText(links)}\r\n`, "latin1");
  }

  get #mayInform(): boolean {
    return !this.begun && !this.left && this.version === "1.1";
  }

  begin({ status, message, fields }: AnswerHead): void {
    checkSayable(fields);
    const length = valuesOf(fields, "content-length").length > 0;
    const dated = valuesOf(fields, "date").length > 0;
    this.#beginAnswer({ status, message, length, dated, text: fieldsText(fields) });
  }

  flush(): void {
    this.#writer.flush();
  }

  finish(trailers: Fields): void {
    this.end(trailers);
  }

  /** What is left of a request whose answer is whole is dropped by the connection itself. */
  discard(): void {
    if (this.#finished) this.#connection.wantBody();
  }

  abort(): void {
    this.#connection.abort();
  }

  onClose(call: () => void): void {
    if (this.#closed) call();
    else this.#closers.push(call);
  }

  // As an HTTP/1.1 job's visitor.

  watch(events: VisitorEvents): void {
    this.#events = events;
  }

  unwatch(): void {
    this.#events = null;
  }

  startBody(): void {
    if (this.whole) return this.#events?.bodyEnded(this.#trailers);
    this.bodyTaken = true;
    this.#connection.wantBody();
  }

  resumeBody(): void {
    this.#connection.resume();
  }

  answer(call: Call, target: Target, answer: { head: ResponseHeadRead; framing: ResponseFraming }): boolean {
    const { exchange, route, allowed, prefix } = call;
    const { status, message, fields } = answer.head;
    if (!areSayable(allowed.respond)) return false;
    const trailers = answer.framing.kind === "chunked" && this.version === "1.1";
    const input = { exchange, route, allowed, prefix, status, trailers, address: target.address };
    const text = responseFieldsText(fields, input);
    const { kind } = answer.framing;
    this.#beginAnswer({ status, message, text, length: kind === "length", dated: fields.first("date") !== undefined });
    return true;
  }

  write(chunk: Buffer): boolean {
    return this.left || this.#writer.write(chunk);
  }

  end(trailers: Fields): void {
    if (this.#finished || this.left) return;
    this.#finished = true;
    this.#writer.end(trailers.length === 0 ? "" : fieldsText(trailers));
    this.#connection.answered();
  }

  // From its connection.

  /** false: no more before `resumeBody`. */
  received(chunk: Buffer): boolean {
    return this.#events?.body(chunk) ?? true;
  }

  bodyEnded(trailers: Fields): void {
    this.whole = true;
    this.#trailers = trailers;
    this.#events?.bodyEnded(trailers);
  }

  roomAgain(): void {
    this.#events?.roomAgain();
  }

  /** The connection ended, or cannot go on, before the answer was whole. */
  break(): void {
    if (this.left) return;
    this.left = true;
    const events = this.#events;
    this.#events = null;
    events?.left();
    this.#controller?.abort();
    this.close();
  }

  /** Nothing more comes or goes. */
  close(): void {
    this.#closed = true;
    for (const call of this.#closers.splice(0)) call();
  }

  /** Some of an answer is out, or is let out now: what breaks off here is seen to be broken. */
  breakOff(): void {
    if (this.begun) this.#writer.flush();
  }

  /** Only a reset tells a broken answer from a whole one where its end is that of the connection. */
  get endsByClose(): boolean {
    return this.#writer.mode !== "chunked";
  }

  #beginAnswer({ status, message, text, length, dated }: AnswerStart): void {
    const mode = this.#modeOf(status, length);
    // A visitor that was never told to go on may send its body or not: nobody can tell where its next request starts.
    const unsure = this.expectsContinue && !this.#proceeded && !this.whole;
    if (mode === "close" || unsure || this.#connection.lastAnswer) this.#keepAlive = false;
    this.begun = true;
    const connection = this.#keepAlive
      ? this.version === "1.0"
        ? "Connection: keep-alive\r\n"
        : ""
      : "Connection: close\r\n";
    const coding = mode === "chunked" ? "Transfer-Encoding: chunked\r\n" : "";
    const date = dated ? "" : `Date: ${dateText()}\r\n`;
    this.#writer.head(`${statusLine(status, message)}${text}${date}${connection}${coding}\r\n`, mode);
  }

  #modeOf(status: number, length: boolean): AnswerMode {
    if (this.head.method === "HEAD" || status === 204 || status === 304) return "none";
    if (length) return "length";
    return this.version === "1.1" ? "chunked" : "close";
  }

  #createUpgrade(protocol: string): Exchange["upgrade"] {
    const { socket } = this.#connection;
    return {
      protocol,
      take: () => this.#connection.giveAway(),
      accept: (status, fields) => this.#accept(socket, status, fields),
    };
  }

  #accept(socket: Socket, status: 101 | 200, fields: Fields): Duplex {
    checkSayable(fields);
    const named = status === 101 ? `Connection: Upgrade\r\n` : "";
    this.begun = true;
    const reason = status === 101 ? "" : "Connection established";
    socket.write(`${statusLine(status, reason)}${named}${fieldsText(fields)}\r\n`, "latin1");
    return socket;
  }
}

interface AnswerStart {
  readonly status: number;
  readonly message: string;
  /** Field lines. */
  readonly text: string;
  /** They say the length of the body. */
  readonly length: boolean;
  /** They say a Date. */
  readonly dated: boolean;
}

/** The head of a request as it was read. */
class WireHead implements RequestHead {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly peer: string;
  readonly front: string | undefined;
  readonly secure: boolean;
  readonly repeated: object | undefined;
  readonly #fields: HeadFields;

  constructor({ method, host, path, fields }: RequestHeadRead, client: Client) {
    this.method = method;
    this.host = host;
    this.path = path;
    this.secure = client.secure;
    this.repeated = fields.repeated ? fields : undefined;
    this.#fields = fields;
    const { peer, front } = askerOf(client, (name) => fields.joined(name));
    this.peer = peer;
    this.front = front;
  }

  header(name: string): string | undefined {
    return this.#fields.joined(name);
  }

  names(): Iterable<string> {
    return this.#fields.names.map(({ lower }) => lower);
  }
}
