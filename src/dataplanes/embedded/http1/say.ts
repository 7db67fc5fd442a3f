import type { HeaderFields } from "../../../model/index.ts";
import type { Fields } from "../exchange.ts";
import { statusText } from "./names.ts";

/** Field lines, each with its end. */
export function fieldsText(fields: Fields): string {
  let text = "";
  for (let at = 0; at + 1 < fields.length; at += 2) text += `${fields[at] ?? ""}: ${fields[at + 1] ?? ""}\r\n`;
  return text;
}

export function statusLine(status: number, message: string): string {
  return `HTTP/1.1 ${String(status)} ${message === "" ? statusText(status) : message}\r\n`;
}

export function startOfChunk(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** What comes before the trailers. */
export const LAST_CHUNK = "0\r\n";

let date = "";
let dateUntil = 0;

/** The value of Date for answers that have none (RFC 9110 §6.6.1); made once a second. */
export function dateText(): string {
  const now = Date.now();
  if (now >= dateUntil) {
    dateUntil = now - (now % 1000) + 1000;
    date = new Date(now).toUTCString();
  }
  return date;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const UNSAYABLE = /[^\t\x20-\x7e\x80-\xff]/;

/** Whether HTTP, of any version, has a way to say this field (RFC 9110 §5). */
export function isSayable(name: string, value: string): boolean {
  return TOKEN.test(name) && !UNSAYABLE.test(value);
}

/** Whether all that the gatekeeper puts in can be said: it may hold anything. */
export function areSayable(fields: HeaderFields): boolean {
  for (const [name, value] of fields) if (!isSayable(name, value)) return false;
  return true;
}

/** Throws at the first field that cannot be said. */
export function checkSayable(fields: Fields): void {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? "";
    if (!isSayable(name, fields[at + 1] ?? "")) throw new Error(`HTTP cannot say the field ${name}`);
  }
}
