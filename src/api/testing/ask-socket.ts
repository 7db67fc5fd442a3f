import { request, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { API_PREFIX } from "../wire.ts";

export interface Ask {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  /** null: none. */
  readonly token?: string | null;
}

/** Asks over a unix socket. `path` is under the API's prefix unless it begins with `//`, which stands for the host's root. */
export function askSocket(socketPath: string, path: string, ask: Ask): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request(
    {
      socketPath,
      method: ask.method ?? (ask.body === undefined ? "GET" : "POST"),
      path: path.startsWith("//") ? path.slice(1) : `${API_PREFIX}${path}`,
      agent: false,
      headers: headersOf(ask),
    },
    resolve,
  );
  sent.on("error", reject);
  sent.end(ask.body);
  return promise;
}

function headersOf({ token, body, headers }: Ask): OutgoingHttpHeaders {
  return {
    host: "taskgate.localhost:7080",
    "x-forwarded-for": "127.0.0.1",
    ...(token === null || token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...headers,
  };
}
