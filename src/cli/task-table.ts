import Table from "cli-table3";
import type { ProblemView, ServiceView, TaskView } from "../api/wire.ts";
import { printable, type Colors } from "./terminal.ts";

/** Spaces between columns and nothing else: made to be read, cut and grepped. */
const NO_BORDERS = Object.fromEntries(
  [
    ["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
    ["left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
  ]
    .flat()
    .map((name) => [name, ""]),
);

/** Rows in columns that are as wide as their text is on a terminal, wide characters included. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  const table = new Table({
    chars: { ...NO_BORDERS, middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

export interface TableView {
  readonly tasks: readonly TaskView[];
  readonly problems: readonly ProblemView[];
  /** Epoch ms, for ages. */
  readonly now: number;
}

/** What `ps` shows: a row per service, the address last because a narrow terminal breaks it there; then what is wrong. */
export function formatTasks(view: TableView, colors: Colors): string {
  const rows = view.tasks.flatMap((task) => rowsOf(task, view.now, colors));
  const head = ["NAME", "KIND", "STATE", "AGE", "SERVICE", "HEALTH", "URL"].map((title) => colors.bold(title));
  const table = rows.length === 0 ? "No tasks. Start one: taskgate run -- COMMAND" : formatColumns([head, ...rows]);
  const lines = [...reasonLines(view.tasks, colors), ...problemLines(view, colors)];
  return lines.length === 0 ? table : `${table}\n\n${lines.join("\n")}`;
}

function rowsOf(task: TaskView, now: number, colors: Colors): string[][] {
  const whose = task.manageable || task.owner === null ? "" : colors.dim(` of ${printable(task.owner)}`);
  const first = [`${colors.bold(printable(task.name))}${whose}`, printable(task.kind), stateText(task, now, colors)];
  const age = task.startedAt === null ? "" : formatAge(now - task.startedAt);
  if (task.services.length === 0) return [[...first, age, "", "", ""]];
  return task.services.map((service, index) => [
    ...(index === 0 ? [...first, age] : ["", "", "", ""]),
    `${printable(service.name)} ${colors.dim(service.protocol)}`,
    healthText(task, service, colors),
    wayIn(task, service, colors),
  ]);
}

function stateText(task: TaskView, now: number, colors: Colors): string {
  const paint = {
    starting: colors.yellow,
    running: colors.green,
    stopping: colors.yellow,
    finished: colors.dim,
    failed: colors.red,
  };
  const stale = task.staleSince === null ? "" : colors.yellow(` (stale ${formatAge(now - task.staleSince)})`);
  return `${paint[task.state](task.state)}${stale}`;
}

/** `is running`, `has finished`: what follows a task's name in a sentence. */
export function becameOf({ state }: Pick<TaskView, "state">): string {
  return state === "finished" || state === "failed" ? `has ${state}` : `is ${state}`;
}

/** How to get there; what lets everybody in says so. */
export function wayIn(task: TaskView, service: ServiceView, colors: Colors): string {
  const way = service.url ?? (service.forward === null ? "" : `taskgate forward ${task.name}/${service.name}`);
  return service.login || way === "" ? printable(way) : `${printable(way)} ${colors.red("(no login)")}`;
}

/** What has ended is not ill. */
function healthText(task: TaskView, service: ServiceView, colors: Colors): string {
  if (service.health === "unknown" || task.state === "finished") return colors.dim("-");
  return service.health === "healthy" ? colors.green(service.health) : colors.red(service.health);
}

function reasonLines(tasks: readonly TaskView[], colors: Colors): string[] {
  return tasks
    .filter((task) => task.reason !== null && task.state !== "running")
    .map((task) => `${colors.bold(printable(task.name))} ${becameOf(task)}: ${printable(task.reason ?? "")}`);
}

function problemLines(view: TableView, colors: Colors): string[] {
  const seen = new Set<string>();
  return [...view.tasks.flatMap((task) => task.problems), ...view.problems]
    .filter((problem) => {
      const key = `${problem.subject} ${problem.code} ${problem.message}`;
      return seen.has(key) ? false : seen.add(key);
    })
    .map((problem) => `${colors.yellow("problem")} ${printable(problem.subject)}${ageText(problem, view.now)}: ${printable(problem.message)}`); // prettier-ignore
}

function ageText({ since }: ProblemView, now: number): string {
  return since === undefined ? "" : ` (for ${formatAge(now - since)})`;
}

const STEPS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
] as const;

/** `3d`, `5h`, `12m`, `40s`: the largest unit alone. */
export function formatAge(ms: number): string {
  const step = STEPS.find(([, unitMs]) => ms >= unitMs);
  return step === undefined ? `${Math.max(0, Math.floor(ms / 1000))}s` : `${Math.floor(ms / step[1])}${step[0]}`;
}
