import { createHash, randomBytes } from "node:crypto";
import type { ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { eachField, type Fields, type Upgrade } from "./exchange.ts";

/** What a server appends to the key before it hashes it (RFC 6455 §4.2.2). */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NOTHING = Buffer.alloc(0);

/**
 * A WebSocket over HTTP/2 (RFC 8441) as jobs know it: its request gets the fields of an HTTP/1.1 handshake, with a key of ours, so that all
 * that looks at upgrades sees one.
 */
export function webSocketUpgrade(
  stream: ServerHttp2Stream,
  fields: Fields,
): { readonly fields: string[]; readonly upgrade: Upgrade } {
  const key = randomBytes(16).toString("base64");
  const agreed = createHash("sha1").update(`${key}${KEY_SUFFIX}`).digest("base64");
  const kept = without(fields, ["connection", "upgrade", "sec-websocket-key"]);
  return {
    fields: [...kept, "connection", "Upgrade", "upgrade", "websocket", "sec-websocket-key", key],
    upgrade: {
      protocol: "websocket",
      take: () => NOTHING,
      accept(_status, answer) {
        let answered = "";
        eachField(answer, (name, value) => {
          if (name.toLowerCase() === "sec-websocket-accept") answered = value;
        });
        if (answered !== agreed) throw new Error("the job did not agree to a WebSocket");
        return begin(stream, without(answer, ["connection", "upgrade", "sec-websocket-accept"]));
      },
    },
  };
}

/** CONNECT over HTTP/2 (RFC 9113 §8.5). */
export function tunnelUpgrade(stream: ServerHttp2Stream): Upgrade {
  return { protocol: "", take: () => NOTHING, accept: (_status, fields) => begin(stream, without(fields, [])) };
}

/** Names in lower case, as HTTP/2 has them. */
function without(fields: Fields, names: readonly string[]): string[] {
  const kept: string[] = [];
  eachField(fields, (name, value) => {
    const key = name.toLowerCase();
    if (!names.includes(key)) kept.push(key, value);
  });
  return kept;
}

function begin(stream: ServerHttp2Stream, fields: Fields): Duplex {
  if (stream.destroyed || stream.closed) throw new Error("the visitor left");
  stream.respond([":status", "200", ...fields]);
  return stream;
}
