import { BlockList, isIP, isIPv6 } from "node:net";

/** What an address may be a target of, beside what no task ever is. */
export interface TargetRules {
  /** Tasks of this machine, and those whose source may name them. */
  readonly allowLoopback: boolean;
  /** Ports that the gate itself listens on. */
  readonly ownPorts: ReadonlySet<number>;
  /** Addresses of this machine's interfaces, loopback aside. */
  readonly ownAddresses: ReadonlySet<string>;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

// Addresses at which clouds hand out the credentials of the machine that asks.
const metadata = new BlockList();
metadata.addAddress("169.254.169.254", "ipv4");
metadata.addAddress("169.254.170.2", "ipv4"); // AWS, of a container
metadata.addAddress("100.100.100.200", "ipv4"); // Alibaba Cloud
metadata.addAddress("168.63.129.16", "ipv4"); // Azure
metadata.addAddress("192.0.0.192", "ipv4"); // Oracle Cloud
metadata.addAddress("fd00:ec2::254", "ipv6"); // AWS
metadata.addAddress("fd20:ce::254", "ipv6"); // Google Cloud

const linkLocal = new BlockList();
linkLocal.addSubnet("169.254.0.0", 16, "ipv4");
linkLocal.addSubnet("fe80::", 10, "ipv6");

const nowhere = new BlockList();
nowhere.addSubnet("0.0.0.0", 8, "ipv4"); // this network (RFC 6890)
nowhere.addSubnet("224.0.0.0", 3, "ipv4"); // multicast, reserved, broadcast
nowhere.addAddress("::", "ipv6");
nowhere.addSubnet("ff00::", 8, "ipv6"); // multicast

// IPv6 addresses that lead to an IPv4 one: what was checked would not be what is dialled.
const disguised = new BlockList();
disguised.addSubnet("::", 96, "ipv6"); // IPv4-compatible (RFC 4291, 2.5.5.1)
disguised.addSubnet("64:ff9b::", 96, "ipv6"); // NAT64 (RFC 6052)
disguised.addSubnet("64:ff9b:1::", 48, "ipv6"); // NAT64 of a site (RFC 8215)
disguised.addSubnet("2001::", 32, "ipv6"); // Teredo (RFC 4380)
disguised.addSubnet("2002::", 16, "ipv6"); // 6to4 (RFC 3056)

const NEVER: readonly (readonly [BlockList, string])[] = [
  [metadata, "is where a cloud hands out its machines' credentials"],
  [linkLocal, "is a link-local address"],
  [nowhere, "is unspecified, multicast or reserved"],
  [disguised, "is an IPv4 address in IPv6 spelling; write it as IPv4"],
];

/** ::ffff:0:0/96 (RFC 4291, 2.5.5.2) in the URL standard's one spelling. A BlockList takes such addresses for what they map. */
const MAPPED = /^::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}$/;

/**
 * Why nothing of the gate may dial `ip` and `port` for a task, in words that follow the address; null: it may. Addresses are judged in
 * whatever spelling they come.
 */
export function refuseTarget(ip: string, port: number, rules: TargetRules): string | null {
  const version = isIP(ip);
  if (version === 0 || ip.includes("%")) return "is no IP address";
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return "has no port from 1 to 65535";
  const plain = canonicalIp(ip);
  if (MAPPED.test(plain)) return "is an IPv4 address in IPv6 spelling; write it as IPv4";
  const family = version === 6 ? "ipv6" : "ipv4";
  if (loopback.check(plain, family)) return refuseLoopback(port, rules);
  const never = NEVER.find(([list]) => list.check(plain, family));
  if (never !== undefined) return never[1];
  return rules.ownPorts.has(port) && isOwn(plain, rules) ? "is the gate's own" : null;
}

function refuseLoopback(port: number, rules: TargetRules): string | null {
  if (!rules.allowLoopback) return "is this machine's loopback";
  return rules.ownPorts.has(port) ? "is the gate's own" : null;
}

function isOwn(plain: string, rules: TargetRules): boolean {
  for (const own of rules.ownAddresses) {
    if (isIP(own) !== 0 && canonicalIp(own) === plain) return true;
  }
  return false;
}

/** Whether only programs of this machine reach a host: a loopback address in any spelling, or `localhost`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || (isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4"));
}

/** The one spelling of an IP address: RFC 5952 for IPv6, as the URL standard's serialiser writes it. `ip` must be one, without zone. */
export function canonicalIp(ip: string): string {
  return isIPv6(ip) ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip;
}
