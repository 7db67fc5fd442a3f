import type { Fields } from "../exchange.ts";
import { fieldName, type FieldKind, type FieldName } from "./field-name.ts";

/** Why a message is not taken, and with which status a request is refused for it. */
export class Refusal {
  readonly status: 400 | 408 | 413 | 414 | 431 | 501 | 505;
  /** For the log and for whoever sent it: names no bytes of the message. */
  readonly reason: string;

  constructor(status: Refusal["status"], reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

export interface HeadBounds {
  /** Fields of one section. */
  readonly fields: number;
  /** Bytes of one line, without its end. */
  readonly lineBytes: number;
}

/** Numbers for each field: where its line starts, where its value starts, where its value ends. */
const STRIDE = 3;

/** The fields of one head, in order: names read once, values left in the text until somebody asks. */
export class HeadFields {
  readonly text: string;
  readonly names: readonly FieldName[];
  /** Where the section ends: at the empty line. */
  readonly end: number;
  /** The same came before on this connection, and was given this same object. */
  repeated = false;
  readonly #spans: readonly number[];
  #flat: string[] | null = null;

  constructor(text: string, section: { names: readonly FieldName[]; spans: readonly number[]; end: number }) {
    this.text = text;
    this.names = section.names;
    this.end = section.end;
    this.#spans = section.spans;
  }

  get count(): number {
    return this.names.length;
  }

  value(index: number): string {
    const at = index * STRIDE;
    return this.text.slice(this.#spans[at + 1], this.#spans[at + 2]);
  }

  /** Where the field's line starts; for `count`, where the section ends. */
  lineStart(index: number): number {
    return index < this.names.length ? (this.#spans[index * STRIDE] ?? 0) : this.end;
  }

  /** The value of the first such field. */
  first(kind: FieldKind): string | undefined {
    for (let index = 0; index < this.names.length; index += 1) {
      if (this.names[index]?.kind === kind) return this.value(index);
    }
    return undefined;
  }

  /** As `RequestHead.header` promises: repeated fields joined. `lower`: the name in lower case. */
  joined(lower: string): string | undefined {
    let found: string | undefined;
    for (let index = 0; index < this.names.length; index += 1) {
      if (this.names[index]?.lower !== lower) continue;
      const value = this.value(index);
      found = found === undefined ? value : `${found}${lower === "cookie" ? "; " : ", "}${value}`;
    }
    return found;
  }

  /**
   * The lines as they came, but for those whose fate is another value, or null: gone. Each line ends with CRLF; what stays between two that
   * change is copied in one piece.
   */
  rewrite(fate: (name: FieldName, index: number) => string | null | undefined): string {
    let out = "";
    let from = -1;
    for (let index = 0; index < this.names.length; index += 1) {
      const name = this.names[index];
      if (name === undefined) break;
      const value = fate(name, index);
      if (value === undefined) {
        if (from < 0) from = this.lineStart(index);
        continue;
      }
      if (from >= 0) out += this.text.slice(from, this.lineStart(index));
      from = -1;
      if (value !== null) out += `${name.spelled}: ${value}\r\n`;
    }
    return from < 0 ? out : out + this.text.slice(from, this.end);
  }

  /** Name, value, name, value. */
  get flat(): Fields {
    if (this.#flat === null) {
      this.#flat = [];
      for (const [index, name] of this.names.entries()) this.#flat.push(name.spelled, this.value(index));
    }
    return this.#flat;
  }
}

const CR = 13;
const SPACE = 32;
const TAB = 9;

/** Control bytes but HTAB and the two of line ends, which are looked at line by line (RFC 9110 §5.5). */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

export function hasControl(text: string): boolean {
  return CONTROL.test(text);
}

/** Where the line that starts at `at` ends, before its CRLF; -1: by a bare CR or LF (RFC 9112 §2.2), or not at all. */
export function lineEnd(text: string, at: number): number {
  const cr = text.indexOf("\r", at);
  return cr >= 0 && text.indexOf("\n", at) === cr + 1 ? cr : -1;
}

/**
 * Reads field lines from `at` to the empty line (RFC 9112 §5), which `text` must hold. The text is known to be without control bytes.
 * Refuses obs-fold, space before the colon, names that are no tokens, bare CR and LF, and what is beyond the bounds.
 */
export function readFields(text: string, at: number, bounds: HeadBounds): HeadFields | Refusal {
  const names: FieldName[] = [];
  const spans: number[] = [];
  for (let start = at; ;) {
    const end = lineEnd(text, start);
    if (end < 0) return BARE_LINE_END;
    if (end === start) return new HeadFields(text, { names, spans, end });
    if (end - start > bounds.lineBytes) return LINE_TOO_LONG;
    if (names.length >= bounds.fields) return TOO_MANY;
    const colon = text.indexOf(":", start);
    const name = colon < 0 || colon > end ? null : fieldName(text.slice(start, colon));
    if (name === null) return badName(text, start);
    names.push(name);
    spans.push(start, skipSpace(text, colon + 1, end), trimSpace(text, colon + 1, end));
    start = end + 2;
  }
}

function skipSpace(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function trimSpace(text: string, from: number, end: number): number {
  let at = end;
  while (at > from && isSpace(text.charCodeAt(at - 1))) at -= 1;
  // A value of nothing but space starts and ends where its line does.
  return at === from ? end : at;
}

function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

function badName(text: string, start: number): Refusal {
  return isSpace(text.charCodeAt(start)) ? FOLDED : BAD_NAME;
}

/** True where a bare LF, or a CR that no LF can follow any more, is in a head that is not whole yet: it never will be. */
export function breaksLines(text: string): boolean {
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (at > 0 && text.charCodeAt(at - 1) !== CR) return true;
  }
  for (let at = text.indexOf("\r"); at >= 0; at = text.indexOf("\r", at + 1)) {
    if (at + 1 < text.length && text[at + 1] !== "\n") return true;
  }
  return false;
}

const BARE_LINE_END = new Refusal(400, "A line ends with a bare CR or LF.");
const LINE_TOO_LONG = new Refusal(431, "A header line is longer than the gate takes.");
const TOO_MANY = new Refusal(431, "There are more header fields than the gate takes.");
const FOLDED = new Refusal(400, "A header field goes on in the next line.");
const BAD_NAME = new Refusal(400, "A header line has no valid field name.");
