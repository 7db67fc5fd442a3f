import type { AuditLine } from "../model/index.ts";
import { printable, type Colors } from "./terminal.ts";

/** One line of the audit log for people: when, what became of it, who, what, from where, how much. */
export function formatAuditLine(line: AuditLine, colors: Colors): string {
  const when = line.time.slice(0, 19).replace("T", " ");
  const outcome = paint(line, colors)(line.code === undefined ? line.outcome : `${line.outcome} (${line.code})`);
  const event = line.event === "once" ? line.kind : `${line.kind} ${line.event}`;
  const parts = [colors.dim(when), event, outcome, who(line), what(line), from(line), figures(line)];
  const text = parts.filter((part) => part !== "").join("  ");
  return line.reason === undefined ? text : `${text}  ${printable(line.reason)}`;
}

function paint({ outcome }: AuditLine, colors: Colors): (text: string) => string {
  return outcome === "allowed" ? colors.green : outcome === "refused" ? colors.red : colors.yellow;
}

function who({ realm, user, proof, credential }: AuditLine): string {
  if (user === undefined) return "nobody known";
  const name = realm === undefined ? user : `${realm}/${user}`;
  const how = [proof, credential].filter((part) => part !== undefined).join(" ");
  return printable(how === "" ? name : `${name} (${how})`);
}

function what({ operation, object, service, host, method, path }: AuditLine): string {
  const place = path === undefined || service === undefined ? (service ?? host) : service;
  const request = [method, path].filter((part) => part !== undefined).join(" ");
  return [operation, object, place, request]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => printable(part ?? ""))
    .join(" ");
}

function from({ peer }: AuditLine): string {
  return peer === undefined ? "" : `from ${printable(peer)}`;
}

function figures({ requests, errors, bytesIn, bytesOut, start, end }: AuditLine): string {
  const parts: string[] = [];
  if (requests !== undefined) parts.push(`${String(requests)} request${requests === 1 ? "" : "s"}`);
  if (errors !== undefined && errors > 0) parts.push(`${String(errors)} failed`);
  if (bytesIn !== undefined || bytesOut !== undefined) {
    parts.push(`${bytesText(bytesIn ?? 0)} in`, `${bytesText(bytesOut ?? 0)} out`);
  }
  if (start !== undefined && end !== undefined && end !== start)
    parts.push(lengthText(Date.parse(end) - Date.parse(start)));
  return parts.join(", ");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? String(value) : value.toFixed(1)} ${UNITS[power] ?? ""}`;
}

function lengthText(ms: number): string {
  return ms < 1000 ? `${String(ms)} ms` : `${String(Math.round(ms / 1000))} s`;
}
