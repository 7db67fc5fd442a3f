// Server-sent events: one at once, then one a second, for as long as somebody listens.
import { createServer } from "node:http";

createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  let count = 0;
  const tick = () => response.write(`id: ${++count}\ndata: ${new Date().toISOString()}\n\n`);
  tick();
  const timer = setInterval(tick, 1000);
  response.on("close", () => clearInterval(timer));
}).listen(Number(process.env.PORT), "127.0.0.1");
