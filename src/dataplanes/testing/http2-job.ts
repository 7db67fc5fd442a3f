import { once } from "node:events";
import http2, { type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

/** A job that speaks HTTP/2 by prior knowledge. */
export interface Http2Job extends AsyncDisposable {
  readonly address: { readonly ip: string; readonly port: number };
  readonly sessions: ReadonlySet<ServerHttp2Session>;
}

/** `streams`: that it takes on one connection at once. */
export async function startHttp2Job(
  handle: (stream: ServerHttp2Stream, path: string) => void,
  streams = 100,
): Promise<Http2Job> {
  const server = http2.createServer({ settings: { maxConcurrentStreams: streams } });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    handle(stream, headers[":path"] ?? "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    sessions,
    address: { ip: "127.0.0.1", port: (server.address() as AddressInfo).port },
    [Symbol.asyncDispose]() {
      server.close();
      for (const session of sessions) session.destroy();
      return Promise.resolve();
    },
  };
}
