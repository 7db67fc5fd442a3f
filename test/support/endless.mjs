// A job whose answers never end: HTTP with WebSockets, gRPC and raw TCP, each on the port of its service, in this order. In a pod it needs no
// package that taskgate itself does not.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { hostname } from "node:os";
import { Server, ServerCredentials } from "@grpc/grpc-js";

const { TASKGATE_PORT_0: web, TASKGATE_PORT_1: api, TASKGATE_PORT_2: raw } = process.env;
const { ENDLESS_ADDRESS: address = "127.0.0.1" } = process.env;
const TICK_MS = 50;
/** Text frame without mask (RFC 6455, section 5.2). */
const TICK = Buffer.from("\x81\x04tick", "latin1");

/** What came here, by how. */
const seen = { http: 0, webSocket: 0, grpc: 0, tcp: 0 };
let isReady = true;

const http = createServer((request, response) => {
  const { method, url } = request;
  if (url === "/ready") {
    response.writeHead(isReady ? 200 : 503).end();
    return;
  }
  if (url === "/seen") {
    response.end(JSON.stringify(seen));
    return;
  }
  seen.http += 1;
  if (method === "PUT" && url === "/end") process.exit();
  if (method === "PUT") isReady = url === "/rested";
  if (url === "/who") response.end(hostname());
  else if (url !== "/endless") response.end("whole");
  else {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: tick\n\n"), TICK_MS);
    response.on("close", () => clearInterval(timer));
  }
});
http.on("upgrade", ({ headers }, socket) => {
  seen.webSocket += 1;
  const accept = createHash("sha1").update(`${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const fields = `connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept.digest("base64")}`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n\r\n`);
  const timer = setInterval(() => socket.write(TICK), TICK_MS);
  socket.on("error", () => undefined).on("end", () => socket.destroy()).on("close", () => clearInterval(timer)).resume(); // prettier-ignore
});
http.listen(Number(web), address);

const same = (bytes) => bytes;
const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const grpc = new Server();
grpc.addService(
  { repeat: { path: "/test.Echo/Repeat", requestStream: false, responseStream: true, ...bytes } },
  {
    repeat: (call) => {
      seen.grpc += 1;
      const timer = setInterval(() => call.write(call.request), TICK_MS);
      call.on("cancelled", () => clearInterval(timer));
    },
  },
);
grpc.bindAsync(`${address}:${api}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});

createTcpServer((socket) => {
  seen.tcp += 1;
  socket.on("error", () => undefined).pipe(socket);
}).listen(Number(raw), address);
