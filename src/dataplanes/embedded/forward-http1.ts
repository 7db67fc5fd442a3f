import http, { type ClientRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { openSocket } from "./dial.ts";
import { valuesOf } from "./exchange.ts";
import {
  ANSWERED,
  beginAnswer,
  failed,
  upstreamHead,
  upstreamPath,
  type Call,
  type Failure,
  type Outcome,
} from "./forward.ts";
import { pairsOf } from "./http1-exchange.ts";
import { sendSwitch } from "./switch-protocols.ts";
import { requestTrailers } from "./request-fields.ts";
import { responseTrailers } from "./response-fields.ts";
import { splice } from "./splice.ts";
import type { Target } from "./target.ts";

/** Repeating them changes nothing (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
/** Methods for which node sends no body unless told to; for all others it would start an empty chunked one. */
const BODILESS = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

/** Carries a call to a job that speaks HTTP/1.1, on a kept connection (`fresh`: on a new one). Upgrades get one of their own. */
export function forwardHttp1(call: Call, target: Target, fresh: boolean): Promise<Outcome> {
  if (target.forbidden !== null) return Promise.resolve(failed("connect_failed"));
  return new Promise((resolve) => {
    let request: ClientRequest;
    try {
      request = http.request(requestOptions(call, target, fresh));
    } catch {
      return resolve(failed("bad_request")); // a path or field that HTTP/1.1 cannot say
    }
    target.active += 1;
    new Attempt({ call, target, request, resolve }).start();
  });
}

function requestOptions(call: Call, target: Target, fresh: boolean): http.RequestOptions {
  const { exchange, context } = call;
  const { fields, host } = upstreamHead(call, target);
  const { address } = target;
  const connection =
    exchange.upgrade !== null
      ? { createConnection: () => openSocket(address) }
      : fresh
        ? { agent: false as const }
        : { agent: target.agent };
  return {
    ...("unix" in address ? { socketPath: address.unix } : { host: address.ip, port: address.port }),
    ...connection,
    method: exchange.head.method,
    path: upstreamPath(call),
    headers: ["Host", host, ...fields, ...framingFields(call)],
    maxHeaderSize: context.limits.headerBytes,
  };
}

function framingFields({ exchange }: Call): string[] {
  const { framing, upgrade, head } = exchange;
  if (upgrade !== null) return ["Connection", "Upgrade", "Upgrade", upgrade.protocol];
  const fields = exchange.expectsContinue ? ["Expect", "100-continue"] : [];
  if (framing.kind === "length") return [...fields, "Content-Length", framing.length];
  if (framing.kind === "none") return BODILESS.has(head.method) ? fields : [...fields, "Content-Length", "0"];
  const trailer = valuesOf(exchange.fields, "trailer").flatMap((value) => ["Trailer", value]);
  return [...fields, "Transfer-Encoding", "chunked", ...trailer];
}

interface AttemptInput {
  readonly call: Call;
  readonly target: Target;
  readonly request: ClientRequest;
  readonly resolve: (outcome: Outcome) => void;
}

/** One try at one endpoint: connecting → sending → answered or failed. */
class Attempt {
  readonly #input: AttemptInput;
  #connected = false;
  #answered = false;
  #over = false;
  #released = false;
  /** The protocol changed: two sockets are joined. */
  #joined = false;
  readonly #gone = () => this.#input.request.destroy();
  /** Why it was ended from here, where that is not what the socket's own error says. */
  #reason: Failure | null = null;

  constructor(input: AttemptInput) {
    this.#input = input;
  }

  start(): void {
    const { call, target, request } = this.#input;
    request.maxHeadersCount = 0; // bounded by bytes; a count would drop the rest in silence
    const timer = call.context.clock.after(target.connectMs, () => this.#giveUp("connect_timeout"));
    call.exchange.gone.addEventListener("abort", this.#gone, { once: true });
    request.on("error", (error: NodeJS.ErrnoException) => this.#failed(error));
    request.on("close", () => {
      timer[Symbol.dispose]();
      call.exchange.gone.removeEventListener("abort", this.#gone);
      this.#failed(null);
      if (!this.#joined) this.#release();
    });
    request.on("socket", (socket) => {
      const connected = () => {
        timer[Symbol.dispose]();
        if (!this.#over) this.#send();
      };
      if (socket.connecting) socket.once("connect", connected);
      else connected();
    });
    request.on("continue", () => call.exchange.proceed());
    request.on("information", ({ statusCode, rawHeaders }) => {
      if (statusCode !== 100) call.exchange.inform(statusCode, rawHeaders);
    });
    request.on("response", (response) => this.#answer(response));
    request.on("upgrade", (response, socket, head) => this.#upgrade(response, socket, head));
    if (call.exchange.gone.aborted) this.#gone();
  }

  #send(): void {
    const { call, request } = this.#input;
    const { body, framing, upgrade } = call.exchange;
    this.#connected = true;
    request.setTimeout(call.idleMs, () => this.#giveUp("idle_timeout"));
    if (framing.kind === "none" || upgrade !== null) {
      request.end();
      return;
    }
    if (body.readableEnded) return this.#end(); // HTTP/2 ends empty bodies before anybody reads them
    body.on("data", (chunk: Buffer) => (call.flow.bytesIn += chunk.length));
    body.once("end", () => this.#end());
    body.pipe(request, { end: false });
    // A head must not wait for its body: a visitor may send that only once it has heard of the job.
    setImmediate(() => {
      if (call.flow.bytesIn === 0 && !this.#over) request.flushHeaders();
    });
  }

  #end(): void {
    const { call, request } = this.#input;
    const trailers = requestTrailers(call.exchange, call.allowed);
    if (call.exchange.framing.kind === "chunked" && trailers.length > 0) request.addTrailers(pairsOf(trailers));
    request.end();
  }

  #answer(response: IncomingMessage): void {
    const { call, target } = this.#input;
    const { exchange, flow } = call;
    response.on("error", () => undefined); // `close` follows and tells whole from broken
    if (this.#over) return void response.destroy();
    const status = response.statusCode ?? 0;
    const fields = response.rawHeaders;
    const codings = valuesOf(fields, "transfer-encoding");
    if (codings.length > 1 || (codings[0] ?? "chunked").toLowerCase() !== "chunked") return this.#giveUp("bad_answer");
    let out;
    try {
      const trailers = codings.length > 0 && exchange.version !== "1.0" && exchange.head.method !== "HEAD";
      out = beginAnswer(call, target, { status, message: response.statusMessage ?? "", fields, trailers, only: false });
    } catch {
      return this.#giveUp("bad_answer");
    }
    this.#settle(ANSWERED);
    response.on("data", (chunk: Buffer) => (flow.bytesOut += chunk.length));
    response.once("end", () => exchange.finish(responseTrailers(response.rawTrailers)));
    response.once("close", () => {
      if (!response.complete) exchange.abort();
    });
    response.pipe(out, { end: false });
    // A head without a body yet must not wait for one: event streams start with silence.
    setImmediate(() => {
      if (flow.bytesOut === 0 && !response.readableEnded && !exchange.gone.aborted) exchange.flush();
    });
  }

  #upgrade(response: IncomingMessage, far: Socket, farHead: Buffer): void {
    const { call, target } = this.#input;
    const upgrade = call.exchange.upgrade;
    const sent = upgrade !== null && !this.#over && sendSwitch(call, target, response);
    if (upgrade === null || !sent) {
      far.destroy();
      return this.#giveUp("bad_answer");
    }
    this.#settle(ANSWERED);
    this.#joined = true;
    call.exchange.gone.removeEventListener("abort", this.#gone); // from here on each end tells the other by itself
    const joined = { near: upgrade.socket, far, nearHead: upgrade.take(), farHead };
    void splice({ ...joined, idleMs: call.idleMs, counted: call.flow }).then(() => this.#release());
  }

  #giveUp(reason: Failure): void {
    this.#reason ??= reason;
    if (this.#answered) this.#input.call.exchange.abort();
    this.#input.request.destroy();
    this.#failed(null);
  }

  #failed(error: NodeJS.ErrnoException | null): void {
    if (this.#over) {
      if (this.#answered) this.#drop();
      return;
    }
    const { call, request } = this.#input;
    if (this.#reason !== null) return this.#settle(failed(this.#reason, this.#connected ? "no" : "other"));
    if (!this.#connected) return this.#settle(failed("connect_failed", "other"));
    if (error?.code?.startsWith("HPE_") === true) return this.#settle(failed("bad_answer"));
    const { exchange } = call;
    const again = request.reusedSocket && exchange.framing.kind === "none" && IDEMPOTENT.has(exchange.head.method);
    this.#settle(failed("reset", again ? "same" : "no"));
  }

  /** The job answered and then stopped listening: what the visitor still sends has nowhere to go. */
  #drop(): void {
    const { exchange } = this.#input.call;
    exchange.body.unpipe(this.#input.request);
    if (exchange.upgrade === null) exchange.discard();
  }

  #settle(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#answered = outcome.kind === "answered";
    const { body } = this.#input.call.exchange;
    if (!this.#answered) body.unpipe(this.#input.request);
    this.#input.resolve(outcome);
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#input.target.active -= 1;
  }
}
