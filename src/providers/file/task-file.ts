import { isMap, isSeq, LineCounter, type Document, type YAMLMap } from "yaml";
import type { z } from "zod";
import { type BadKey, findBadKeys, parseYamlText, toPlainData, TOO_DEEP } from "../../config/yaml-text.ts";
import type { Identity, Problem, Task } from "../../model/index.ts";
import { buildTask, type TargetCheck } from "./build-task.ts";
import { TaskEntry } from "./task-schema.ts";

const TASKS_KEY = "tasks";

export interface TaskFileContext {
  /** For messages: the file's path. */
  readonly path: string;
  /** Whose tasks are that name no owner. */
  readonly owner: Identity;
  readonly target: TargetCheck;
}

/** What a text says. One bad task is a problem; a text that cannot be read says nothing. */
export type TaskFile =
  | { readonly ok: true; readonly tasks: readonly Task[]; readonly problems: readonly Problem[] }
  /** The file as a whole tells nothing: `message` starts with file and line. */
  | { readonly ok: false; readonly message: string };

/** Reads the text of a task file (YAML 1.2, of which JSON is a part). Never throws: a bad task is a Problem, its neighbours stay. */
export function parseTaskFile(text: string, context: TaskFileContext): TaskFile {
  try {
    return readDocument(text, context);
  } catch (error) {
    // The reader recurses, so that nesting without end overflows its stack. Nothing else is known to throw, and no file may end the gate.
    const why = error instanceof RangeError ? TOO_DEEP.message : "this cannot be read";
    return { ok: false, message: `${context.path}:1: ${why}` };
  }
}

function lineStarts(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines.addNewLine(at + 1);
  return lines;
}

function readDocument(text: string, context: TaskFileContext): TaskFile {
  const lines = lineStarts(text);
  const { document, faults } = parseYamlText(text);
  const broken = (offset: number, what: string): TaskFile => ({
    ok: false,
    message: `${context.path}:${String(lines.linePos(offset).line)}: ${what}`,
  });
  const { contents } = document;
  const badKeys = faults.length > 0 ? [] : findBadKeys(contents);
  const [fault = badKeys.find(({ path }) => path.length < 2)] = faults;
  if (fault !== undefined) return broken(fault.offset, fault.message);
  // An empty file is what a save in progress looks like, and empty is not unknown: no tasks are written as `tasks: []`.
  if (!isMap(contents))
    return broken(0, "expected a list under the key tasks; no tasks at all are written as tasks: []");
  const stranger = contents.items.map((pair) => pair.key).find((key) => keyText(key) !== TASKS_KEY);
  if (stranger !== undefined) {
    return broken(offsetOf(stranger), `unknown key ${JSON.stringify(keyText(stranger).slice(0, 60))}; expected tasks`);
  }
  const list = (contents as YAMLMap).get(TASKS_KEY, true);
  if (!isSeq(list))
    return broken(offsetOf(list), "expected a list under the key tasks; no tasks at all are written as tasks: []");
  const lineOf = (path: readonly PropertyKey[]) => lines.linePos(offsetAt(document, path)).line;
  return readEntries(document, { ...context, lineOf, badKeys: Map.groupBy(badKeys, ({ path }) => path[1]) });
}

interface Reading extends TaskFileContext {
  /** Line of the value at a path of the document, or of the nearest around it. */
  readonly lineOf: (path: readonly PropertyKey[]) => number;
  /** By the index of the task that they are in. */
  readonly badKeys: ReadonlyMap<PropertyKey | undefined, readonly BadKey[]>;
}

function readEntries(document: Document.Parsed, reading: Reading): TaskFile {
  const plain = toPlainData(document);
  if ("fault" in plain) return { ok: false, message: `${reading.path}:1: ${plain.fault.message}` };
  const value = plain.value as { readonly tasks: readonly unknown[] };
  const tasks = new Map<string, Task>();
  const problems: Problem[] = [];
  for (const [index, raw] of value.tasks.entries()) {
    const at = [TASKS_KEY, index];
    const [badKey] = reading.badKeys.get(index) ?? [];
    if (badKey !== undefined) {
      problems.push(keyProblem(badKey, reading));
      continue;
    }
    const parsed = TaskEntry.safeParse(raw);
    if (!parsed.success) {
      problems.push(...parsed.error.issues.slice(0, 5).map((issue) => issueProblem(issue, at, reading)));
    } else if (tasks.has(parsed.data.name)) {
      problems.push(
        problemAt(
          [...at, "name"],
          "task_invalid",
          `two tasks are named ${parsed.data.name}; the first is kept`,
          reading,
        ),
      );
    } else {
      const built = buildTask(parsed.data, reading);
      tasks.set(parsed.data.name, built.task);
      for (const refused of built.refused)
        problems.push(problemAt([...at, ...refused.path], "endpoint_invalid", refused.message, reading));
    }
  }
  return { ok: true, tasks: [...tasks.values()], problems };
}

function keyProblem({ path, message }: BadKey, reading: Reading): Problem {
  return problemAt(path, "task_invalid", `the task is left out: ${path.slice(2).join(".")}: ${message}`, reading);
}

function issueProblem(issue: z.core.$ZodIssue, at: readonly PropertyKey[], reading: Reading): Problem {
  const where = issue.path.join(".");
  const what = where === "" ? issue.message : `${where}: ${issue.message}`;
  return problemAt([...at, ...issue.path], "task_invalid", `the task is left out: ${what}`, reading);
}

function problemAt(path: readonly PropertyKey[], code: string, message: string, reading: Reading): Problem {
  return { subject: `${reading.path}:${String(reading.lineOf(path))}`, code, message };
}

function keyText(key: unknown): string {
  const value: unknown = typeof key === "object" && key !== null && "value" in key ? key.value : key;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function offsetOf(node: unknown): number {
  const range: unknown = typeof node === "object" && node !== null && "range" in node ? node.range : null;
  return Array.isArray(range) && typeof range[0] === "number" ? range[0] : 0;
}

/** Where the node at `path` starts, or the innermost that is there. */
function offsetAt(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const offset = offsetOf(node);
    if (offset > 0) return offset;
  }
  return 0;
}
