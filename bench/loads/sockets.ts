// A load, run as a process of its own: WHAT PORT CONNECTIONS SECONDS AUTHORITY COOKIE. Prints one line of JSON.
import { connect, type Socket } from "node:net";
import { browserHeaders } from "../headers.ts";

const [what = "", ...rest] = process.argv.slice(2);
const [port = 0, connections = 1, seconds = 1] = rest.slice(0, 3).map(Number);
const [authority = "", session = ""] = rest.slice(3);

const MASK = [0x5a, 0x11, 0xc3, 0x77];
const PAYLOAD_BYTES = 64;
/** A text message as a browser sends it: masked (RFC 6455 section 5.3). */
const MESSAGE = Buffer.from([
  ...[0x81, 0x80 | PAYLOAD_BYTES, ...MASK],
  ...Array.from({ length: PAYLOAD_BYTES }, (_, at) => 0x61 ^ (MASK[at % MASK.length] ?? 0)),
]);
const ANSWER_BYTES = 2 + PAYLOAD_BYTES;
const OPENERS = 16;
const BLOCK = Buffer.alloc(256 * 1024, "x");

let counting = false;
let count = 0;
let failures = 0;

function add(amount: number): void {
  if (counting) count += amount;
}

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
      socket.off("error", reject).on("error", () => failures++);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function head(more: string): string {
  const fields = browserHeaders(session === "" ? null : session).map(([name, value]) => `${name}: ${value}\r\n`);
  return `Host: ${authority}\r\n${more}${fields.join("")}\r\n`;
}

const UPGRADE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** Sends a request without body and waits for its whole head, which must have this status. */
async function request(socket: Socket, text: string, status: number): Promise<void> {
  socket.write(text);
  await new Promise<void>((resolve, reject) => {
    let answer = "";
    const failed = (): void => reject(new Error(`not ${String(status)}: ${answer.split("\r\n")[0] ?? ""}`));
    socket.once("close", failed);
    socket.on("data", function take(chunk: Buffer) {
      answer += chunk.toString("latin1");
      const end = answer.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/^content-length: *(\d+)/im.exec(answer)?.[1] ?? 0);
      if (status === 200 && answer.length < end + 4 + length) return;
      socket
        .off("data", take)
        .off("close", failed)
        .once("close", () => failures++);
      if (answer.startsWith(`HTTP/1.1 ${String(status)} `)) resolve();
      else failed();
    });
  });
}

/** On each connection one message after the other, sent when the one before has come back. */
async function messages(): Promise<void> {
  const socket = await open();
  await request(socket, `GET /ws HTTP/1.1\r\n${head(UPGRADE)}`, 101);
  let due = ANSWER_BYTES;
  socket.on("data", (chunk: Buffer) => {
    for (due -= chunk.length; due <= 0; due += ANSWER_BYTES) {
      add(1);
      socket.write(MESSAGE);
    }
  });
  socket.write(MESSAGE);
}

async function download(): Promise<void> {
  const socket = await open();
  socket.on("data", (chunk: Buffer) => add(chunk.length));
  socket.on("close", () => failures++);
  socket.write("d");
}

async function upload(): Promise<void> {
  const socket = await open();
  socket.on("close", () => failures++);
  const pour = (): void => {
    while (socket.write(BLOCK)) add(BLOCK.length);
    add(BLOCK.length);
  };
  socket.on("drain", pour);
  socket.write("u", pour);
}

/** On each connection one byte there and back, then the next connection. */
async function connects(): Promise<void> {
  for (;;) {
    const socket = await open();
    await new Promise((resolve) => {
      socket.once("data", () => {
        add(1);
        socket.end();
      });
      socket.once("close", resolve);
      socket.write("e");
    });
  }
}

/** Opens connections, a few at a time, that carry one request or upgrade each and then nothing, and says so; holds them until it is ended. */
async function hold(upgrade: boolean): Promise<void> {
  const text = upgrade
    ? `GET /ws HTTP/1.1\r\n${head(UPGRADE)}`
    : `GET / HTTP/1.1\r\n${head("Connection: keep-alive\r\n")}`;
  let left = connections;
  const opener = async (): Promise<void> => {
    while (left-- > 0) await request(await open(), text, upgrade ? 101 : 200);
  };
  await Promise.all(Array.from({ length: OPENERS }, opener));
  process.stdout.write("held\n");
  // Idle ones end only by an error of somebody.
  setInterval(() => {
    if (failures > 0) process.exit(1);
  }, 100);
}

const LOADS: Readonly<Record<string, () => Promise<void>>> = { messages, download, upload, connects };

async function main(): Promise<void> {
  if (what === "idle" || what === "sockets") return hold(what === "sockets");
  const load = LOADS[what];
  if (load === undefined) throw new Error(`nobody knows the load ${what}`);
  const opened = Array.from({ length: connections }, load);
  // The endless ones never resolve; what fails among them fails the run.
  await Promise.race([what === "connects" ? null : Promise.all(opened), Promise.race(opened.map(never))]);
  counting = true;
  const from = performance.now();
  setTimeout(() => {
    process.stdout.write(`${JSON.stringify({ count, seconds: (performance.now() - from) / 1000, failures })}\n`);
    process.exit(0);
  }, seconds * 1000);
}

/** Fails as it does, and is never fulfilled. */
function never(work: Promise<void>): Promise<never> {
  return new Promise((_, reject) => void work.catch(reject));
}

await main();
