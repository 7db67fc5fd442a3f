import type { Socket } from "node:net";
import type { Exchange, Fields } from "../exchange.ts";
import { ANSWERED, failed, type Call, type Failure, type Outcome } from "../forward.ts";
import { requestTrailers } from "../request-fields.ts";
import { responseTrailers } from "../response-fields.ts";
import { decideRetry } from "../retry.ts";
import { splice } from "../splice.ts";
import { sendSwitch } from "../switch-protocols.ts";
import type { Target } from "../target.ts";
import { Http2Exchange } from "../http2/http2-exchange.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { jobHead } from "./job-head.ts";
import type { ResponseFraming, ResponseHeadRead } from "./read-head.ts";
import { fieldsText } from "./say.ts";
import type { Asker, Break, UpstreamConnection } from "./upstream-connection.ts";
import type { Visitor, VisitorEvents } from "./visitor.ts";

/** Carries a call to a job that speaks HTTP/1.1, on a kept connection (`fresh`: on a new one). Upgrades get one of their own. */
export function forwardHttp1(call: Call, target: Target, fresh: boolean): Promise<Outcome> {
  return new Promise((resolve) => {
    new Attempt({ call, target, resolve }).start(fresh);
  });
}

function visitorOf(exchange: Exchange): Visitor {
  if (exchange instanceof Http1Exchange || exchange instanceof Http2Exchange) return exchange;
  throw new Error("an exchange of no protocol that is known here");
}

interface AttemptInput {
  readonly call: Call;
  readonly target: Target;
  readonly resolve: (outcome: Outcome) => void;
}

/**
 * One try at one endpoint: connecting → asked → answered (the head of the answer is on its way to the visitor) or failed. Over once the
 * answer is whole, either side broke off, or the protocol changed, when two sockets are joined.
 */
class Attempt implements Asker, VisitorEvents {
  readonly #call: Call;
  readonly #target: Target;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #visitor: Visitor;
  #connection: UpstreamConnection | null = null;
  /** While it connects. */
  #dialling: AbortController | null = null;
  #chunked = false;
  #answered = false;
  #over = false;
  /** The visitor takes no more just now. */
  #full = false;

  constructor({ call, target, resolve }: AttemptInput) {
    this.#call = call;
    this.#target = target;
    this.#resolve = resolve;
    const { exchange } = call;
    this.#visitor = visitorOf(exchange);
  }

  start(fresh: boolean): void {
    const { exchange } = this.#call;
    const pool = this.#target.http1;
    if (exchange.left) return this.#resolve(failed("reset"));
    this.#target.active += 1;
    this.#visitor.watch(this);
    const idle = fresh || exchange.upgrade !== null ? null : pool.takeIdle();
    if (idle !== null) this.#ask(idle);
    else void this.#dial();
  }

  async #dial(): Promise<void> {
    this.#dialling = new AbortController();
    const { ends = null } = this.#call.exchange.client;
    const connection = await this.#target.http1.dial(this.#dialling.signal, ends);
    this.#dialling = null;
    if (typeof connection === "string") this.#fail(connection);
    else if (this.#over) connection.destroy();
    else this.#ask(connection);
  }

  #ask(connection: UpstreamConnection): void {
    const { exchange, idleMs } = this.#call;
    const { framing, upgrade, head } = exchange;
    const text = jobHead(this.#call, this.#target);
    this.#connection = connection;
    if (text === null) return this.#fail("bad_request");
    this.#chunked = framing.kind === "chunked";
    const body = upgrade === null && framing.kind !== "none" && !(framing.kind === "length" && framing.length === "0");
    connection.ask({ head: text, method: head.method, switching: upgrade !== null, body, idleMs }, this);
    if (body) this.#visitor.startBody();
  }

  // The visitor's side.

  body(chunk: Buffer): boolean {
    const connection = this.#connection;
    if (this.#over || connection === null) return true;
    this.#call.flow.bytesIn += chunk.length;
    return this.#chunked ? connection.writeChunk(chunk) : connection.write(chunk);
  }

  bodyEnded(trailers: Fields): void {
    const connection = this.#connection;
    if (this.#over || connection === null) return;
    if (this.#chunked) {
      const { exchange, allowed } = this.#call;
      const kept = trailers.length === 0 ? trailers : requestTrailers(trailers, exchange, allowed);
      connection.writeLastChunk(fieldsText(kept));
    }
    connection.endRequest();
  }

  roomAgain(): void {
    this.#full = false;
    if (!this.#over) this.#connection?.resume();
  }

  left(): void {
    this.#dialling?.abort();
    this.#end();
    if (!this.#answered) this.#resolve(failed("reset"));
  }

  // The job's side.

  informed(head: ResponseHeadRead): void {
    const { exchange } = this.#call;
    if (head.status === 100) exchange.proceed();
    else exchange.inform(head.status, head.fields.flat);
  }

  answered(head: ResponseHeadRead, framing: ResponseFraming): boolean {
    if (!this.#visitor.answer(this.#call, this.#target, { head, framing })) {
      this.#fail("bad_answer");
      return false;
    }
    this.#answered = true;
    this.#call.flow.answered(head.status);
    this.#resolve(ANSWERED);
    return !this.#over;
  }

  data(chunk: Buffer): boolean {
    this.#call.flow.bytesOut += chunk.length;
    this.#full = !this.#visitor.write(chunk);
    return !this.#full;
  }

  caughtUp(): void {
    this.#visitor.flush();
  }

  ended(trailers: Fields): void {
    this.#connection = null; // it is somebody else's already
    this.#end();
    this.#visitor.end(trailers.length === 0 ? trailers : responseTrailers(trailers));
  }

  switched(head: ResponseHeadRead, far: Socket, farHead: Buffer): void {
    const { exchange, idleMs, flow } = this.#call;
    const { upgrade } = exchange;
    const near = upgrade === null ? null : sendSwitch(this.#call, this.#target, head);
    if (upgrade === null || near === null) {
      far.destroy();
      return this.#fail("bad_answer");
    }
    this.#answered = true;
    this.#over = true;
    this.#visitor.unwatch(); // from here on each end tells the other by itself
    this.#resolve(ANSWERED);
    const joined = splice({ near, far, nearHead: upgrade.take(), farHead, idleMs, counted: flow });
    void joined.then(() => (this.#target.active -= 1));
  }

  broke(why: Break): void {
    if (why.failure === "bad_answer") {
      this.#call.context.refusals.answer(this.#call.route.service, why.reason);
    }
    this.#fail(why.failure);
  }

  drained(): void {
    if (!this.#over) this.#visitor.resumeBody();
  }

  #fail(failure: Failure): void {
    if (this.#over) return;
    const connection = this.#connection;
    const { exchange } = this.#call;
    this.#end();
    if (this.#answered) return exchange.abort();
    const again = decideRetry({
      failure,
      sent: connection !== null && failure !== "bad_request",
      unprocessed: false,
      reused: connection?.reused === true,
      answering: connection?.answering === true,
      method: exchange.head.method,
      bodyTaken: this.#visitor.bodyTaken,
    });
    this.#resolve(failed(failure, again));
  }

  /** Nothing more goes to or comes from the job. */
  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#target.active -= 1;
    this.#visitor.unwatch();
    this.#connection?.destroy();
  }
}
