import type { RunRequest } from "../api/wire.ts";
import { SCOPE_ACTIONS, type ScopeAction } from "../model/index.ts";
import { CommandFailure, EXIT } from "./failure.ts";

/** Values of options and arguments. All throw `CommandFailure` with the usage exit code, naming what was given and what was expected. */

export const PROTOCOLS = Object.freeze(["http", "grpc", "tcp", "tls"] as const);

/** `web=http`, `web=http:8888`. */
export function parseService(text: string): RunRequest["services"][number] {
  const [, name = "", protocol = "", port] = /^([^=:]*)=([^:]*)(?::(.*))?$/.exec(text) ?? [];
  if (name === "")
    throw usage(`--service: "${text}" is no service`, "NAME=PROTOCOL or NAME=PROTOCOL:PORT, such as web=http");
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw usage(
      `--service: "${name}" is no service name`,
      "lower-case letters, digits and dashes, 32 at most, such as web",
    );
  }
  const known = PROTOCOLS.find((each) => each === protocol);
  if (known === undefined) throw usage(`--service: "${protocol}" is no protocol`, `one of ${PROTOCOLS.join(", ")}`);
  return port === undefined ? { name, protocol: known } : { name, protocol: known, port: parsePort(port, "--service") };
}

const POLICIES = ["authorization", "assertion", "frame", "allowedOrigins"] as const;

/** `authorization=app`; what a value may be is the gate's to say. */
export function parsePolicy(text: string): NonNullable<RunRequest["policy"]> {
  const [, key = "", value = ""] = /^(\w+)=(.+)$/s.exec(text) ?? [];
  if (!POLICIES.some((each) => each === key)) {
    throw usage(`--policy: "${text}" is no policy`, `KEY=VALUE, with one of ${POLICIES.join(", ")}`);
  }
  return { [key]: key === "allowedOrigins" ? value.split(",") : value };
}

/** 1 to 65535; `where` is the option or argument, for the failure. */
export function parsePort(text: string, where: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw usage(`${where}: "${text}" is no port`, "1 to 65535");
  return port;
}

/** A whole number within the range; `where` as above. */
export function parseCount(text: string, where: string, range: { readonly from: number; readonly to: number }): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (!(count >= range.from && count <= range.to)) {
    throw usage(`${where}: "${text}" is no number that fits`, `${range.from} to ${range.to}`);
  }
  return count;
}

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `500ms`, `60s`, `15m`, `8h`, `30d` → ms: what config takes, and a bare number is refused, for nobody knows its unit. */
export function parseDuration(text: string, where: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text) ?? [];
  if (digits === "")
    throw usage(`${where}: "${text}" is no duration`, "a number with its unit, such as 500ms, 60s, 15m, 8h or 30d");
  return Number(digits) * MS[unit as keyof typeof MS];
}

/** `2h` (ago), or a date as ISO 8601 has it, in local time unless it says otherwise → epoch ms. */
export function parseWhen(text: string, where: string): number {
  if (/^\d+[a-z]+$/.test(text)) return Date.now() - parseDuration(text, where);
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text.length === 10 ? `${text}T00:00` : text) : NaN;
  if (Number.isNaN(at) || at < 0)
    throw usage(`${where}: "${text}" is no time`, "such as 30m, 2h, 7d or 2026-01-31T12:00");
  return at;
}

/** `2h`, `never`: as it was said, which the API takes. */
export function parseIdleStop(text: string): string {
  if (text !== "never") parseDuration(text, "--idle-stop");
  return text;
}

/** How long a token is good: what the API takes. */
export function parseLifetime(text: string, where: string): number {
  const lifetimeMs = parseDuration(text, where);
  if (lifetimeMs < MS.s || lifetimeMs > 3650 * MS.d) throw usage(`${where}: "${text}" does not fit`, "1s to 3650d");
  return lifetimeMs;
}

/** `connect,read`. */
export function parseActions(text: string): readonly ScopeAction[] {
  return text.split(",").map((word) => {
    const action = SCOPE_ACTIONS.find((each) => each === word.trim());
    if (action === undefined) throw usage(`--scope: "${word}" is no action`, SCOPE_ACTIONS.join(", "));
    return action;
  });
}

/** `--access` as people say it, and as the API does. */
export const ACCESS = Object.freeze({ owner: "nobody", authenticated: "authenticated", public: "public" } as const);

/** `NAME` or `NAME/SERVICE`; also `PROVIDER/TASK/SERVICE`, the whole key. */
export interface Target {
  /** Task name, or `PROVIDER/TASK`. */
  readonly task: string;
  readonly service: string | undefined;
}

/** `NAME`, `NAME/SERVICE` or `PROVIDER/TASK/SERVICE`. */
export function parseTarget(text: string): Target {
  const parts = text.split("/");
  const [first = "", second, third] = parts;
  if (parts.length > 3 || parts.some((part) => part === "")) {
    throw usage(`"${text}" names no service`, "NAME, NAME/SERVICE or PROVIDER/TASK/SERVICE");
  }
  return third === undefined ? { task: first, service: second } : { task: `${first}/${second ?? ""}`, service: third };
}

/** One thing that `forward` carries; `localPort` 0: any free one. */
export interface ForwardPair {
  readonly target: Target;
  readonly localPort: number;
}

/** 0: any free one. */
function parseLocalPort(text: string, where: string): number {
  return text === "0" ? 0 : parsePort(text, where);
}

/** `NAME[/SERVICE] [LOCALPORT]`, or several `NAME[/SERVICE]:LOCALPORT`. */
export function parseForwards(words: readonly string[]): readonly ForwardPair[] {
  const [first = "", second] = words;
  if (words.length === 2 && second !== undefined && /^\d+$/.test(second) && !first.includes(":")) {
    return [{ target: parseTarget(first), localPort: parseLocalPort(second, "LOCALPORT") }];
  }
  return words.map((word) => {
    const [, name = "", port] = /^([^:]*)(?::(.*))?$/.exec(word) ?? [];
    if (name === "") throw usage(`"${word}" names nothing to forward`, "NAME[/SERVICE] or NAME[/SERVICE]:LOCALPORT");
    return { target: parseTarget(name), localPort: port === undefined ? 0 : parseLocalPort(port, word) };
  });
}

function usage(message: string, expected: string): CommandFailure {
  return new CommandFailure(EXIT.usage, `${message}; expected ${expected}`);
}
