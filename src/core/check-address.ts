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
  const bits = readIPv4(ip);
  if (bits === -1) return "malformed";
  const first = bits >>> 24;
  if (first === 127) return "loopback";
  if (first === 0 || first >= 224 || bits >>> 16 === 0xa9fe) return "forbidden";
  return "other";
}

// The address as 32 bits, or -1. Exactly four decimal numbers without leading zeros: some resolvers read those as octal, and the address
// that was checked would not be the address that is dialled.
function readIPv4(ip: string): number {
  let bits = 0;
  let octet = -1;
  let dots = 0;
  for (let at = 0; at < ip.length; at++) {
    const digit = ip.charCodeAt(at) - 48;
    if (digit === -2 && octet >= 0 && dots < 3) {
      bits = bits * 256 + octet;
      octet = -1;
      dots += 1;
      continue;
    }
    if (digit < 0 || digit > 9 || octet === 0) return -1;
    octet = octet === -1 ? digit : octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? bits * 256 + octet : -1;
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
