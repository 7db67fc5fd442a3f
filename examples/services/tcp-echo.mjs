// Raw TCP: sends back what comes, and ends when the other side does.
import { createServer } from "node:net";

createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
}).listen(Number(process.env.PORT), "127.0.0.1");
