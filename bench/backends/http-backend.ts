// A backend, run as a process of its own: PORT. It costs as little as a Node program can, for it shares processors with the load: heads are
// found by their blank line, and looked into only for what the suites ask for.
import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";

const PAGE =
  "Content-Type: text/html; charset=utf-8\r\nServer: bench\r\nCache-Control: no-cache\r\nX-Frame-Options: SAMEORIGIN\r\n";
const SMALL = Buffer.from(`HTTP/1.1 200 OK\r\n${PAGE}Content-Length: 12\r\n\r\nHello World\n`);
const LAST = Buffer.from(`HTTP/1.1 200 OK\r\n${PAGE}Connection: close\r\nContent-Length: 12\r\n\r\nHello World\n`);
const LARGE_BYTES = 4 * 1024 * 1024;
const LARGE = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\n${PAGE}Content-Length: ${String(LARGE_BYTES)}\r\n\r\n`),
  Buffer.alloc(LARGE_BYTES, "x"),
]);
const END_OF_HEAD = "\r\n\r\n";
/** RFC 6455 section 1.3. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

function serve(socket: Socket): void {
  let rest = "";
  /** Of an upload's body, that are still to come. */
  let wanted = 0;
  socket.on("error", () => socket.destroy());
  socket.on("data", function take(chunk: Buffer) {
    if (wanted > chunk.length) {
      wanted -= chunk.length;
      return;
    }
    if (wanted > 0) socket.write(SMALL);
    let text = rest + chunk.toString("latin1", wanted);
    wanted = 0;
    for (let end = text.indexOf(END_OF_HEAD); end >= 0; end = text.indexOf(END_OF_HEAD)) {
      const head = text.slice(0, end);
      text = text.slice(end + END_OF_HEAD.length);
      if (head.startsWith("GET /large")) socket.write(LARGE);
      else if (head.startsWith("POST ")) {
        wanted = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0) - text.length;
        text = "";
        if (wanted === 0) socket.write(SMALL);
      } else if (head.startsWith("GET /ws")) {
        socket.off("data", take);
        upgrade(socket, head);
        return;
      } else if (head.includes("\r\nConnection: close")) socket.end(LAST);
      else socket.write(SMALL);
    }
    rest = text;
  });
}

function upgrade(socket: Socket, head: string): void {
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? "";
  const accept = createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
  const answer = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
  ];
  socket.write(`${answer.join("\r\n")}${END_OF_HEAD}`);
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => (rest = echo(socket, rest.length === 0 ? chunk : Buffer.concat([rest, chunk]))));
}

const MASK = 4;

/** Sends the messages back that came whole, unmasked; those of the suites are shorter than 126 bytes. What is left over. */
function echo(socket: Socket, bytes: Buffer): Buffer {
  const answers: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const length = (bytes[at + 1] ?? 0) & 0x7f;
    const payload = at + 2 + MASK;
    if (bytes.length < payload + length) break;
    const answer = Buffer.allocUnsafe(2 + length);
    answer[0] = bytes[at] ?? 0;
    answer[1] = length;
    for (let each = 0; each < length; each++) {
      answer[2 + each] = (bytes[payload + each] ?? 0) ^ (bytes[at + 2 + (each % MASK)] ?? 0);
    }
    answers.push(answer);
    at = payload + length;
  }
  if (answers.length > 0) socket.write(answers.length === 1 ? (answers[0] ?? "") : Buffer.concat(answers));
  return bytes.subarray(at);
}

createServer({ noDelay: true }, serve).listen(Number(process.argv[2]), "127.0.0.1");
