import type { Fields, Framing } from "../exchange.ts";
import { parseTarget, type Target } from "../request-head.ts";
import type { FieldBlock } from "./hpack/decoder.ts";

/** A request's head, as far as RFC 9113 is kept. */
export interface RequestRead {
  readonly method: string;
  /** Of extended CONNECT (RFC 8441); null: it is none. */
  readonly protocol: string | null;
  /** Whom it is for, and what; where that cannot be made out, why. */
  readonly target: Target;
  /** Without pseudo fields. */
  readonly fields: Fields;
  readonly framing: Framing;
  readonly expectsContinue: boolean;
  /** The same object stands for every request with this head. */
  readonly repeated: boolean;
}

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** As HTTP/1.1 may say it to a job. */
const PATH = /^[\x21-\x7e\x80-\xff]+$/;
/** RFC 3986 §3.1. */
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
const LENGTH = /^\d{1,15}$/;
/** Fields that HTTP/2 has no use for. */
export const OF_ONE_CONNECTION: ReadonlySet<string> = new Set([
  ...["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"],
]);
const NONE: Framing = Object.freeze({ kind: "none" });
const OPEN: Framing = Object.freeze({ kind: "chunked" });

/** Heads that come again and again on a connection are read once: of whole requests, and of those that a body follows. */
const known = {
  whole: new WeakMap<FieldBlock, RequestRead | null>(),
  open: new WeakMap<FieldBlock, RequestRead | null>(),
};

/** null: it is malformed (RFC 9113 §8.1.1). `last`: nothing follows. */
export function readRequest(block: FieldBlock, last: boolean): RequestRead | null {
  if (!block.again) return new RequestReader(block.fields, last).read();
  const before = last ? known.whole : known.open;
  let read = before.get(block);
  if (read === undefined) before.set(block, (read = new RequestReader(block.fields, last).read(true)));
  return read;
}

class RequestReader {
  readonly #all: Fields;
  readonly #last: boolean;
  #method: string | null = null;
  #scheme: string | null = null;
  #authority: string | null = null;
  #path: string | null = null;
  #protocol: string | null = null;
  readonly #fields: string[] = [];
  readonly #hosts: string[] = [];
  #length: string | null = null;
  #expects = false;

  constructor(all: Fields, last: boolean) {
    this.#all = all;
    this.#last = last;
  }

  read(repeated = false): RequestRead | null {
    for (let at = 0; at + 1 < this.#all.length; at += 2) {
      if (!this.#take(this.#all[at] ?? "", this.#all[at + 1] ?? "")) return null;
    }
    const method = this.#method;
    if (method === null || !METHOD.test(method) || !this.#isComplete(method)) return null;
    const framing = this.#framing();
    if (framing === null) return null;
    const target = this.#target(method);
    const [protocol, fields, expectsContinue] = [this.#protocol, this.#fields, this.#expects];
    return { method, protocol, target, fields, framing, expectsContinue, repeated };
  }

  #take(name: string, value: string): boolean {
    return name.startsWith(":") ? this.#fields.length === 0 && this.#pseudo(name, value) : this.#field(name, value);
  }

  /** RFC 9113 §8.3.1: each once. */
  #pseudo(name: string, value: string): boolean {
    switch (name) {
      case ":method":
        if (this.#method !== null) return false;
        this.#method = value;
        return true;
      case ":scheme":
        if (this.#scheme !== null) return false;
        this.#scheme = value;
        return true;
      case ":authority":
        if (this.#authority !== null) return false;
        this.#authority = value;
        return true;
      case ":path":
        if (this.#path !== null) return false;
        this.#path = value;
        return true;
      case ":protocol":
        if (this.#protocol !== null) return false;
        this.#protocol = value;
        return true;
      default:
        return false;
    }
  }

  #field(name: string, value: string): boolean {
    this.#fields.push(name, value);
    if (OF_ONE_CONNECTION.has(name)) return false; // RFC 9113 §8.2.2
    switch (name) {
      case "te":
        return value === "trailers";
      case "content-length":
        if (this.#length !== null || !LENGTH.test(value)) return false;
        this.#length = value;
        return true;
      case "host":
        this.#hosts.push(value);
        return true;
      case "expect":
        if (value.toLowerCase() === "100-continue") this.#expects = true;
        return true;
      default:
        return true;
    }
  }

  /** RFC 9113 §8.3.1 and §8.5, RFC 8441 §4. */
  #isComplete(method: string): boolean {
    const path = this.#path;
    if (path !== null && !PATH.test(path)) return false;
    if (method === "CONNECT" && this.#protocol === null) {
      return this.#scheme === null && path === null && this.#authority !== null;
    }
    if (this.#protocol !== null && method !== "CONNECT") return false;
    return this.#scheme !== null && SCHEME.test(this.#scheme) && path !== null;
  }

  /** `:authority` takes the place of Host; where both are, they must agree. */
  #target(method: string): Target {
    const authority = this.#authority;
    if (authority !== null && this.#hosts.some((host) => host.toLowerCase() !== authority.toLowerCase())) {
      return { ok: false, message: "The authority and Host disagree." };
    }
    const named = authority === null ? this.#fields : ["host", authority];
    const path = this.#path ?? "/";
    // What is asked of a job by extended CONNECT is what GET would ask of it.
    const asked = this.#protocol === null ? method : "GET";
    if (!path.startsWith("/") && path !== "*") return { ok: false, message: "The path must start with a slash." };
    return parseTarget(asked, path, named);
  }

  /** null: there is to be a body, and none comes. */
  #framing(): Framing | null {
    if (this.#last) return this.#length === null || Number(this.#length) === 0 ? NONE : null;
    return this.#length === null ? OPEN : { kind: "length", length: this.#length };
  }
}
