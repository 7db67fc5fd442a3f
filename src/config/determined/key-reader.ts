import type { z } from "zod";
import { dotted } from "../config-keys.ts";
import { describeIssue, type Finding } from "../describe-issue.ts";
import { nearest } from "../nearest.ts";
import { valueAt } from "../value-at.ts";

type Path = readonly PropertyKey[];

/** Reads parts of a text of Determined's, and notes what is wrong with each, all at once. */
export class KeyReader {
  readonly findings: Finding[] = [];
  readonly #root: unknown;

  constructor(root: unknown) {
    this.#root = root;
  }

  /** What is written there; undefined: nothing. */
  valueAt(path: Path): unknown {
    return valueAt(this.#root, path);
  }

  /** null: it is wrong, which is noted. */
  read<T extends z.ZodType>(schema: T, path: Path): z.output<T> | null {
    const parsed = schema.safeParse(this.valueAt(path));
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const at = { ...issue, path: [...path, ...issue.path] };
      this.findings.push(...describeIssue(at, (where) => this.valueAt(where)));
    }
    return null;
  }

  fail(path: Path, message: string): void {
    this.findings.push({ path, key: dotted(path), message });
  }

  warn(path: Path, message: string): void {
    this.findings.push({ path, key: dotted(path), message, severity: "warning" });
  }

  /** Notes keys that are none of these, with the nearest that is. */
  checkNames(path: Path, known: readonly string[], severity: "error" | "warning"): void {
    const message =
      severity === "error" ? "unknown key" : "unknown key, which Determined passes over, and the gate with it";
    for (const name of Object.keys((this.valueAt(path) as object | null | undefined) ?? {})) {
      if (known.includes(name)) continue;
      const at = [...path, name];
      const suggestion = nearest(name, known);
      this.findings.push({ path: at, key: dotted(at), atKey: true, message, severity, suggestion });
    }
  }
}
