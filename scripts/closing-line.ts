import { appendFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestCase, TestModule } from "vitest/node";

/** Prints `N passed, N failed` (and skipped, if any) as the last line, and leaves it where the summing runner finds it. */
export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { readonly message: string }[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    const failures = unhandled.map(({ message }) => firstLine(message));
    const flaky: string[] = [];
    for (const module of modules) {
      const errors = module.errors();
      if (errors.length > 0) counts.failed += 1;
      failures.push(...errors.map(({ message }) => `${module.relativeModuleId}: ${firstLine(message)}`));
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed" || state === "failed" || state === "skipped") counts[state] += 1;
        if (state === "failed") failures.push(describeFailure(test));
        if (test.diagnostic()?.flaky === true) flaky.push(describeFailure(test));
      }
    }
    const file = process.env.TASKGATE_TEST_COUNTS;
    if (file !== undefined) appendFileSync(file, `${JSON.stringify({ counts, failures, flaky } satisfies Outcome)}\n`);
    else process.stdout.write(`${closingLine(counts)}\n`);
  }
}

/** Of tests. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Of one run; a line of `failures` for each test that failed, and one of `flaky` for each that passed at its second try alone. */
export interface Outcome {
  readonly counts: Counts;
  readonly failures: readonly string[];
  readonly flaky: readonly string[];
}

/** `N passed, N failed`, and the skipped, if any. */
export function closingLine(counts: Counts): string {
  const skipped = counts.skipped > 0 ? `, ${String(counts.skipped)} skipped` : "";
  return `${String(counts.passed)} passed, ${String(counts.failed)} failed${skipped}`;
}

function describeFailure(test: TestCase): string {
  const messages = (test.result().errors ?? []).map(({ message }) => firstLine(message));
  return `${test.module.relativeModuleId} > ${test.fullName}: ${messages.join("; ")}`;
}

function firstLine(message: string): string {
  return stripVTControlCharacters(message).split("\n", 1)[0] ?? "";
}

export { ClosingLine as default };
