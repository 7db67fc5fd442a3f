import { describe, expect, test } from "vitest";
import type { StartPlane } from "../testing/rig.ts";

/** What a plane does in another way than the suite says, and must be seen to do: no test is left out, one takes the place of another. */
export interface Difference {
  /** For whoever reads the list of tests: why it cannot be as the suite says. */
  readonly why: string;
  /** Shows what this plane does instead, with the values of the case. */
  readonly instead: (start: StartPlane, ...values: never[]) => Promise<void>;
}

/** By the title of a test; of one that is made for several cases, with the case in its place, or the template for all of them. */
export type Differences = Readonly<Record<string, Difference>>;

type Run = (...values: unknown[]) => unknown;

interface Declared {
  readonly title: string;
  readonly template: string;
  readonly values: readonly unknown[];
  readonly run: Run;
  readonly timeoutMs: number | undefined;
}

/** Declares tests as vitest's own does, but for those that a plane passes in its own way. `%s`, `%i`, `%o` and `%j` in a title stand for the values of a case, `$name` for what it has by that name. */
export interface PlaneTest {
  (title: string, run: () => unknown, timeoutMs?: number): void;
  readonly each: (typeof test)["each"];
}

/** What the parts of the suite are given. */
export interface PlaneSuite {
  readonly name: string;
  readonly start: StartPlane;
  readonly test: PlaneTest;
}

/** Call it where tests may be declared: a difference that names no test is itself a failure. */
export function planeSuite(name: string, start: StartPlane, differences: Differences): PlaneSuite {
  const used = new Set<string>();
  const declare = ({ title, template, values, run, timeoutMs }: Declared): void => {
    const key = title in differences ? title : template;
    const difference = differences[key];
    if (difference === undefined) return test(title, () => run(...values), timeoutMs);
    used.add(key);
    const instead = () => difference.instead(start, ...(values as never[]));
    test(`${title} - in its own way: ${difference.why}`, instead, timeoutMs);
  };
  const each = (cases: readonly unknown[]) => (template: string, run: Run, timeoutMs?: number) => {
    for (const one of cases) {
      const values: readonly unknown[] = Array.isArray(one) ? one : [one];
      declare({ title: titleOf(template, values), template, values, run, timeoutMs });
    }
  };
  const planeTest = Object.assign(
    (title: string, run: () => unknown, timeoutMs?: number) =>
      declare({ title, template: title, values: [], run, timeoutMs }),
    { each: each as PlaneTest["each"] },
  );
  describe(`${name} data plane: what differs`, () => {
    test("is named by tests that there are", () => {
      expect(Object.keys(differences).filter((title) => !used.has(title))).toEqual([]);
    });
  });
  return { name, start, test: planeTest };
}

function titleOf(template: string, values: readonly unknown[]): string {
  let at = 0;
  const [first] = values;
  const named = typeof first === "object" && first !== null ? new Map(Object.entries(first)) : null;
  return template.replaceAll(/%[soji]|\$\w+/g, (format) => {
    if (format.startsWith("$")) return named === null ? format : String(named.get(format.slice(1)));
    const value = values[at++];
    return format === "%o" || format === "%j" ? JSON.stringify(value) : String(value);
  });
}
