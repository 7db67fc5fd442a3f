import { BlockList, isIP } from "node:net";

/** Tells whether an address is in one of `networks` (`10.0.0.5`, `10.0.0.0/8`, `2001:db8::/32`); what is no address is in none. */
export function createNetworkCheck(networks: readonly string[]): (ip: string) => boolean {
  if (networks.length === 0) return () => false;
  const list = new BlockList();
  for (const text of networks) {
    const [ip = "", bits] = text.split("/");
    const family = familyOf(ip);
    list.addSubnet(ip, bits === undefined ? (family === "ipv4" ? 32 : 128) : Number(bits), family);
  }
  return (ip) => isIP(ip) !== 0 && list.check(ip, familyOf(ip));
}

function familyOf(ip: string): "ipv4" | "ipv6" {
  return isIP(ip) === 4 ? "ipv4" : "ipv6";
}
