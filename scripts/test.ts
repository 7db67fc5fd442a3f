import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./check.ts";
import { closingLine, type Outcome } from "./closing-line.ts";
import { runStep, type Step } from "./steps.ts";

/** First, and alone: tests that measure time beside a compiler would fail by it. */
const BUILT: Step = {
  name: "programs of clusters",
  command: [process.execPath, "testbed/kubernetes/main.ts", "build"],
};

/** `npm test`: the checks with the unit tests, then every other suite, and one closing line for all of it. */
async function main(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "taskgate-test-"));
  const countsFile = join(folder, "counts");
  process.env.TASKGATE_TEST_COUNTS = countsFile;
  try {
    const failedSteps = (await check()) + ((await runStep(BUILT, true)) ? 0 : 1);
    const lanes = [playSuites("suites"), playSuites("clusters"), playSuites("api-servers", "charts", "envoy")];
    const suites = (await Promise.all(lanes)).flat();
    const { counts, failures, flaky } = sum(countsFile);
    // A failed step without a failed test of its own (format, lint, types, a runner that died) counts as one.
    const unseen = failedSteps + suites.filter((passed) => !passed).length;
    const failed = Math.max(counts.failed, unseen > 0 ? 1 : 0);
    // Once more, as those of three lanes are far above and among each other's.
    for (const line of flaky) process.stdout.write(`FLAKY ${line}\n`);
    for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
    process.stdout.write(`${closingLine({ ...counts, failed })}\n`);
    return failed === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One project after the other, and so their files, as some measure: they wait more than they work. Resolves to which passed. */
async function playSuites(...projects: readonly string[]): Promise<readonly boolean[]> {
  const passed: boolean[] = [];
  for (const name of projects) {
    passed.push(await runStep({ name: `suites: ${name}`, command: ["vitest", "run", "--project", name] }, true));
  }
  return passed;
}

function sum(file: string): Outcome {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  // Not there where no runner got to its end: the failed steps count then.
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  const outcomes = lines.map((line) => JSON.parse(line) as Outcome);
  for (const outcome of outcomes) {
    counts.passed += outcome.counts.passed;
    counts.failed += outcome.counts.failed;
    counts.skipped += outcome.counts.skipped;
  }
  return {
    counts,
    failures: outcomes.flatMap(({ failures }) => failures),
    flaky: outcomes.flatMap(({ flaky }) => flaky),
  };
}

process.exitCode = (await main()) ? 0 : 1;
