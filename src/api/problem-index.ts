import { isDeepStrictEqual } from "node:util";
import type { TableState } from "../core/table-state.ts";
import { GATE_PROVIDER, type Problem } from "../model/index.ts";

/** Problems by the task that they are of. Read again only after `outdated`. */
export interface ProblemIndex {
  of(taskKey: string): readonly Problem[];
  /** Of sources, planes, and what belongs to no task that visitors see. */
  rest(): readonly Problem[];
  outdated(): void;
  /** Returns the keys of tasks whose problems changed; `more` is what the plane has to say. */
  refresh(more: readonly Problem[]): readonly string[];
}

/** Of the problems of the table, and what else `refresh` is given. */
export function createProblemIndex(state: TableState): ProblemIndex {
  let byTask: ReadonlyMap<string, readonly Problem[]> = new Map();
  let rest: readonly Problem[] = [];
  let current = false;
  return {
    of: (taskKey) => byTask.get(taskKey) ?? [],
    rest: () => rest,
    outdated: () => void (current = false),
    refresh(more) {
      if (current) return [];
      current = true;
      const all = distinct([...state.table.problems.values(), ...more]);
      const next = Map.groupBy(all, (problem) => taskOf(problem.subject, state));
      rest = next.get(null) ?? [];
      const before = byTask;
      byTask = new Map([...next].flatMap(([key, list]) => (key === null ? [] : [[key, list] as const])));
      const keys = new Set([...before.keys(), ...byTask.keys()]);
      return [...keys].filter((key) => !isDeepStrictEqual(before.get(key), byTask.get(key)));
    },
  };
}

/** Whatever order they come in, and however often, the same list. */
function distinct(problems: readonly Problem[]): Problem[] {
  const byText = new Map(problems.map((problem) => [`${problem.subject} ${problem.code} ${problem.message}`, problem]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, problem]) => problem);
}

/** The task that `provider/task` or `provider/task/service` names; null: none that visitors see. Task ids may hold slashes. */
function taskOf(subject: string, state: TableState): string | null {
  for (let key = subject; key.includes("/"); key = key.slice(0, key.lastIndexOf("/"))) {
    const merged = state.tasks.get(key);
    if (merged !== undefined) return merged.provider === GATE_PROVIDER ? null : key;
  }
  return null;
}
