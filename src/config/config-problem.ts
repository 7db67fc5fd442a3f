/** What is wrong with a configuration, as data. */
export interface ConfigProblem {
  /** With an error there is no configuration. */
  readonly severity: "error" | "warning";
  /** Path of the file; an environment variable, `environment`, `command line` or `defaults` where no file says it. */
  readonly file: string;
  /** From 1; null where there is none: a missing file, the environment. */
  readonly line: number | null;
  /** From 1, in UTF-16 code units. */
  readonly column: number | null;
  /** `login.link`, `files[0].path`, an environment variable; empty for the whole. */
  readonly key: string;
  /** What is wrong and what was expected. Never holds the value of a key that looks like a secret's. */
  readonly message: string;
  readonly expected: string | null;
  /** What was likely meant. */
  readonly suggestion: string | null;
}

/** Where something of a configuration was said. */
export type Place = Pick<ConfigProblem, "file" | "line" | "column">;

/** A problem of severity error, at a place. */
export function problemAt(
  place: Place,
  about: Pick<ConfigProblem, "key" | "message"> & Partial<ConfigProblem>,
): ConfigProblem {
  const { file, line, column } = place;
  return { severity: "error", file, line, column, expected: null, suggestion: null, ...about };
}

/** For a terminal: a line each, `FILE:LINE:COLUMN: KEY: what is wrong`, without a line end after the last. */
export function formatConfigProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(formatOne).join("\n");
}

function formatOne(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== null).join(":");
  const key = problem.key === "" ? "" : `${problem.key}: `;
  const severity = problem.severity === "warning" ? "warning: " : "";
  const suggestion = problem.suggestion === null ? "" : `; did you mean ${problem.suggestion}?`;
  return printable(`${place}: ${severity}${key}${problem.message}${suggestion}`);
}

/** Escapes what could steer a terminal or hide text in it. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A value as a message may show it: shortened, and by its type alone where `key` looks like a secret's. */
export function show(value: unknown, key: string): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a section";
  if (looksSecret(key)) return typeof value === "string" ? "some text" : `a ${typeof value}`;
  const text = typeof value === "string" && value.length > 60 ? `${value.slice(0, 57)}...` : value;
  return JSON.stringify(text);
}

/** Whether a key's name says that its value is not for others. The whole file may be somebody's token, too. */
function looksSecret(key: string): boolean {
  return key === "" || /secret|passw|passphrase|credential|token|(^|[.a-z])key($|[.[])/i.test(key);
}
