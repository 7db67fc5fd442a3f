import { randomBytes } from "node:crypto";
import { isCode } from "../model/index.ts";
import type { Store } from "../store/store.ts";

const KIND = "secrets";
const KEY = "data-plane";
const BYTES = 32;

/** The data planes' secret (`EmbeddedPlaneDeps.secret`): taken from the store, made there the first time. Throws `unavailable`. */
export async function keepPlaneSecret(store: Store): Promise<string> {
  for (;;) {
    const held = await store.get<string>(KIND, KEY);
    if (held !== null) return held.value;
    try {
      await store.put(KIND, KEY, randomBytes(BYTES).toString("base64url"), { version: null });
    } catch (error) {
      if (!isCode(error, "conflict")) throw error; // somebody who starts now was first: theirs it is
    }
  }
}
