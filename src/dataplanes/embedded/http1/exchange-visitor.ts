import type { Writable } from "node:stream";
import type { Exchange, Fields } from "../exchange.ts";
import { beginAnswer, type Call } from "../forward.ts";
import { keepLent } from "../lent-reads.ts";
import type { Target } from "../target.ts";
import type { ResponseFraming, ResponseHeadRead } from "./read-head.ts";
import type { Visitor, VisitorEvents } from "./visitor.ts";

/** A visitor whose exchange is made of streams: HTTP/2. */
export class ExchangeVisitor implements Visitor {
  readonly #exchange: Exchange;
  #events: VisitorEvents | null = null;
  #out: Writable | null = null;
  #written = false;
  bodyTaken = false;
  readonly #gone = () => this.#events?.left();
  readonly #data = (chunk: Buffer) => {
    this.bodyTaken = true;
    if (this.#events?.body(chunk) === false) this.#exchange.body.pause();
  };
  readonly #bodyEnd = () => this.#events?.bodyEnded(this.#exchange.trailers());
  readonly #drain = () => this.#events?.roomAgain();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  watch(events: VisitorEvents): void {
    this.#events = events;
    this.#exchange.gone.addEventListener("abort", this.#gone, { once: true });
  }

  unwatch(): void {
    this.#events = null;
    const { body, gone, upgrade } = this.#exchange;
    gone.removeEventListener("abort", this.#gone);
    if (upgrade !== null) return;
    body.off("data", this.#data).off("end", this.#bodyEnd);
    // The job answered and then stopped listening: what the visitor still sends has nowhere to go.
    if (this.#exchange.begun && !body.readableEnded) this.#exchange.discard();
  }

  startBody(): void {
    const { body } = this.#exchange;
    if (body.readableEnded) return this.#bodyEnd(); // HTTP/2 ends empty bodies before anybody reads them
    body.on("data", this.#data).once("end", this.#bodyEnd);
  }

  resumeBody(): void {
    this.#exchange.body.resume();
  }

  answer(call: Call, target: Target, answer: { head: ResponseHeadRead; framing: ResponseFraming }): boolean {
    const { status, message, fields } = answer.head;
    const trailers = answer.framing.kind === "chunked";
    try {
      this.#out = beginAnswer(call, target, { status, message, fields: fields.flat, trailers, only: false });
    } catch {
      return false;
    }
    this.#out.on("drain", this.#drain);
    return true;
  }

  write(chunk: Buffer): boolean {
    this.#written = true;
    return this.#out?.write(keepLent(chunk)) ?? true;
  }

  /** A head without a body yet must not wait for one: event streams start with silence. */
  flush(): void {
    if (!this.#written && this.#out !== null && !this.#exchange.left) this.#exchange.flush();
  }

  end(trailers: Fields): void {
    this.#out?.off("drain", this.#drain);
    this.#exchange.finish(trailers);
  }
}
