import { addressText, type Address, type Endpoint, type Health } from "../model/index.ts";
import { addressKind } from "./check-address.ts";
import { shown, type Fields } from "./read-value.ts";

const HEALTH: ReadonlySet<unknown> = new Set<Health>(["unknown", "healthy", "unhealthy", "draining"]);
const REPLICA = /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,252}$/;
/** Absolute, and no control characters: a state folder may well have a space or an accent in its name. */
const SOCKET_PATH = /^\/[^\p{Cc}\p{Cs}]+$/u;
/** `sun_path` of unix(7), without its final NUL. */
const MOST_SOCKET_PATH_BYTES = 107;
const MOST_WEIGHT = 1_000_000;

const NO_REASONS: readonly string[] = Object.freeze([]);

export interface ReadEndpoints {
  /** In order of replica and address, so that the order in which a provider tells does not matter. */
  readonly list: readonly Endpoint[];
  /** Why the others are left out. */
  readonly refused: readonly string[];
}

/** Reads the endpoints of one service. `loopback`: the source may name addresses and sockets of this machine. */
export function readEndpoints(values: readonly unknown[], loopback: boolean): ReadEndpoints {
  // Of its final length from the start: lists are kept, and one that grows in place has room for sixteen more.
  const list = new Array<Endpoint>(values.length);
  let found = 0;
  // Reasons are returned, not thrown: ten thousand bad endpoints must not cost ten thousand stack traces.
  let refused: string[] | null = null;
  for (const value of values) {
    const read = readEndpoint(value, loopback);
    if (typeof read === "string") (refused ??= []).push(read);
    else list[found++] = read;
  }
  list.length = found;
  if (!isInOrder(list)) list.sort(byReplica);
  if (!hasRepeated(list)) return { list: list, refused: refused ?? NO_REASONS };
  refused ??= [];
  return { list: withoutRepeated(list, refused), refused };
}

function isInOrder(list: readonly Endpoint[]): boolean {
  for (let at = 1; at < list.length; at++) {
    const [before, after] = [list[at - 1], list[at]];
    if (before !== undefined && after !== undefined && byReplica(before, after) > 0) return false;
  }
  return true;
}

function readEndpoint(value: unknown, loopback: boolean): Endpoint | string {
  if (typeof value !== "object" || value === null) return `An endpoint is ${shown(value)}; expected an object.`;
  const fields = value as Fields;
  const address = readAddress(fields.address, loopback);
  if (typeof address === "string") return address;
  const replica = fields.replica;
  if (typeof replica !== "string" || !REPLICA.test(replica)) {
    return `An endpoint's replica is ${shown(replica)}; expected a name such as 0 or worker-1.`;
  }
  const weight = fields.weight;
  if (!isWhole(weight, MOST_WEIGHT)) {
    return `An endpoint's weight is ${shown(weight)}; expected a whole number from 1 to ${MOST_WEIGHT}.`;
  }
  const health = fields.health;
  if (!HEALTH.has(health)) return `An endpoint's health is ${shown(health)}; expected ${[...HEALTH].join(", ")}.`;
  return { address, replica, weight, health: health as Health };
}

function readAddress(value: unknown, loopback: boolean): Address | string {
  if (typeof value !== "object" || value === null) return `An address is ${shown(value)}; expected an IP and a port.`;
  const fields = value as Fields;
  const unix = fields.unix;
  if (unix !== undefined) return readSocket(unix, loopback);
  const ip = fields.ip;
  const kind = typeof ip === "string" ? addressKind(ip) : "malformed";
  if (typeof ip !== "string" || kind === "malformed") return `An address is ${shown(ip)}; expected an IP address.`;
  if (kind === "forbidden")
    return `An endpoint is at ${ip}; link-local, metadata and group addresses are never dialled.`;
  if (kind === "loopback" && !loopback) {
    return `An endpoint is at ${ip}; only tasks of this machine may be at a loopback address.`;
  }
  const port = fields.port;
  if (!isWhole(port, 65_535)) return `An endpoint's port is ${shown(port)}; expected 1 to 65535.`;
  return { ip, port };
}

function readSocket(unix: unknown, loopback: boolean): Address | string {
  if (!loopback) return "An endpoint is a unix socket; only tasks of this machine may have those.";
  if (typeof unix !== "string" || Buffer.byteLength(unix) > MOST_SOCKET_PATH_BYTES || !SOCKET_PATH.test(unix)) {
    return `A unix socket is ${shown(unix)}; expected an absolute path of ${MOST_SOCKET_PATH_BYTES} bytes at most.`;
  }
  return { unix };
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most;
}

function byReplica(a: Endpoint, b: Endpoint): number {
  if (a.replica !== b.replica) return a.replica < b.replica ? -1 : 1;
  const [first, second] = [addressText(a.address), addressText(b.address)];
  if (first !== second) return first < second ? -1 : 1;
  return a.weight - b.weight || (a.health < b.health ? -1 : 1);
}

// Pairs while there are few: most services have one endpoint or two, and spelling addresses out costs more than comparing them.
function hasRepeated(list: readonly Endpoint[]): boolean {
  if (list.length > 6) return new Set(list.map((endpoint) => addressText(endpoint.address))).size < list.length;
  for (let one = 1; one < list.length; one++) {
    for (let other = 0; other < one; other++) if (isSameAddress(list[one]?.address, list[other]?.address)) return true;
  }
  return false;
}

function isSameAddress(a: Address | undefined, b: Address | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if ("unix" in a || "unix" in b) return "unix" in a && "unix" in b && a.unix === b.unix;
  return a.port === b.port && a.ip === b.ip;
}

function withoutRepeated(list: readonly Endpoint[], refused: string[]): readonly Endpoint[] {
  const seen = new Set<string>();
  return list.filter(({ address }) => {
    const text = addressText(address);
    if (seen.has(text)) refused.push(`Two endpoints are at ${text}; expected every address once.`);
    return seen.size < seen.add(text).size;
  });
}
