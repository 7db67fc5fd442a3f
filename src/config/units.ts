import { isIP } from "node:net";
import { z } from "zod";

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

// Digits are bounded, so that every duration and size is an exact number.
const DURATION = /^\d{1,9}(ms|s|m|h|d)$/;
const SIZE = /^\d{1,6}(B|KiB|MiB|GiB)$/;

/** Of a text that has the form of a duration, ms. */
export function parseDuration(text: string): number {
  return parseInt(text, 10) * MS[text.replace(/^\d+/, "") as keyof typeof MS];
}

function parseSize(text: string): number {
  return parseInt(text, 10) * BYTES[text.replace(/^\d+/, "") as keyof typeof BYTES];
}

/** Text of a form; the same error for another type. `title` is what the reference calls it. */
function textLike(title: string, pattern: RegExp, error: string) {
  return z.string({ error }).regex(pattern, { abort: true, error }).meta({ title });
}

/**
 * `150ms`, `30s`, `15m`, `8h`, `30d` → ms, within bounds that are spelt the same way. Timers in Node take up to 24 days; a longer one
 * would fire at once.
 */
export function duration(shortest: string, longest: string) {
  const [from, to] = [parseDuration(shortest), parseDuration(longest)];
  return textLike("duration", DURATION, "expected a duration such as 500ms, 30s, 15m, 8h or 30d")
    .transform(parseDuration)
    .refine((ms) => ms >= from && ms <= to, { error: `expected a duration from ${shortest} to ${longest}` });
}

/** `512B`, `64KiB`, `1MiB` → bytes, within bounds that are spelt the same way. */
export function size(smallest: string, largest: string) {
  const [from, to] = [parseSize(smallest), parseSize(largest)];
  return textLike("size", SIZE, "expected a size such as 512B, 64KiB, 10MiB or 1GiB")
    .transform(parseSize)
    .refine((bytes) => bytes >= from && bytes <= to, { error: `expected a size from ${smallest} to ${largest}` });
}

/** A whole number within bounds. */
export function count(least: number, most: number) {
  const error = `expected a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

const SHARE_ERROR = "expected a number from 0 to 1";

/** 0: none; 1: all. */
export const share = z.number({ error: SHARE_ERROR }).min(0, { error: SHARE_ERROR }).max(1, { error: SHARE_ERROR });

/** true or false, and nothing that looks like it. */
export const flag = z.boolean({ error: "expected true or false" });

/** Where something listens. */
export interface HostPort {
  /** An IP address without brackets, or `localhost`. */
  readonly host: string;
  /** 0 means any free one. */
  readonly port: number;
}

const HOST_PORT_ERROR = "expected IP:PORT, such as 127.0.0.1:7080 or [::1]:7080";

/** `127.0.0.1:7080`, `[::1]:7080`, `0.0.0.0:443`. */
export const hostPort = textLike("IP:PORT", /^(\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost):\d{1,5}$/, HOST_PORT_ERROR)
  .transform((text): HostPort => {
    const at = text.lastIndexOf(":");
    return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
  })
  .refine((value) => value.host === "localhost" || isIP(value.host) !== 0, { error: HOST_PORT_ERROR })
  .refine((value) => value.port <= 65_535, { error: "port must be 0 to 65535" });

/** `10.0.0.5`, `2001:db8::5`. */
export const ipAddress = z
  .string({ error: "expected an IP address, such as 10.0.0.5" })
  .refine((text) => isIP(text) !== 0, { error: "expected an IP address, such as 10.0.0.5" });

/** Whether two addresses cannot both be listened on. */
export function clash(a: HostPort, b: HostPort): boolean {
  const wildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";
  return a.port !== 0 && a.port === b.port && (a.host === b.host || wildcard(a.host) || wildcard(b.host));
}

const NETWORK_ERROR = "expected an address or a network, such as 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32";

/** `10.0.0.5`, `10.0.0.0/8`, `2001:db8::/32`. */
export const network = textLike("IP or IP/BITS", /^[0-9a-fA-F:.]+(\/\d{1,3})?$/, NETWORK_ERROR).refine(
  (text) => {
    const [ip = "", bits = "0"] = text.split("/");
    return isIP(ip) !== 0 && Number(bits) <= (isIP(ip) === 4 ? 32 : 128);
  },
  { error: NETWORK_ERROR },
);

/** Up to 1000 of them, none by default. */
export const networks = z.array(network).max(1000).prefault([]);

/** Ports from one to another. */
export interface PortRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** `20000-20999`. */
export const portRange = textLike("FROM-TO", /^\d{1,5}-\d{1,5}$/, "expected FROM-TO, such as 20000-20999")
  .transform((text): PortRange => {
    const [from = "", to = ""] = text.split("-");
    return { from: Number(from), to: Number(to) };
  })
  .refine((range) => range.from >= 1 && range.from <= range.to && range.to <= 65_535, {
    error: "expected 1 ≤ FROM ≤ TO ≤ 65535",
  });

/** A host name in lower case, without port. */
export const hostName = textLike(
  "host name",
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
  "expected a host name in lower case, such as localhost or apps.example.com",
).refine((name) => isIP(name) === 0, { error: "expected a name, not an IP address" });

/** Title of the keys whose relative paths loading makes absolute. */
export const FILE_TITLE = "file";

/** Path of a file. What is relative is so to the config file that says it, else to the working directory. */
export const filePath = textLike(FILE_TITLE, /^[^\0\n]+$/, "expected the path of a file");
