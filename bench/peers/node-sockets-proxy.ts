// A peer, run as a process of its own: PORT:BACKEND_PORT …
import { connect, createServer } from "node:net";

for (const pair of process.argv.slice(2)) {
  const [port, backend] = pair.split(":").map(Number);
  createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: Number(backend), host: "127.0.0.1", noDelay: true });
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.pipe(upstream).pipe(client);
  }).listen(port, "127.0.0.1");
}
