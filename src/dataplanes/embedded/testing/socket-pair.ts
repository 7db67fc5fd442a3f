import { once } from "node:events";
import net, { type Socket } from "node:net";

/** A connection's two ends: who made it, and who accepted it. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const a = net.connect({ port: (server.address() as net.AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [b] = (await once(server, "connection")) as [Socket];
  server.close();
  for (const socket of [a, b]) socket.on("error", () => undefined);
  return [a, b];
}
