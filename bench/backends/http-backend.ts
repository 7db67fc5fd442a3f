// A backend, run as a process of its own: PORT. It costs as little as a Node program can, for it shares processors with the load:
// requests without body are counted by their blank lines, and answered all the same way.
import { createServer, type Socket } from "node:net";

const SMALL = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 12\r\nServer: bench\r\nCache-Control: no-cache\r\n\r\nHello World\n",
);
const END_OF_HEAD = "\r\n\r\n";

function serve(socket: Socket): void {
  let rest = "";
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    const text = rest + chunk.toString("latin1");
    let [from, answers] = [0, 0];
    for (let end = text.indexOf(END_OF_HEAD); end >= 0; end = text.indexOf(END_OF_HEAD, from)) {
      from = end + END_OF_HEAD.length;
      answers++;
    }
    rest = from === text.length ? "" : text.slice(from);
    if (answers === 1) socket.write(SMALL);
    else for (let each = 0; each < answers; each++) socket.write(SMALL);
  });
}

createServer({ noDelay: true }, serve).listen(Number(process.argv[2]), "127.0.0.1");
