/** What is wrong with one user object, as data. A bad object never stops a good one. */
export interface Problem {
  /** What it is about: `provider/task` or `provider/task/service`, a source's name, a file and line. */
  readonly subject: string;
  /** Stable, for programs: `name_taken`, `port_refused`. Listed in docs/errors.md. */
  readonly code: string;
  /** What was found, what was expected, what to do. */
  readonly message: string;
  /** Epoch ms since when it is so, where that is known. */
  readonly since?: number | undefined;
}

/** The one spelling of a problem, different for different ones: its key in a table. */
export function problemKey(problem: Problem): string {
  return `${problem.code} ${JSON.stringify(problem.subject)} ${problem.message}`;
}
