import { GatewayError } from "../model/index.ts";
import type { Versioned } from "./store.ts";

/** One key's last state, as stores keep it. */
export interface Entry {
  readonly kind: string;
  readonly key: string;
  /** JSON; null: removed or expired. */
  readonly value: string | null;
  /** Higher than that of every earlier state of the key. */
  readonly version: number;
}

/** A fresh value at every call: what one reader does to it is not seen by another. */
export function toVersioned(entry: Entry): Versioned<unknown> | null {
  return entry.value === null ? null : { value: JSON.parse(entry.value) as unknown, version: String(entry.version) };
}

/** Throws `conflict` unless what was found is what a write says it replaces; null: nothing. */
export function compareVersion(found: Entry | null, version: string | null): void {
  if ((found === null ? null : String(found.version)) === version) return;
  // Keys stay out of the messages: some are hashes of codes and tokens.
  if (found === null) throw new GatewayError("conflict", "the entry is not there");
  throw new GatewayError(
    "conflict",
    version === null ? "the entry is there already" : "the entry was changed meanwhile",
  );
}
