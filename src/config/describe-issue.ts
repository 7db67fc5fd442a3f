import type { z } from "zod";
import { CONFIG_KEYS, dotted } from "./config-keys.ts";
import { type ConfigProblem, show } from "./config-problem.ts";
import { nearest } from "./nearest.ts";

/** A problem that has no place yet. */
export interface Finding extends Pick<ConfigProblem, "key" | "message"> {
  readonly path: readonly PropertyKey[];
  /** The key itself is wrong, not its value. */
  readonly atKey?: boolean;
  readonly severity?: ConfigProblem["severity"];
  readonly expected?: string;
  readonly suggestion?: string | null;
}

type Issue = z.core.$ZodIssue;

/** What the schema found wrong, in our words. `valueAt` gives what was written at a path. */
export function describeIssue(issue: Issue, valueAt: (path: readonly PropertyKey[]) => unknown): Finding[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((name) => unknownKey(issue.path, name));
  const { path } = issue;
  const key = dotted(path);
  if (issue.code === "invalid_key") {
    const expected = withoutPrefix(issue.issues[0]?.message ?? "") ?? "another name";
    return [{ path, key, atKey: true, message: `the name of this key is wrong: expected ${expected}`, expected }];
  }
  const expected = expectedBy(issue);
  if (expected === null) return [{ path, key, message: issue.message }];
  const value = valueAt(path);
  if (value === undefined) return [{ path, key, message: `is missing: expected ${expected}`, expected }];
  const message = `expected ${expected}, got ${show(value, key)}`;
  const suggestion =
    issue.code === "invalid_value" && typeof value === "string" ? nearest(value, issue.values.map(String)) : null;
  return [{ path, key, message, expected, suggestion }];
}

/** Names of the keys that a section may hold. */
const NAMES_IN: ReadonlyMap<string, readonly string[]> = new Map(
  [...Map.groupBy(CONFIG_KEYS, ({ path }) => dotted(path.slice(0, -1)))].map(([section, keys]) => [
    section,
    keys.map(({ path }) => path.at(-1) ?? ""),
  ]),
);

function unknownKey(parent: readonly PropertyKey[], name: string): Finding {
  const path = [...parent, name];
  const names = NAMES_IN.get(dotted(parent.map((part) => (typeof part === "number" ? "[]" : part)))) ?? [];
  // A right key in the wrong section is told with its section.
  const elsewhere = CONFIG_KEYS.find((one) => one.path.at(-1) === name)?.key;
  return {
    path,
    key: dotted(path),
    atKey: true,
    message: "unknown key",
    expected: names.join(", "),
    suggestion: nearest(name, names) ?? elsewhere ?? null,
  };
}

/** null: the issue says by itself what is wrong. */
function expectedBy(issue: Issue): string | null {
  const said = withoutPrefix(issue.message);
  if (said !== null) return said;
  if (issue.code === "invalid_value") return `one of ${issue.values.map(String).join(", ")}`;
  if (issue.code !== "invalid_type") return null;
  if (issue.expected === "object" || issue.expected === "record") return "a section with keys";
  return issue.expected === "array" ? "a list" : "text";
}

function withoutPrefix(message: string): string | null {
  return message.startsWith("expected ") ? message.slice("expected ".length) : null;
}
