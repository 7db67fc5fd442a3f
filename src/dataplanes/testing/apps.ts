import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import net, { type AddressInfo, type Server, type Socket } from "node:net";

export interface App extends AsyncDisposable {
  readonly address: { readonly ip: string; readonly port: number };
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections ever. */
  connections(): number;
}

/** Whatever it speaks: at that port of the loopback, a free one by default. */
export async function serveOn<T extends Server>(server: T, port = 0): Promise<App & { readonly server: T }> {
  const sockets = new Set<Socket>();
  let count = 0;
  server.on("connection", (socket: Socket) => {
    count += 1;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    server,
    sockets,
    address: { ip: "127.0.0.1", port: (server.address() as AddressInfo).port },
    connections: () => count,
    [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}

/** A job that speaks HTTP/1.1. */
export function startHttpApp(
  handle: (req: IncomingMessage, res: ServerResponse) => void,
  port = 0,
): Promise<App & { readonly server: http.Server }> {
  return serveOn(http.createServer({ keepAliveTimeout: 60_000 }, handle), port);
}

/** A job that does what it likes with bytes. */
export function startTcpApp(handle: (socket: Socket) => void, port = 0): Promise<App> {
  return serveOn(net.createServer({ allowHalfOpen: true }, handle), port);
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  await using app = await startTcpApp(() => undefined);
  return app.address.port;
}

/** Answers with what it was asked: method, url, rawHeaders, body and rawTrailers, as JSON. */
export function echo(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const { method, url, rawHeaders, rawTrailers } = req;
    res.end(JSON.stringify({ method, url, rawHeaders, rawTrailers, body: Buffer.concat(chunks).toString("latin1") }));
  });
}
