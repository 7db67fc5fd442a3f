import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A file of a pod. */
export interface RunFile {
  readonly text: string;
  /** Default: 0o644. */
  readonly mode?: number;
}

/** Files by absolute path, as the master hands them to a pod: by key of its ConfigMap; nothing where there are none. */
export function packFiles(files: Readonly<Record<string, RunFile>>): Readonly<Record<string, Buffer>> {
  const paths = Object.entries(files);
  if (paths.length === 0) return {};
  const folder = mkdtempSync(join(tmpdir(), "taskgate-run-archive-"));
  try {
    const root = join(folder, "root");
    for (const [path, { text, mode = 0o644 }] of paths) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode });
    }
    const archive = join(folder, "0.tar.gz");
    execFileSync("tar", ["-czf", archive, "-C", root, "."]);
    return { "0.tar.gz": readFileSync(archive) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
