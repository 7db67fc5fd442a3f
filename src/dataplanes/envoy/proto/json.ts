import { decode, encode, type Message } from "./message.ts";
import { EncodedAny, type Json } from "./well-known.ts";

/**
 * The value as protobuf's JSON, which Envoy reads from files: bytes are base64, nothing is undefined, what was encoded before is spelt out,
 * fields stand by number. What has no table is an Any with its bytes under "value". Throws TypeError where the value does not fit the table.
 */
export function toJson<V>(type: Message<V>, value: NoInfer<V>): Json {
  return plain(decode(type, encode(type, value)));
}

function plain(value: unknown): Json {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof EncodedAny) return { "@type": value["@type"], value: plain(value.bytes) };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
