import { isIPv6 } from "node:net";

/** An IPv4 address as a listener of IPv6 spells it (RFC 4291 §2.5.5.2). */
const MAPPED = "::ffff:";

/** Whom a bound per client is about: an IPv4 address; of IPv6 the /64, which is what one subscriber or machine is given. */
export function clientKey(peer: string): string {
  if (!peer.includes(":")) return peer;
  if (peer.startsWith(MAPPED) && peer.includes(".")) return peer.slice(MAPPED.length);
  if (!isIPv6(peer)) return peer;
  const [before = "", after = ""] = peer.replace(/%.*/s, "").split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === "" ? [] : after.split(":");
  // Of eight groups; one that is an IPv4 address in its own spelling stands for two.
  const missing = 8 - head.length - tail.length - (peer.includes(".") ? 1 : 0);
  const groups = peer.includes("::") ? [...head, ...Array<string>(Math.max(0, missing)).fill("0"), ...tail] : head;
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
