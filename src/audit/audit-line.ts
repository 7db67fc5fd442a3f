import { hash } from "node:crypto";
import type { AuditEntry } from "../model/index.ts";

/** Longest text of a field; visitors choose paths and hosts. */
const LONGEST_TEXT = 1024;
/** Longest form of `before` and `after`. */
const LONGEST_VALUE = 16_384;

/** Beside what JSON escapes: what moves a cursor, turns text around or breaks lines for some reader. */
const UNSAFE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** The link of the first line of all. */
export const CHAIN_START = "0".repeat(32);
const CHAIN = /,"chain":"([0-9a-f]{32})"\}$/;

/** One line without its link and its end: JSON of ASCII controls and bidi controls all escaped. `now`: epoch ms. */
export function lineOf(entry: AuditEntry, now: number): string {
  const { start, end, kind, event, outcome, ...rest } = entry;
  const times = {
    ...(start === undefined ? {} : { start: timeText(start) }),
    ...(end === undefined ? {} : { end: timeText(end) }),
  };
  const text = JSON.stringify({ time: timeText(now), kind, event, outcome, ...rest, ...times }, clamp);
  return text.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The line with its link to the one before, and that link. Whoever changes, adds or removes a line makes wrong all links after. */
export function chainTo(before: string, line: string): { readonly chain: string; readonly text: string } {
  const chain = linkOf(before, line);
  return { chain, text: `${line.slice(0, -1)},"chain":"${chain}"}` };
}

/** The link that a line of a file holds, and whether it follows from `before`; null: it is no whole line of ours. */
export function readLink(
  text: string,
  before: string | null,
): { readonly chain: string; readonly holds: boolean } | null {
  const chain = CHAIN.exec(text)?.[1];
  if (chain === undefined) return null;
  return { chain, holds: before === null || linkOf(before, text.replace(CHAIN, "}")) === chain };
}

function linkOf(before: string, line: string): string {
  return hash("sha256", `${before}${line}`).slice(0, 32);
}

function timeText(at: number): string {
  return new Date(at).toISOString();
}

function clamp(key: string, value: unknown): unknown {
  if (typeof value === "string" && value.length > LONGEST_TEXT)
    return `${value.slice(0, LONGEST_TEXT).toWellFormed()}…`;
  const isChange = key === "before" || key === "after";
  if (isChange && value !== undefined && JSON.stringify(value).length > LONGEST_VALUE) return "too long to be kept";
  return value;
}
