import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { z } from "zod";
import type { Claim, Route, SourceUpdate, Task } from "../model/index.ts";
import { createTableState } from "./create-table-state.ts";
import { readTask } from "./read-task.ts";
import type { Built, TableOptions } from "./table-state.ts";
import { OPTIONS } from "./testing/make.ts";

const TESTDATA = join(import.meta.dirname, "testdata");

/** What each stage takes; tasks are as hostile as they like to be, what is around them is not. */
const READ = z.strictObject({
  about: z.string(),
  provider: z.string(),
  previous: z.unknown().optional(),
  task: z.unknown(),
});
const UPDATE = z.union([
  z.strictObject({ source: z.string(), whole: z.array(z.unknown()), problems: z.array(z.unknown()).default([]) }),
  z.strictObject({
    source: z.string(),
    set: z.array(z.unknown()).default([]),
    removed: z.array(z.string()).default([]),
  }),
  z.strictObject({ source: z.string(), stale: z.string() }),
]);
const BUILD = z.strictObject({
  about: z.string(),
  options: z
    .strictObject({
      ceiling: z.enum(["nobody", "authenticated", "public"]).optional(),
      tcp: z
        .strictObject({
          ports: z.strictObject({ from: z.number(), to: z.number() }),
          services: z.record(z.string(), z.union([z.number(), z.literal("auto")])),
        })
        .optional(),
    })
    .default({}),
  sources: z.array(z.string()),
  claims: z.array(z.strictObject({ match: z.unknown(), service: z.string(), since: z.number() })).default([]),
  builds: z.array(z.array(UPDATE)),
});

const STAGES: Readonly<Record<string, (text: string) => unknown>> = { read: runRead, build: runBuild };

function runRead(text: string): unknown {
  const { provider, task, previous } = READ.parse(parse(text));
  const source = { provider, id: "t", key: `${provider}/t`, loopback: provider === "local" };
  const before = previous === undefined ? null : readTask(previous, { ...source, previous: null }).task;
  const read = readTask(task, { ...source, previous: before });
  return {
    task: read.task,
    unchanged: before !== null && read.task === before,
    broken: [...read.broken],
    problems: read.problems,
  };
}

function runBuild(text: string): unknown {
  const input = BUILD.parse(parse(text));
  const state = createTableState({ ...OPTIONS, ...(input.options as Partial<TableOptions>) }, input.claims as Claim[]);
  for (const source of input.sources) state.addSource(source);
  return input.builds.map((updates, index) => {
    for (const update of updates) state.update(update.source, sourceUpdate(update));
    const built = state.build(1000 + index);
    return built === null ? null : builtText(built);
  });
}

function sourceUpdate(update: z.output<typeof UPDATE>): SourceUpdate {
  if ("stale" in update) return { kind: "stale", since: 5, error: new Error(update.stale) };
  if ("whole" in update) return { kind: "whole", tasks: update.whole as Task[], problems: update.problems as [] };
  return { kind: "change", set: update.set as Task[], removed: update.removed, problems: [] };
}

function builtText({ diff, claims, tasks, sources }: Built): unknown {
  const sorted = (lines: readonly string[]) => lines.toSorted();
  return {
    revision: diff.to.seq,
    routes: { set: sorted(diff.routes.set.map(routeText)), removed: sorted(diff.routes.removed) },
    upstreams: { set: sorted(diff.upstreams.set.map((one) => one.id)), removed: sorted(diff.upstreams.removed) },
    endpoints: {
      set: diff.endpoints.set.map((one) => ({ [one.upstream]: one.list.map((endpoint) => JSON.stringify(endpoint)) })),
      removed: sorted(diff.endpoints.removed),
    },
    problems: {
      set: sorted(diff.problems.set.map((one) => `${one.subject} ${one.code}: ${one.message}`)),
      removed: sorted(diff.problems.removed),
    },
    claims: {
      set: sorted(claims.set.map((claim) => `${JSON.stringify(claim.match)} ${claim.service} ${claim.since}`)),
      removed: sorted(claims.removed),
    },
    tasks: { set: sorted(tasks.set), removed: sorted(tasks.removed) },
    sources,
  };
}

function routeText(route: Route): string {
  const { id, upstream, replica, protocol, guard, access } = route;
  const to = replica === undefined ? upstream : `${upstream}, replica ${replica},`;
  return `${id} -> ${to} (${protocol}, guard ${guard}, anyone ${access.anyone})`;
}

for (const [stage, run] of Object.entries(STAGES)) {
  const folder = join(TESTDATA, stage);
  const inputs = readdirSync(folder).filter((name) => name.endsWith(".in.yaml"));

  describe(`${stage} stage`, () => {
    test.each(inputs)("%s gives what is on record", async (input) => {
      const text = readFileSync(join(folder, input), "utf8");
      const output = stringify(run(text), { lineWidth: 0, aliasDuplicateObjects: false });
      await expect(output).toMatchFileSnapshot(join(folder, `${basename(input, ".in.yaml")}.out.yaml`));
    });

    test("every record has its input", () => {
      const outputs = readdirSync(folder).filter((name) => name.endsWith(".out.yaml"));
      expect(outputs.filter((name) => !existsSync(join(folder, name.replace(".out.", ".in."))))).toEqual([]);
      expect(readdirSync(folder)).toHaveLength(inputs.length + outputs.length);
      expect(outputs).toHaveLength(inputs.length);
    });

    test.each(inputs)("%s with an unknown key is rejected", (input) => {
      const text = readFileSync(join(folder, input), "utf8");
      expect(() => run(`${text}\nsurplus: 1\n`)).toThrow(/surplus/);
    });
  });
}
