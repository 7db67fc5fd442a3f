import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { collectHead, HeadParts } from "./head-collector.ts";
import { Refusal } from "./head-fields.ts";
import { ChunkedReader, CloseReader, LengthReader, type BodyReader } from "./read-body.ts";
import { readRequestHead, readResponseHead, responseFraming, type ResponseFraming } from "./read-head.ts";

/**
 * Our reader beside node's own parser, llhttp in its strict mode, on messages that were honest before they were mutated. Ours may refuse
 * what llhttp takes; never the other way round, and never with another body or another end. TASKGATE_FUZZ_SEED and TASKGATE_FUZZ_COUNT run
 * other ones.
 */

const SEED = Number(process.env.TASKGATE_FUZZ_SEED ?? "20260101");
const COUNT = Number(process.env.TASKGATE_FUZZ_COUNT ?? "100000");

type Kind = "request" | "response";

/** One message as somebody read it. */
interface Read {
  /** Method and target, or status. */
  readonly start: string;
  readonly fields: readonly string[];
  body: string;
  trailers: readonly string[];
  whole: boolean;
  /** Another message may follow. */
  readonly keepAlive: boolean;
  /** What follows is another protocol, says whoever read it. */
  readonly switches: boolean;
  /** HTTP/1.0: llhttp misses a `keep-alive` between spaces, which is no matter of framing. */
  readonly old: boolean;
}

interface Outcome {
  readonly messages: readonly Read[];
  /** What follows the last message is none. */
  readonly refused: boolean;
}

// ---- llhttp ----

interface LlhttpParser {
  initialize(kind: number, resource: object, maxHeaderSize: number, lenient: number): void;
  execute(bytes: Buffer): number | Error;
  finish(): Error | undefined;
  [callback: number]: (...args: never[]) => unknown;
}
interface LlhttpParserClass {
  new (): LlhttpParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
  readonly kLenientNone: number;
}
const { HTTPParser, methods: METHOD_NAMES } = createRequire(import.meta.url)("node:_http_common") as {
  HTTPParser: LlhttpParserClass;
  /** In llhttp's own numbering. */
  methods: readonly string[];
};

type HeadersComplete = [
  major: number,
  minor: number,
  fields: string[] | undefined,
  method: number | undefined,
  url: string | undefined,
  status: number | undefined,
  reason: string | undefined,
  upgrade: boolean,
  keepAlive: boolean,
];

function readByLlhttp(bytes: Buffer, kind: Kind, asked: string): Outcome {
  const parser = new HTTPParser();
  const messages: Read[] = [];
  let fields: string[] = [];
  let url = "";
  parser.initialize(HTTPParser[kind === "request" ? "REQUEST" : "RESPONSE"], {}, 1 << 20, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnHeaders] = (more: string[], target: string) => {
    fields = [...fields, ...more];
    url += target;
  };
  parser[HTTPParser.kOnHeadersComplete] = (...args: HeadersComplete) => {
    const [, minor, rest, method = 0, target, status, , upgrade, keepAlive] = args;
    const start = kind === "request" ? `${METHOD_NAMES[method] ?? "?"} ${target ?? url}` : String(status);
    messages.push({
      ...{ start, fields: rest ?? fields, body: "", trailers: [], whole: false, keepAlive },
      switches: upgrade,
      old: minor === 0,
    });
    fields = [];
    url = "";
    return kind === "response" && asked === "HEAD" ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (part: Buffer) => {
    messages.at(-1)!.body += part.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    const message = messages.at(-1)!;
    message.whole = true;
    message.trailers = fields;
    fields = [];
    url = "";
  };
  const read = parser.execute(bytes);
  const refused = typeof read !== "number" || parser.finish() !== undefined;
  return { messages, refused };
}

// ---- ours ----

const BOUNDS = { fields: 200, lineBytes: 8192, trailerBytes: 8192 };

interface OurHead {
  readonly read: Read;
  readonly framing: ResponseFraming;
}

function ourHead(text: string, kind: Kind, asked: string): OurHead | Refusal {
  const common = { body: "", trailers: [], whole: false, old: false };
  if (kind === "request") {
    const head = readRequestHead(text, BOUNDS);
    if (head instanceof Refusal) return head;
    const target = head.method === "CONNECT" ? head.host : head.path;
    const switches = head.upgrade !== null || head.method === "CONNECT";
    const { keepAlive, framing } = head;
    return {
      read: { ...common, start: `${head.method} ${target}`, fields: head.fields.flat, keepAlive, switches },
      framing,
    };
  }
  const head = readResponseHead(text, BOUNDS);
  if (head instanceof Refusal) return head;
  const interim = head.status < 200;
  const framing = interim ? ({ kind: "none" } as const) : responseFraming(asked, head);
  const { status } = head;
  // llhttp goes on after no answer to a HEAD that names no length; that is its taste.
  const toHead = asked === "HEAD" && head.framing === null && !interim;
  const keepAlive = head.keepAlive && framing.kind !== "close" && !toHead;
  return {
    read: { ...common, start: String(status), fields: head.fields.flat, keepAlive, switches: status === 101 },
    framing,
  };
}

function bodyReader(framing: ResponseFraming): BodyReader {
  if (framing.kind === "chunked") return new ChunkedReader(BOUNDS);
  if (framing.kind === "close") return new CloseReader();
  return new LengthReader(framing.kind === "length" ? Number(framing.length) : 0);
}

/** As a connection would: head, body, head, body, from pieces cut anywhere, until one is refused or the last. */
function readByOurs(pieces: readonly Buffer[], kind: Kind, asked: string): Outcome {
  const messages: Read[] = [];
  let begun: HeadParts | null = null;
  let body: BodyReader | null = null;
  const finish = () => {
    const message = messages.at(-1)!;
    message.whole = true;
    message.trailers = body?.trailers?.flat ?? [];
    body = null;
    return message.keepAlive && !message.switches;
  };
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      if (body === null) {
        const text: ReturnType<typeof collectHead> = collectHead(begun, piece, at, 64 * 1024);
        if (text instanceof HeadParts) {
          begun = text;
          break;
        }
        const head = text instanceof Refusal ? text : ourHead(text, kind, asked);
        if (head instanceof Refusal || text instanceof Refusal) return { messages, refused: true };
        messages.push(head.read);
        at += text.length - (begun?.length ?? 0);
        begun = null;
        body = bodyReader(head.framing);
      } else {
        const data = (chunk: Buffer) => void (messages.at(-1)!.body += chunk.toString("latin1"));
        const read: number | Refusal = body.read(piece, at, { data });
        if (read instanceof Refusal) return { messages, refused: true };
        at = read;
      }
      if (body.done && !finish()) return { messages, refused: false };
    }
  }
  if (body instanceof CloseReader) finish();
  return { messages, refused: false };
}

// ---- what may differ ----

/** Why ours is laxer than llhttp, or reads something else; null: it is not. */
function disagreement(ours: Outcome, theirs: Outcome): string | null {
  for (const [index, mine] of ours.messages.entries()) {
    const other = theirs.messages[index];
    if (other === undefined) return `message ${String(index)}: llhttp has none`;
    if (mine.start !== other.start && !sameTarget(mine.start, other.start))
      return `start: ${mine.start} | ${other.start}`;
    if (mine.fields.join("\n") !== other.fields.join("\n")) return `fields of ${String(index)}`;
    if (other.switches) return null; // llhttp stops here, whatever its caller would say
    // Ours reads no HTTP from here on. llhttp misses an upgrade between spaces, and goes on; what a 101 needs is for its caller to say.
    if (mine.switches) return null;
    if (mine.whole && !other.whole) return `message ${String(index)}: whole for ours alone`;
    if (mine.whole && mine.body !== other.body) return `body of ${String(index)}`;
    if (mine.whole && mine.trailers.join("\n") !== other.trailers.join("\n")) return `trailers of ${String(index)}`;
    if (!mine.whole && !other.body.startsWith(mine.body)) return `body so far of ${String(index)}`;
    if (mine.whole && mine.keepAlive && !other.keepAlive) return other.old ? null : "only ours goes on after it";
  }
  return null;
}

/** Ours splits an absolute target, and compares hosts in lower case. */
function sameTarget(mine: string, other: string): boolean {
  const [method = "", target = ""] = other.split(" ");
  if (method === "CONNECT") return mine === `CONNECT ${target.toLowerCase()}`;
  const rest = /^https?:\/\/[^/?]*(.*)$/is.exec(other.slice(method.length + 1))?.[1] ?? null;
  return rest !== null && mine === `${method} ${rest.startsWith("/") ? rest : `/${rest}`}`;
}

// ---- messages ----

/** Mulberry32: small, and the same everywhere. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const HOST = "Host: a.localhost\r\n";
const BROWSER =
  "User-Agent: Mozilla/5.0 (X11)\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\nCookie: a=1; b=2\r\nReferer: http://a.localhost/x\r\n";
const CHUNKS = ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "1;x=y\r\na\r\n2;z\r\nbc\r\n0;e\r\n\r\n", "a\r\n0123456789\r\n00\r\nX: y\r\nZ: w\r\n\r\n", '4;a="b c"\r\n\r\n\r\n\r\n0\r\n\r\n', "00003\r\nabc\r\n000\r\nTrailing:\r\n\r\n"]; // prettier-ignore
const CODED = "Transfer-Encoding: chunked\r\n";

const REQUESTS: readonly string[] = [
  `GET / HTTP/1.1\r\n${HOST}\r\n`,
  `GET /a/b?c=d HTTP/1.1\r\n${HOST}${BROWSER}\r\n`,
  `GET http://a.localhost/x?y HTTP/1.1\r\n${HOST}\r\n`,
  `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  `HEAD / HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`,
  `GET / HTTP/1.0\r\n${HOST}\r\n`,
  `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
  `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
  `CONNECT a.localhost:80 HTTP/1.1\r\nHost: a.localhost:80\r\n\r\n`,
  `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`,
  `POST /x HTTP/1.1\r\n${HOST}Content-Length: 11\r\n\r\nhello world`,
  `PUT /x HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\nContent-Length: 3\r\nX: y\r\n\r\nabc`,
  `POST / HTTP/1.0\r\n${HOST}Connection: keep-alive\r\nContent-Length: 3\r\n\r\nabc`,
  `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
  `PATCH /x HTTP/1.1\r\n${HOST}Empty:\r\nTabbed:\ta\t\r\nOdd: \xe9\r\n${CODED}\r\n${CHUNKS[1]!}`,
  `PROPFIND /dav HTTP/1.1\r\nDepth: 1\r\n${HOST}\r\n`,
  ...CHUNKS.map((chunks) => `POST /c HTTP/1.1\r\n${HOST}${CODED}\r\n${chunks}`),
  ...CHUNKS.map((chunks) => `POST /c HTTP/1.1\r\n${BROWSER}${CODED}Trailer: X\r\n${HOST}\r\n${chunks}`),
];

const RESPONSES: readonly string[] = [
  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello",
  "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.0 200 OK\r\n\r\nuntil the end",
  "HTTP/1.1 500 Oops\xe9\r\nX: \xff\r\n\r\nuntil the end",
  ...CHUNKS.map((chunks) => `HTTP/1.1 200 OK\r\n${CODED}\r\n${chunks}`),
  ...CHUNKS.map((chunks) => `HTTP/1.1 206 Part\r\nContent-Type: x\r\n${CODED}Vary: *\r\n\r\n${chunks}`),
];

/** What tends to be read in two ways. */
const TOKENS: readonly string[] = [
  ...["\r", "\n", "\r\n", "\n\n", "\r\r\n", "\r\n\r\n", "\r\n ", "\r\n\t", " ", "  ", "\t", "\0", "\v", "\f", "\x7f", "\x80", "\xa0", "\xff", "\x01", "\x1b"],
  ...[":", ";", ",", "=", '"', "\\", "+", "-", "_", ".", "/", "#", "?", "@", "%0d%0a", "0", "1", "3", "9", "a", "F", "g", "0x", "00", "ffffffffffffffff", "99999999999999999999"],
  ...["chunked", "identity", "gzip, ", ", chunked", "close", "keep-alive", "Upgrade", "Content-Length: 5\r\n", "Content-Length: 0\r\n", "\r\nContent-Length: 3", "Content_Length: 9\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n", "transfer-encoding:\r\n chunked\r\n", "Content-Length : 1\r\n", "Connection: close\r\n", "Connection: content-length\r\n", "Upgrade: h2c\r\n", "Host: b\r\n", ": x\r\n", "X\r\n"],
  ...["0\r\n\r\n", "1\r\na\r\n", "5;\r\n", "-1\r\n", "0\r\nX: y\r\n\r\n", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
]; // prettier-ignore

/** Where mutations bite: beside ends of lines, colons, spaces and digits. */
function place(text: string, random: Random): number {
  const at = random.below(text.length + 1);
  if (random.next() < 0.3) return at;
  for (let step = 0; step < 40; step += 1) {
    if (/[\r\n: ;0-9]/.test(text[at + step] ?? "")) return at + step + random.below(2);
  }
  return at;
}

function mutate(text: string, random: Random, corpus: readonly string[]): string {
  const at = Math.min(place(text, random), text.length);
  switch (random.below(9)) {
    case 0:
    case 1:
    case 2:
      return text.slice(0, at) + random.pick(TOKENS) + text.slice(at);
    case 3:
      return text.slice(0, at) + text.slice(at + 1 + random.below(4));
    case 4:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 5: {
      const lines = text.split("\r\n");
      lines.splice(random.below(lines.length), 0, random.pick(lines));
      return lines.join("\r\n");
    }
    case 6: {
      const lines = text.split("\r\n");
      const [taken = ""] = lines.splice(random.below(lines.length), 1);
      lines.splice(random.below(lines.length + 1), 0, taken);
      return lines.join("\r\n");
    }
    case 7: {
      const other = random.pick(corpus);
      return text.slice(0, at) + other.slice(random.below(other.length));
    }
    default: {
      const end = at + 1 + random.below(12);
      const part = text.slice(at, end);
      const upper = part.toUpperCase();
      return text.slice(0, at) + (part === upper ? part.toLowerCase() : upper) + text.slice(end);
    }
  }
}

/** One to three messages of a kind, one after another, mutated none to four times. */
function compose(random: Random, corpus: readonly string[]): Buffer {
  let text = random.pick(corpus);
  for (let times = random.below(5); times > 0; times -= 1) text = mutate(text, random, corpus);
  for (let more = random.below(3); more > 0; more -= 1) text += random.pick(corpus);
  return Buffer.from(text, "latin1");
}

function cut(bytes: Buffer, random: Random): Buffer[] {
  const style = random.below(10);
  if (style < 4) return [bytes];
  if (style === 9) return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  const places = Array.from({ length: 1 + random.below(5) }, () => random.below(bytes.length + 1)).sort(
    (a, b) => a - b,
  );
  return [0, ...places].map((start, at) => bytes.subarray(start, places[at] ?? bytes.length));
}

test(`${String(COUNT)} mutated messages of seed ${String(SEED)}: never laxer than llhttp, never framed in another way`, () => {
  const random = new Random(SEED);
  const seen = { taken: 0, refused: 0, stricter: 0, bodies: 0 };
  for (let index = 0; index < COUNT; index += 1) {
    const kind: Kind = random.next() < 0.6 ? "request" : "response";
    const asked = kind === "response" && random.next() < 0.1 ? "HEAD" : "GET";
    const bytes = compose(random, kind === "request" ? REQUESTS : RESPONSES);
    const ours = readByOurs(cut(bytes, random), kind, asked);
    const theirs = readByLlhttp(bytes, kind, asked);
    const why = disagreement(ours, theirs);
    if (why !== null) {
      const message = JSON.stringify(bytes.toString("latin1"));
      throw new Error(`seed ${String(SEED)}, message ${String(index)}, ${kind} to ${asked}: ${why}\n${message}`);
    }
    if (ours.refused && theirs.refused) seen.refused += 1;
    else if (ours.refused) seen.stricter += 1;
    else seen.taken += 1;
    if (ours.messages.some(({ body, whole }) => whole && body !== "")) seen.bodies += 1;
  }
  // The two must have had something to disagree about.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(COUNT / 100);
});
