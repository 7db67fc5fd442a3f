import { isIPv6 } from "node:net";

/** What a dialled address is: of this machine, one that is never dialled (and why), any other, or none at all. */
export type AddressKind = "other" | "loopback" | "forbidden" | "malformed";

// Where clouds answer with a machine's own credentials, beside the link-local ones.
const METADATA = new Set(["100.100.100.200", "168.63.129.16", "[fd00:ec2::254]"]);

/** Judges an IP address as text. */
export function addressKind(ip: string): AddressKind {
  if (METADATA.has(ip)) return "forbidden";
  return ip.includes(":") ? kindOfIPv6(ip) : kindOfIPv4(ip);
}

// RFC 6890: this network, loopback, link-local, multicast, reserved and broadcast.
function kindOfIPv4(ip: string): AddressKind {
  const parts = ip.length <= 15 ? ip.split(".") : [];
  if (parts.length !== 4) return "malformed";
  for (const part of parts) if (!isOctet(part)) return "malformed";
  const first = Number(parts[0]);
  if (first === 127) return "loopback";
  if (first === 0 || first >= 224 || (first === 169 && parts[1] === "254")) return "forbidden";
  return "other";
}

// No leading zeros: some resolvers read those as octal, and the address checked would not be the address dialled.
function isOctet(text: string): boolean {
  if (text.length === 0 || text.length > 3 || (text.length > 1 && text.startsWith("0"))) return false;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return false;
  }
  return Number(text) <= 255;
}

// Judged in its one canonical spelling (RFC 5952, by the URL standard's host serialiser), because 0:0::ffff:7f00:1 is 127.0.0.1 too.
function kindOfIPv6(ip: string): AddressKind {
  if (!isIPv6(ip) || ip.includes("%")) return "malformed";
  const canonical = new URL(`http://[${ip}]`).hostname;
  if (canonical === "[::1]") return "loopback";
  // ::/8 holds unspecified, IPv4-mapped and IPv4-compatible addresses; fe80::/10 is link-local, ff00::/8 multicast.
  if (/^\[(::|0:|fe[89ab]|ff)/.test(canonical) || METADATA.has(canonical)) return "forbidden";
  return "other";
}
