import type { Duplex } from "node:stream";
import type { RequestHead } from "../../model/index.ts";
import type { Client } from "./client.ts";

/** Header fields in one flat list: name, value, name, value. Order, repetition and spelling are those of the wire. */
export type Fields = readonly string[];

export type Framing = { readonly kind: "none" | "chunked" } | { readonly kind: "length"; readonly length: string };

export interface AnswerHead {
  readonly status: number;
  /** Reason phrase; HTTP/2 has none. */
  readonly message: string;
  readonly fields: Fields;
  /** Nothing follows, not even trailers: on HTTP/2 the head ends the stream (gRPC's "trailers-only"). */
  readonly only: boolean;
}

/** A visitor that wants its connection, or stream, for another protocol. */
export interface Upgrade {
  /** As sent: `websocket`; of CONNECT, empty. */
  readonly protocol: string;
  /** What came after the request's head, once; from then on nobody else reads the stream that `accept` gives. */
  take(): Buffer;
  /** Grants it, and gives the stream of the new protocol. Throws when a field cannot be sent; then nothing was. */
  accept(status: 101 | 200, fields: Fields): Duplex;
}

/** One request and its answer, whatever protocol the visitor speaks. Exactly one of `begin` … `finish` and `abort` ends it. */
export interface Exchange {
  readonly version: "1.0" | "1.1" | "2";
  readonly head: RequestHead;
  readonly client: Client;
  readonly fields: Fields;
  readonly framing: Framing;
  readonly expectsContinue: boolean;
  /** What is wrong with the request itself; such a one is answered and never looked up. */
  readonly fault: { readonly status: 400 | 413 | 431 | 501; readonly message: string } | null;
  /** The visitor asks to change protocols (CONNECT too); null: it does not. */
  readonly upgrade: Upgrade | null;
  /** Aborts when the visitor leaves before the exchange is whole. */
  readonly gone: AbortSignal;
  /** What `gone` says; asking costs nothing. */
  readonly left: boolean;
  /** The head of the answer is on its way: nothing else can be said any more but by `abort`. */
  readonly begun: boolean;
  /** 100 Continue. */
  proceed(): void;
  /** Any other 1xx but 101. */
  inform(status: number, fields: Fields): void;
  /** Sends the head of the answer. Throws when a field cannot be sent; then nothing was, and `begin` may be called again. */
  begin(answer: AnswerHead): void;
  /** Sends some of the body. false: not all of it is on its way yet. */
  write(chunk: Buffer): boolean;
  /** Ends the body, with trailers. */
  finish(trailers: Fields): void;
  /** What still comes of the request has nowhere to go: it is read and dropped for a while, then cut off. */
  discard(): void;
  /** Ends it so that nobody takes it for whole. `code`: of HTTP/2 (RFC 9113 §7), default INTERNAL_ERROR. */
  abort(code?: number): void;
  /** Calls once, when nothing more comes or goes. */
  onClose(call: () => void): void;
}

/** Interim answers of a job before the real one; more are an attack. */
export const INTERIM_MAX = 32;

/** How long the rest of a request that is answered already is listened to. */
export const DISCARD_MS = 10_000;

/** Calls for each field. */
export function eachField(fields: Fields, call: (name: string, value: string) => void): void {
  for (let at = 0; at + 1 < fields.length; at += 2) call(fields[at] ?? "", fields[at + 1] ?? "");
}

/** All values of a field, in order; `name` in lower case. */
export function valuesOf(fields: Fields, name: string): string[] {
  const values: string[] = [];
  eachField(fields, (key, value) => {
    if (key.length === name.length && key.toLowerCase() === name) values.push(value);
  });
  return values;
}

/** All values of a field as one list (RFC 9110 §5.2); undefined: there is none. */
export function joined(fields: Fields, name: string): string | undefined {
  const values = valuesOf(fields, name);
  return values.length === 0 ? undefined : values.join(",");
}
