import { readFile, stat } from "node:fs/promises";
import { GatewayError } from "../../model/index.ts";
import type { Clock } from "../clock.ts";

/** How old what was read of a file may be; kubelets renew tokens long before they end. */
const MOST_AGE_MS = 60_000;
/** Larger than any token or bundle of authorities. */
const MOST_BYTES = 4 * 1024 * 1024;

/** A text that may change: a token, a certificate, a key. */
export interface TextSource {
  /** Throws `unavailable`. */
  read(): Promise<string>;
  /** What was read is not good (any more): the next `read` looks again. */
  refused(): void;
}

export function fixedText(value: string): TextSource {
  return { read: () => Promise.resolve(value), refused: () => undefined };
}

/** The text of a file, read again when it is a minute old. A file that cannot be read just then counts as unchanged. */
export function fileText(path: string, clock: Clock): TextSource {
  let kept: { readonly text: string; readonly at: number } | null = null;
  let isStale = false;
  return {
    async read() {
      const age = kept === null ? Infinity : clock.now() - kept.at;
      // A clock that was set back makes a negative age.
      if (kept !== null && !isStale && age >= 0 && age < MOST_AGE_MS) return kept.text;
      try {
        kept = { text: await readBounded(path), at: clock.now() };
        isStale = false;
      } catch (error) {
        if (kept === null) throw new GatewayError("unavailable", `${path} cannot be read`, { cause: error });
      }
      return kept.text;
    },
    refused() {
      isStale = true;
    },
  };
}

/** Throws what the file system does, and `too_large`. */
export async function readBounded(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > MOST_BYTES) throw new GatewayError("too_large", `${path} is larger than ${String(MOST_BYTES)} bytes`);
  return await readFile(path, "utf8");
}
