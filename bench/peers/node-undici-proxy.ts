// A peer, run as a process of its own: PORT BACKEND_PORT. The proxy that anybody writes first, and no more than that.
import { createServer, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { Pool } from "undici";

const [port, backend] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${String(backend)}`, { connections: 512, pipelining: 1, bodyTimeout: 0 });
const HOP_BY_HOP = new Set(["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]);

const server = createServer((request, response) => {
  const hasBody = request.headers["content-length"] !== undefined || "transfer-encoding" in request.headers;
  pool
    .stream(
      {
        path: request.url ?? "/",
        method: request.method as "GET",
        headers: fields(request),
        body: hasBody ? request : null,
      },
      ({ statusCode, headers }) => {
        for (const [name, value] of Object.entries(headers)) {
          if (value !== undefined && !HOP_BY_HOP.has(name)) response.setHeader(name, value);
        }
        return response.writeHead(statusCode);
      },
    )
    .catch(() => response.destroy());
});

server.on("upgrade", (request, socket, head) => {
  const upstream = connect(Number(backend), "127.0.0.1", () => {
    const lines = request.rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
    upstream.write(`${request.method ?? ""} ${request.url ?? ""} HTTP/1.1\r\n${lines}\r\n`);
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
  upstream.on("error", () => socket.destroy());
  socket.on("error", () => upstream.destroy());
});

function fields(request: IncomingMessage): string[] {
  const kept: string[] = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? "";
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, request.rawHeaders[at + 1] ?? "");
  }
  return [...kept, "x-forwarded-for", request.socket.remoteAddress ?? ""];
}

server.listen(port, "127.0.0.1");
