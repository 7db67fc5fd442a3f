import { readFile } from "node:fs/promises";
import { endianness } from "node:os";

/** A TCP socket in state LISTEN. */
export interface ListeningSocket {
  readonly inode: string;
  readonly port: number;
  readonly family: 4 | 6;
  /** As bound: `0.0.0.0`, `127.0.0.1`, `::`, `::1`; v4-mapped v6 addresses are family 4. */
  readonly ip: string;
}

/** TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp spells it. */
const LISTEN = "0A";
const TABLES = [
  ["/proc/net/tcp", 4],
  ["/proc/net/tcp6", 6],
] as const;

/** All listening TCP sockets of this network namespace. Linux only; throws where /proc/net/tcp cannot be read. */
export async function readListeningSockets(): Promise<ListeningSocket[]> {
  const tables = await Promise.all(
    TABLES.map(async ([path, family]) => parseListeningSockets(await readTable(path, family), family)),
  );
  return tables.flat();
}

/** Parses /proc/net/tcp{,6} (proc_pid_net(5)): `sl local_address rem_address st … inode`; what does not parse is left out. */
export function parseListeningSockets(table: string, family: 4 | 6): ListeningSocket[] {
  // Connections by the ten thousand pass here: most lines must cost one comparison.
  const lines = table.split("\n").filter((line) => line.includes(` ${LISTEN} `));
  return lines.map((line) => parseLine(line, family)).filter((socket) => socket !== null);
}

function parseLine(line: string, family: 4 | 6): ListeningSocket | null {
  const [, local = "", , state, , , , , , inode = "0"] = line.trim().split(/\s+/);
  const [address = "", port = ""] = local.split(":");
  if (state !== LISTEN || inode === "0") return null;
  const ip = family === 4 ? parseIpv4(address) : parseIpv6(address);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(ip)?.[1];
  return { inode, port: Number.parseInt(port, 16), family: mapped === undefined ? family : 4, ip: mapped ?? ip };
}

async function readTable(path: string, family: 4 | 6): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (family === 6) return ""; // a kernel without IPv6 has no such file
    throw error;
  }
}

/** The kernel prints 32-bit words in the machine's own byte order. */
function wordBytes(hex: string): number[] {
  const bytes = Array.from({ length: 4 }, (_, index) => Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16));
  return endianness() === "LE" ? bytes.reverse() : bytes;
}

function parseIpv4(hex: string): string {
  return wordBytes(hex).join(".");
}

function parseIpv6(hex: string): string {
  const bytes = Array.from({ length: 4 }, (_, index) => wordBytes(hex.slice(index * 8, index * 8 + 8))).flat();
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff) {
    return `::ffff:${bytes.slice(12).join(".")}`;
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  return shortenZeros(groups);
}

/** The longest run of zero groups becomes `::` (RFC 5952). */
function shortenZeros(groups: readonly string[]): string {
  const runs = [...groups.join(":").matchAll(/(^|:)0(:0)+(?=:|$)/g)];
  const longest = runs.sort((a, b) => b[0].length - a[0].length)[0];
  if (longest === undefined) return groups.join(":");
  const text = groups.join(":");
  const head = text.slice(0, longest.index);
  const tail = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${head}::${tail}`;
}
