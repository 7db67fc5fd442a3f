import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { eachField, type Fields, type Upgrade } from "../exchange.ts";
import type { RequestRead } from "./read-request.ts";

/** What a server appends to the key before it hashes it (RFC 6455 §4.2.2). */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NOTHING = Buffer.alloc(0);

/** Says yes with these fields, and gives the stream. Throws where it cannot. */
type Join = (fields: Fields) => Duplex;

/** The protocol that a request asks to change to, and its fields as a job gets them. */
export function readUpgrade(
  { method, protocol, fields }: RequestRead,
  join: Join,
): { readonly fields: Fields; readonly upgrade: Upgrade | null } {
  if (method !== "CONNECT") return { fields, upgrade: null };
  // CONNECT as it ever was (RFC 9113 §8.5).
  if (protocol === null)
    return { fields, upgrade: { protocol: "", take: () => NOTHING, accept: (_, answer) => join(answer) } };
  return protocol.toLowerCase() === "websocket" ? webSocket(fields, join) : { fields, upgrade: null };
}

/**
 * A WebSocket over HTTP/2 (RFC 8441) as jobs know it: its request gets the fields of an HTTP/1.1 handshake, with a key of ours, so that all
 * that looks at upgrades sees one.
 */
function webSocket(fields: Fields, join: Join): { readonly fields: Fields; readonly upgrade: Upgrade } {
  const key = randomBytes(16).toString("base64");
  const agreed = createHash("sha1").update(`${key}${KEY_SUFFIX}`).digest("base64");
  const kept = without(fields, ["sec-websocket-key"]);
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
        return join(without(answer, ["connection", "upgrade", "sec-websocket-accept"]));
      },
    },
  };
}

function without(fields: Fields, names: readonly string[]): string[] {
  const kept: string[] = [];
  eachField(fields, (name, value) => {
    if (!names.includes(name.toLowerCase())) kept.push(name, value);
  });
  return kept;
}
