import { renameSync, writeFileSync } from "node:fs";

/** Writes a file for its owner alone, all of it or nothing, also under kill -9: whoever reads it finds what was before, or this. */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${String(process.pid)}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}
