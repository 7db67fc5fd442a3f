import { isIPv4, isIPv6 } from "node:net";

/** One end of a TCP connection. */
export interface End {
  readonly ip: string;
  readonly port: number;
}

/** Both ends of a client's connection, as its client sees them. */
export interface ConnectionEnds {
  readonly source: End;
  /** What the client dialled. */
  readonly destination: End;
}

export type ProxyHeader =
  | { readonly kind: "more" }
  | { readonly kind: "malformed" }
  /** `length`: its bytes. `ends` null: the proxy speaks for itself (health checks), or for what has no address. */
  | { readonly kind: "header"; readonly length: number; readonly ends: ConnectionEnds | null };

// https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V1_PREFIX = Buffer.from("PROXY ", "latin1");
/** §2.1: the longest line of version 1, CRLF included. */
const V1_BYTES_MAX = 107;
const V2_HEADER_BYTES = 16;
/** Addresses take 36; the rest are fields that we do not read. Certificates may be among them. */
const V2_BYTES_MAX = 8 * 1024;
const V1_LINE = /^PROXY (TCP4|TCP6) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/;

const VERSION_2 = 0x20;
const LOCAL = 0;
const PROXY = 1;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Unspecified, and both kinds of Unix sockets: taken, without an address. */
const NO_ADDRESS = new Set([0x00, 0x31, 0x32]);

const MORE: ProxyHeader = Object.freeze({ kind: "more" });
const MALFORMED: ProxyHeader = Object.freeze({ kind: "malformed" });

/** Reads the header of either version from the first bytes of a connection. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, SIGNATURE)) return bytes.length < V2_HEADER_BYTES ? MORE : readV2(bytes);
  if (startsLike(bytes, V1_PREFIX)) return readV1(bytes);
  return MALFORMED;
}

/** As far as there are bytes. */
function startsLike(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length);
  return bytes.subarray(0, length).equals(wanted.subarray(0, length));
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf("\r\n");
  if (end < 0) return bytes.length < V1_BYTES_MAX ? MORE : MALFORMED;
  const line = bytes.toString("latin1", 0, end);
  const length = end + 2;
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN ")) return { kind: "header", length, ends: null };
  const ends = readV1Ends(line);
  return ends === null ? MALFORMED : { kind: "header", length, ends };
}

function readV1Ends(line: string): ConnectionEnds | null {
  const [, family, source = "", destination = "", sourcePort, destinationPort] = V1_LINE.exec(line) ?? [];
  const isIp = family === "TCP4" ? isIPv4 : isIPv6;
  if (family === undefined || !isIp(source) || !isIp(destination)) return null;
  const ends = {
    source: { ip: source.toLowerCase(), port: Number(sourcePort) },
    destination: { ip: destination.toLowerCase(), port: Number(destinationPort) },
  };
  return Math.max(ends.source.port, ends.destination.port) > 65_535 ? null : ends;
}

function readV2(bytes: Buffer): ProxyHeader {
  const [command, family] = [bytes.readUInt8(12), bytes.readUInt8(13)];
  const size = bytes.readUInt16BE(14);
  const length = V2_HEADER_BYTES + size;
  const known = command === (VERSION_2 | LOCAL) || command === (VERSION_2 | PROXY);
  if (!known || length > V2_BYTES_MAX) return MALFORMED;
  if (bytes.length < length) return MORE;
  if (command === (VERSION_2 | LOCAL) || NO_ADDRESS.has(family)) return { kind: "header", length, ends: null };
  const width = family === TCP4 ? 4 : family === TCP6 ? 16 : 0;
  if (width === 0 || size < 2 * width + 4) return MALFORMED;
  const ip = (at: number) => ipText(bytes.subarray(at, at + width));
  const ports = V2_HEADER_BYTES + 2 * width;
  const source = { ip: ip(V2_HEADER_BYTES), port: bytes.readUInt16BE(ports) };
  const destination = { ip: ip(V2_HEADER_BYTES + width), port: bytes.readUInt16BE(ports + 2) };
  return { kind: "header", length, ends: { source, destination } };
}

/** RFC 5952 for IPv6, by the parser of URLs. */
function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function ipBytes(ip: string, width: 4 | 16): Buffer {
  if (isIPv4(ip)) {
    const four = Buffer.from(ip.split(".").map(Number));
    return width === 4 ? four : Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), four]);
  }
  const groups = new URL(`http://[${ip}]`).hostname.slice(1, -1);
  const [head = "", tail] = groups.split("::");
  const read = (part: string) => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const [front, back] = [read(head), read(tail ?? "")];
  const all =
    tail === undefined ? front : [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The header that goes before everything else on a connection to a task; `ends` null: the gate speaks for itself. */
export function proxyHeader(version: "v1" | "v2", ends: ConnectionEnds | null): Buffer {
  const isV4 = ends !== null && isIPv4(ends.source.ip) && isIPv4(ends.destination.ip);
  if (version === "v1") return Buffer.from(v1Line(ends, isV4), "latin1");
  const head = Buffer.alloc(V2_HEADER_BYTES);
  SIGNATURE.copy(head);
  head[12] = VERSION_2 | (ends === null ? LOCAL : PROXY);
  if (ends === null) return head;
  const width = isV4 ? 4 : 16;
  head[13] = isV4 ? TCP4 : TCP6;
  head.writeUInt16BE(2 * width + 4, 14);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(ends.source.port, 0);
  ports.writeUInt16BE(ends.destination.port, 2);
  return Buffer.concat([head, ipBytes(ends.source.ip, width), ipBytes(ends.destination.ip, width), ports]);
}

function v1Line(ends: ConnectionEnds | null, isV4: boolean): string {
  if (ends === null) return "PROXY UNKNOWN\r\n";
  const { source, destination } = ends;
  const text = (ip: string) => (isV4 || isIPv6(ip) ? ip : `::ffff:${ip}`);
  const family = isV4 ? "TCP4" : "TCP6";
  return `PROXY ${family} ${text(source.ip)} ${text(destination.ip)} ${String(source.port)} ${String(destination.port)}\r\n`;
}
