// A job whose answers never end: HTTP with WebSockets, gRPC and raw TCP, each on the port of its service, in this order.
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { WebSocketServer } from "ws";

const { TASKGATE_PORT_0: web, TASKGATE_PORT_1: api, TASKGATE_PORT_2: raw } = process.env;
const TICK_MS = 50;

const http = createServer((request, response) => {
  if (request.url !== "/endless") {
    response.end("whole");
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const timer = setInterval(() => response.write("data: tick\n\n"), TICK_MS);
  response.on("close", () => clearInterval(timer));
});
new WebSocketServer({ server: http }).on("connection", (socket) => {
  const timer = setInterval(() => socket.send("tick"), TICK_MS);
  socket.on("error", () => undefined).on("close", () => clearInterval(timer));
});
http.listen(Number(web), "127.0.0.1");

const same = (bytes) => bytes;
const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const grpc = new Server();
grpc.addService(
  { repeat: { path: "/test.Echo/Repeat", requestStream: false, responseStream: true, ...bytes } },
  {
    repeat: (call) => {
      const timer = setInterval(() => call.write(call.request), TICK_MS);
      call.on("cancelled", () => clearInterval(timer));
    },
  },
);
grpc.bindAsync(`127.0.0.1:${api}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});

createTcpServer((socket) => {
  socket.on("error", () => undefined).pipe(socket);
}).listen(Number(raw), "127.0.0.1");
