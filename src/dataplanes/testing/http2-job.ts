import http2, { type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { serveOn, type App } from "./apps.ts";

/** A job that speaks HTTP/2 by prior knowledge. */
export interface Http2Job extends App {
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
  return Object.assign(await serveOn(server), { sessions });
}
