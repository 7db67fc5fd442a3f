import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that package.json is in: the checkout, or the installed package. */
export const packageRoot = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** What starts this program again: the same Node, the same code. */
export const ownCommand: readonly string[] = [process.execPath, join(packageRoot, "bin", "entry.mjs")];

/** The version of this program. */
export function ownVersion(): string {
  const parsed = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { readonly version: string };
  return parsed.version;
}
