import { runStep, type Step } from "./steps.ts";

const CACHE = "node_modules/.cache/taskgate";

/** Everything that needs no running gate. `npm test` runs it first. */
const STEPS: readonly Step[] = [
  {
    name: "format",
    command: ["prettier", "--check", "--log-level=warn", "--cache", `--cache-location=${CACHE}/prettier`, "."],
  },
  { name: "lint", command: ["eslint", "--cache", `--cache-location=${CACHE}/eslint`, "."] },
  { name: "types", command: ["tsc", "-p", "."] },
  {
    name: "boundaries",
    command: ["depcruise", "--config", ".dependency-cruiser.cjs", "src", "test", "bench", "testbed"],
  },
  { name: "generated files", command: [process.execPath, "scripts/generate.ts", "--check"] },
];

const UNIT: Step = { name: "unit tests", command: ["vitest", "run", "--project", "unit"] };

/** Runs every step even when one fails, the tests after the others, as some measure time; resolves to how many failed. */
export async function check(): Promise<number> {
  const passed = await Promise.all(STEPS.map((step) => runStep(step, false)));
  passed.push(await runStep(UNIT, true));
  return passed.filter((each) => !each).length;
}

if (import.meta.main) process.exitCode = (await check()) === 0 ? 0 : 1;
