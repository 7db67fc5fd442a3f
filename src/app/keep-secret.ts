import { randomBytes } from "node:crypto";
import { isCode } from "../model/index.ts";
import type { Store } from "../store/store.ts";

const KIND = "secrets";
const BYTES = 32;

/**
 * A secret of 32 random bytes, base64url: taken from the store, made there the first time. `data-plane`: the planes' own
 * (`EmbeddedPlaneDeps.secret`); `sealing`: what gates of one store seal other people's secrets with. Throws `unavailable`.
 */
export async function keepSecret(store: Store, name: "data-plane" | "sealing"): Promise<string> {
  for (;;) {
    const held = await store.get<string>(KIND, name);
    if (held !== null) return held.value;
    try {
      await store.put(KIND, name, randomBytes(BYTES).toString("base64url"), { version: null });
    } catch (error) {
      if (!isCode(error, "conflict")) throw error; // somebody who starts now was first: theirs it is
    }
  }
}
