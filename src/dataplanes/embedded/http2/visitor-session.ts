import type { Socket } from "node:net";
import type { LimitsConfig } from "../../../config/schema.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Client } from "../client.ts";
import { DISCARD_MS, type Exchange } from "../exchange.ts";
import { renderNotice, type Notice } from "../../pages.ts";
import { Allowance } from "./allowance.ts";
import { CODE } from "./frames.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { Http2Exchange, type ExchangeSession } from "./http2-exchange.ts";
import { readRequest } from "./read-request.ts";
import { ServerSession, type ServerSessionUser } from "./server-session.ts";
import type { Costly } from "./session.ts";
import type { Http2Stream } from "./stream.ts";

export interface VisitorSessionDeps {
  readonly socket: Socket;
  readonly client: Client;
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  serve(exchange: Exchange): void;
  /** CONNECT. */
  tunnel(exchange: Exchange): void;
  /** Counts and logs what is no request, and gives what is to be said about it. */
  refuse(status: 400 | 413 | 431, message: string, client: Client): Notice;
  closed(session: VisitorSession): void;
}

/** In which time as many resets are forgiven as may come at once. */
const RESETS_FORGIVEN_IN_MS = 30_000;
const CONTROL_EARNED_IN_MS = 10_000;
/** gRPC's clients send a PING with every piece of data to measure the line. */
const CONTROL_EARNED_BY_BYTES = 200;

/** A visitor's session and the exchanges on it, with all that a visitor may not do too often or for too long. */
export class VisitorSession implements ServerSessionUser, ExchangeSession {
  readonly client: Client;
  readonly bodyBytes: number;
  readonly #deps: VisitorSessionDeps;
  readonly #session: ServerSession;
  readonly #control: Allowance;
  readonly #resets: Allowance;
  /** Streams whose rest is dropped, and from when on they are broken off (epoch ms). */
  readonly #dropped = new Map<Http2Stream, number>();
  /** Epoch ms; from then on a session without streams is given up. */
  #deadline: number;

  constructor(deps: VisitorSessionDeps) {
    this.#deps = deps;
    const { socket, client, limits, clock } = deps;
    this.client = client;
    this.bodyBytes = limits.bodyBytes === 0 ? Infinity : limits.bodyBytes;
    const now = clock.now();
    this.#control = new Allowance(
      {
        most: limits.http2ControlFrames,
        earnedInMs: CONTROL_EARNED_IN_MS,
        earnedByBytes: CONTROL_EARNED_BY_BYTES,
      },
      now,
    );
    const resets = { most: limits.http2Resets, earnedInMs: RESETS_FORGIVEN_IN_MS, earnedByBytes: Infinity };
    this.#resets = new Allowance(resets, now);
    this.#deadline = now + limits.keepAlive;
    this.#session = new ServerSession({
      ...{ socket, user: this, most: limits.http2Streams },
      ...{ headBytes: limits.headerBytes, headFields: limits.headerFields },
    });
  }

  /** No more streams; those under way go on. */
  drain(): void {
    const session = this.#session;
    if (session.over || session.leaving) return;
    if (session.streams.size === 0) session.fail(CODE.none);
    else session.sayGoodbye(CODE.none);
  }

  destroy(): void {
    this.#session.destroy();
  }

  /** Gives up what has been waited for long enough. */
  check(now: number): void {
    for (const [stream, until] of this.#dropped) {
      if (now >= until) stream.reset(CODE.none);
      if (stream.closed) this.#dropped.delete(stream);
    }
    const session = this.#session;
    // Where nothing waits for the visitor its job is watched.
    for (const stream of session.streams.values()) if (stream.pending > 0) stream.check(now);
    if (session.streams.size > 0) this.#deadline = now + this.#deps.limits.keepAlive;
    else if (now >= this.#deadline) session.fail(CODE.none);
  }

  // Told by the session.

  settled(): void {
    // Of no consequence: requests may come before.
  }

  request(stream: Http2Stream, block: FieldBlock, last: boolean): void {
    if (block.fault === "large") return this.#tooManyFields(stream);
    const read = block.fault === null ? readRequest(block, last) : null;
    if (read === null) {
      this.#deps.refuse(400, "This request is malformed (RFC 9113 §8.1.1).", this.client);
      return this.#session.fault(stream, CODE.protocol);
    }
    stream.idleMs = this.#deps.limits.idleTime;
    const exchange = new Http2Exchange(this, stream, read);
    if (exchange.head.method === "CONNECT" && exchange.fault === null) this.#deps.tunnel(exchange);
    else this.#deps.serve(exchange);
  }

  spend(what: Costly): boolean {
    const { bytesRead, bytesWritten } = this.#session.socket;
    const allowance = what === "reset" ? this.#resets : this.#control;
    return allowance.spend(this.#deps.clock.now(), bytesRead + bytesWritten);
  }

  closed(): void {
    this.#dropped.clear();
    this.#deps.closed(this);
  }

  // Told by exchanges.

  tooLarge(exchange: Http2Exchange): void {
    if (exchange.begun) return exchange.abort();
    const notice = this.#deps.refuse(413, "The body of this request is larger than the gate takes.", this.client);
    exchange.refuse(renderNotice(notice, "text"));
  }

  dropping(stream: Http2Stream): void {
    this.#dropped.set(stream, this.#deps.clock.now() + DISCARD_MS);
  }

  #tooManyFields(stream: Http2Stream): void {
    if (!this.spend("reset")) return this.#session.fail(CODE.calm);
    const notice = this.#deps.refuse(431, "The head of this request is larger than the gate takes.", this.client);
    const { status, fields, body } = renderNotice(notice, "text");
    stream.sendHead([":status", String(status), ...fields], false);
    const bytes = Buffer.from(body);
    stream.write({ bytes, at: 0, end: bytes.length }, true);
    if (!stream.closed) this.dropping(stream);
  }
}
