// A backend, run as a process of its own: PORT. The first byte of a connection says what it is for: "d" is answered by bytes without end,
// after "u" everything is taken in, anything else is sent back.
import { createServer, type Socket } from "node:net";

const BLOCK = Buffer.alloc(256 * 1024, "x");

function serve(socket: Socket): void {
  socket.on("error", () => socket.destroy());
  socket.once("data", (first: Buffer) => {
    const what = String.fromCharCode(first[0] ?? 0);
    if (what === "d") pour(socket);
    else if (what !== "u") {
      socket.write(first);
      socket.on("data", (chunk: Buffer) => socket.write(chunk));
    }
    socket.resume();
  });
}

function pour(socket: Socket): void {
  while (!socket.destroyed && socket.write(BLOCK));
  socket.once("drain", () => pour(socket));
}

createServer({ noDelay: true }, serve).listen(Number(process.argv[2]), "127.0.0.1");
