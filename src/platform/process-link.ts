import { ERROR_CODES, type ErrorCode, GatewayError } from "../model/index.ts";
import type { Clock } from "./clock.ts";

/** One end of a channel of messages between two processes, as `child_process` gives it: ordered, whole messages or none. */
export interface Channel {
  /** Throws never; what is sent to who is gone is lost. `handle`: of a socket or a server, given along. */
  send(message: unknown, handle?: unknown): void;
  /** Called once. */
  receive(take: (message: unknown, handle: unknown) => void): void;
}

/** A question's name with the types of what is asked and answered. */
export interface Question<Asked, Answer> {
  readonly name: string;
  readonly types?: (asked: Asked) => Answer;
}

/** A notice's name with the type of what it says. */
export interface Notice<Said> {
  readonly name: string;
  readonly types?: (said: Said) => void;
}

type Message =
  | readonly ["tell", name: string, body: unknown]
  | readonly ["ask", id: number, name: string, body: unknown]
  | readonly ["abort", id: number]
  | readonly ["answer", id: number, body: unknown]
  | readonly ["failed", id: number, code: string, message: string];

interface Pending {
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** Questions that may wait for an answer at once. */
const MAX_PENDING = 10_000;
/** Longest time for an answer. */
const ANSWER_MS = 30_000;
const LOST = "the other half of the gate is gone";

/** Answers `Asked`; the signal aborts when who asked does not want it any more. */
export type Answering<Asked, Answer> = (asked: Asked, signal: AbortSignal) => Promise<Answer>;

/**
 * Questions and notices over a channel, both ways: bodies are plain data. What is sent within one turn of the event loop goes as one
 * message. Disposing (or the other side's end) fails every question that waits with `unavailable`.
 */
export class ProcessLink implements Disposable {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #answering = new Map<string, Answering<unknown, unknown>>();
  readonly #hearing = new Map<string, (said: unknown, handle: unknown) => void>();
  readonly #pending = new Map<number, Pending>();
  readonly #serving = new Map<number, AbortController>();
  #queue: Message[] = [];
  #nextId = 1;
  #closed = false;

  constructor(channel: Channel, clock: Clock) {
    this.#channel = channel;
    this.#clock = clock;
    channel.receive((batch, handle) => {
      for (const message of batch as readonly Message[]) this.#take(message, handle);
    });
  }

  /** Throws what the other side threw if it is a GatewayError, `unavailable` (too many wait, no answer in 30 s, gone), the signal's reason. */
  async ask<Asked, Answer>(question: Question<Asked, Answer>, asked: Asked, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    if (this.#closed) throw new GatewayError("unavailable", LOST);
    if (this.#pending.size >= MAX_PENDING) throw new GatewayError("unavailable", "too much is asked at once");
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    const giveUp = (reason: unknown): void => {
      this.#send(["abort", id]);
      reject(reason);
    };
    const timer = this.#clock.after(ANSWER_MS, () => giveUp(new GatewayError("unavailable", "no answer in time")));
    const aborted = (): void => giveUp(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    this.#send(["ask", id, question.name, asked]);
    try {
      return (await promise) as Answer;
    } finally {
      this.#pending.delete(id);
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", aborted);
    }
  }

  /** `handle`: see `Channel.send`. Lost if the other side is gone. */
  tell<Said>(notice: Notice<Said>, said: Said, handle?: unknown): void {
    this.#send(["tell", notice.name, said], handle);
  }

  /** Who answers questions of this name; one for each. */
  answer<Asked, Answer>(question: Question<Asked, Answer>, answering: Answering<Asked, Answer>): void {
    this.#answering.set(question.name, answering as Answering<unknown, unknown>);
  }

  /** Who hears notices of this name; one for each. */
  hear<Said>(notice: Notice<Said>, hearing: (said: Said, handle: unknown) => void): void {
    this.#hearing.set(notice.name, hearing as (said: unknown, handle: unknown) => void);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    for (const { reject } of this.#pending.values()) reject(new GatewayError("unavailable", LOST));
    for (const controller of this.#serving.values()) controller.abort(new GatewayError("unavailable", LOST));
  }

  #send(message: Message, handle?: unknown): void {
    if (this.#closed) return;
    this.#queue.push(message);
    if (handle !== undefined) this.#flush(handle);
    else if (this.#queue.length === 1) setImmediate(() => this.#flush());
  }

  /** A handle goes with the last message of its batch; the other side gives it to each, and only that one wants it. */
  #flush(handle?: unknown): void {
    if (this.#closed || this.#queue.length === 0) return;
    const batch = this.#queue;
    this.#queue = [];
    if (handle === undefined) return this.#channel.send(batch);
    const last = batch.pop();
    if (batch.length > 0) this.#channel.send(batch);
    this.#channel.send([last], handle);
  }

  #take(message: Message, handle: unknown): void {
    switch (message[0]) {
      case "tell":
        this.#hearing.get(message[1])?.(message[2], handle);
        return;
      case "ask":
        void this.#serve(message[1], message[2], message[3]);
        return;
      case "abort":
        this.#serving.get(message[1])?.abort(new GatewayError("unavailable", "nobody waits for this any more"));
        return;
      case "answer":
        this.#pending.get(message[1])?.resolve(message[2]);
        return;
      case "failed":
        this.#pending.get(message[1])?.reject(failure(message[2], message[3]));
    }
  }

  async #serve(id: number, name: string, body: unknown): Promise<void> {
    const controller = new AbortController();
    this.#serving.set(id, controller);
    try {
      const answering = this.#answering.get(name);
      if (answering === undefined) throw new Error(`nobody answers ${name}`);
      this.#send(["answer", id, await answering(body, controller.signal)]);
    } catch (error) {
      if (controller.signal.aborted) return;
      const code = error instanceof GatewayError ? error.code : "";
      this.#send(["failed", id, code, error instanceof Error ? error.message : String(error)]);
    } finally {
      this.#serving.delete(id);
    }
  }
}

function failure(code: string, message: string): Error {
  const known = (ERROR_CODES as readonly string[]).includes(code);
  return known ? new GatewayError(code as ErrorCode, message) : new Error(message);
}
