import { isIP } from "node:net";
import type { RequestHead, Site } from "../model/index.ts";

/** Tells jobs, and the gate's own API, which front asked for the visitor; no visitor's word for it stays. */
export const FRONT_HEADER = "x-taskgate-front";

/** Fronts before a plane, whose word for whom they ask counts. */
export interface Fronts {
  /** Their addresses and networks. */
  readonly from: readonly string[];
  /** How many stand one behind the other, 1 or more. */
  readonly hops: number;
}

/**
 * For whom a front asks, by the X-Forwarded-For that it sent: as each front adds who connected to it, the last of `hops` entries counts from the
 * end. What stands before it is the visitor's own word. Where there is no such entry, or it is no address, that is the front itself.
 */
export function visitorOf(front: string, chain: string | undefined, hops: number): string {
  const entries = (chain ?? "").split(",");
  const ip = plainIp(entries.at(-hops)?.trim() ?? "");
  return isIP(ip) === 0 ? front : ip;
}

/** Whether a front says of its visitor that it speaks plain HTTP, where visitors are to speak TLS: the last word of X-Forwarded-Proto. */
export function camePlain(head: RequestHead, { secure }: Pick<Site, "secure">): boolean {
  if (!secure || head.front === undefined) return false;
  return head.header("x-forwarded-proto")?.split(",").at(-1)?.trim().toLowerCase() === "http";
}

function plainIp(ip: string): string {
  return ip.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
}
