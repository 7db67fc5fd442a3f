import { createServer, type Server } from "node:net";
import { GatewayError } from "../../model/index.ts";

const TRIES = 64;

/**
 * `count` ports of 127.0.0.1 that are free now, in neither set. They are added to `taken` while they are still held, so that of two
 * callers neither gets the other's. Throws `unavailable` where none are left.
 */
export async function pickPorts(
  count: number,
  taken: Set<number>,
  never: ReadonlySet<number>,
): Promise<readonly number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let tries = 0; ports.length < count; tries += 1) {
      if (tries >= count + TRIES) throw new GatewayError("unavailable", "This machine has no free ports left.");
      const server = await listenAnywhere();
      held.push(server);
      const address = server.address();
      if (typeof address !== "object" || address === null || taken.has(address.port) || never.has(address.port))
        continue;
      taken.add(address.port);
      ports.push(address.port);
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

async function listenAnywhere(): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new GatewayError("unavailable", "No free port could be found on this machine.", { cause })),
    );
    server.listen({ port: 0, host: "127.0.0.1", exclusive: true }, resolve);
  });
  return server;
}
