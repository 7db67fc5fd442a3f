import { type Colors, printable } from "../terminal.ts";
import type { Finding } from "./finding.ts";

/** For people: a line, more where the message has more, and what to do. */
export function formatFinding(finding: Finding, colors: Colors): string {
  const paint = { ok: colors.green, warn: colors.yellow, fail: colors.red };
  const indented = (text: string): string => text.split("\n").map(printable).join("\n        ");
  const line = `${paint[finding.level](finding.level.padEnd(4))}  ${finding.name}: ${indented(finding.message)}`;
  return finding.remedy === null ? line : `${line}\n      ${colors.dim("Try:")} ${indented(finding.remedy)}`;
}
