import { BlockList, isIP } from "node:net";

/** Who can reach an address: this machine, a network of somebody's own, anybody. `name`: it is a host name, which may be either. */
export type AddressKind = "loopback" | "private" | "public" | "name";

/** RFC 1918, RFC 4193, RFC 6598 and link-local ones. */
const PRIVATE = blockList([
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
  ["fc00::", 7],
  ["fe80::", 10],
]);
const LOOPBACK = blockList([
  ["127.0.0.0", 8],
  ["::1", 128],
]);

/** What kind of address it is, by its number alone. */
export function addressKind(address: string): AddressKind {
  const version = isIP(address);
  if (version === 0) return "name";
  const family = version === 4 ? "ipv4" : "ipv6";
  if (LOOPBACK.check(address, family)) return "loopback";
  return PRIVATE.check(address, family) ? "private" : "public";
}

function blockList(networks: readonly (readonly [network: string, prefix: number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, isIP(network) === 4 ? "ipv4" : "ipv6");
  return list;
}
