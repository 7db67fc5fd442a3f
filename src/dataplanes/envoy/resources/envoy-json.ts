import { pack, type Message } from "../proto/kit.ts";
import type { ConfigSource } from "../proto/tables/config-source.ts";

/** What one connection may hold each way before whoever sends is made to wait. */
export const BUFFER_BYTES = 256 * 1024;

/** "0.25s". */
export function seconds(ms: number): `${number}s` {
  return `${ms / 1000}s`;
}

/** By the same stream as all else. */
export const FROM_GATE: ConfigSource = { ads: {}, resourceApiVersion: "V3" };

/** A named extension with its configuration. */
export function extension<T>(name: string, type: Message<T>, config: NoInfer<T>) {
  return { name, typedConfig: pack(type, config) };
}
