/** Where everything of one cluster is; all of it follows from its name and number. */
export interface Plan {
  readonly name: string;
  /** Tells the addresses of clusters on this machine apart: 0 to 9. */
  readonly number: number;
  /** Folder of all that it keeps, and of no one else. */
  readonly folder: string;
  /** This machine's network interface to it. */
  readonly link: string;
  /** This machine's address on that interface: what pods reach this machine at. */
  readonly hostAddress: string;
  /** The node's. NodePorts and the API are there. */
  readonly nodeAddress: string;
  readonly nodeRange: string;
  readonly podRange: string;
  readonly serviceRange: string;
  /** The API's ClusterIP. */
  readonly apiAddress: string;
  /** The ClusterIP of the cluster's DNS. */
  readonly dnsAddress: string;
  /** A ClusterIP that nobody is given: for one Gateway whose address is to be known before it is made. */
  readonly gatewayAddress: string;
  /** Base URL of the API. */
  readonly server: string;
  /** Cgroup of the node in each hierarchy, without its mount point. */
  readonly cgroup: string;
}

export const NODE_NAME = "node";
export const API_PORT = 6443;
const NUMBERS = 10;
/** An interface's name has 15 characters at most, and ours begin with `tg-`. */
const NAME = /^[a-z][a-z0-9]{0,9}$/;

/** Throws where the name is none: a letter, then up to nine letters and digits, lower case. */
export function checkName(name: string): void {
  if (!NAME.test(name)) throw new Error(`"${name}" is no name of a cluster: 1 to 10 of a-z and 0-9, a letter first`);
}

export function planCluster(name: string, number: number, folder: string): Plan {
  const n = String(number);
  const services = `10.${String(100 + number)}`;
  return {
    ...{ name, number, folder, link: linkOf(name), cgroup: cgroupOf(name) },
    hostAddress: `10.250.${n}.1`,
    nodeAddress: `10.250.${n}.2`,
    nodeRange: `10.250.${n}.0/24`,
    podRange: `10.${String(200 + number)}.0.0/16`,
    serviceRange: `${services}.0.0/16`,
    apiAddress: `${services}.0.1`,
    dnsAddress: `${services}.0.10`,
    gatewayAddress: `${services}.0.20`,
    server: `https://10.250.${n}.2:${String(API_PORT)}`,
  };
}

export function linkOf(name: string): string {
  return `tg-${name}`;
}

export function cgroupOf(name: string): string {
  return `taskgate-testbed-${name}`;
}

/** The first number that no other cluster has and whose addresses this machine has no route to yet. Throws where all are taken. */
export function chooseNumber(taken: ReadonlySet<number>, routes: readonly string[]): number {
  for (let number = 0; number < NUMBERS; number++) {
    if (taken.has(number)) continue;
    const { nodeRange, podRange, serviceRange } = planCluster("a", number, "");
    const ranges = [nodeRange, podRange, serviceRange];
    if (!ranges.some((range) => routes.some((route) => overlaps(range, route)))) return number;
  }
  throw new Error(
    "no addresses are left for a cluster: this machine has routes to all of 10.100–109, 10.200–209 and 10.250.0–9",
  );
}

/** Whether two IPv4 ranges share addresses. What is no range (`default`, IPv6) shares none. */
function overlaps(one: string, other: string): boolean {
  const [a, b] = [rangeOf(one), rangeOf(other)];
  if (a === null || b === null) return false;
  const shift = 32 - Math.min(a.bits, b.bits);
  return Math.floor(a.base / 2 ** shift) === Math.floor(b.base / 2 ** shift);
}

function rangeOf(text: string): { readonly base: number; readonly bits: number } | null {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(text);
  if (match === null) return null;
  const [a = 0, b = 0, c = 0, d = 0] = match.slice(1, 5).map(Number);
  return { base: ((a * 256 + b) * 256 + c) * 256 + d, bits: Number(match[5] ?? 32) };
}
