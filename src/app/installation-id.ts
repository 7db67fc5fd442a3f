import { randomInt } from "node:crypto";
import { isCode } from "../model/index.ts";
import type { Store } from "../store/store.ts";

const KIND = "installation";
const KEY = "id";
const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH = 10;

/**
 * What all gates of one store are known by to others: ten lower-case letters and digits, the first a letter, made the first time. It is written on
 * what they make elsewhere, so that each installation knows its own. Throws `unavailable`.
 */
export async function keepInstallationId(store: Store): Promise<string> {
  for (;;) {
    const held = await store.get<string>(KIND, KEY);
    if (held !== null) return held.value;
    try {
      await store.put(KIND, KEY, makeId(), { version: null });
    } catch (error) {
      if (!isCode(error, "conflict")) throw error; // another gate was first: its one it is
    }
  }
}

function makeId(): string {
  return Array.from({ length: LENGTH }, (_, at) => LETTERS[randomInt(at === 0 ? 26 : LETTERS.length)]).join("");
}
