import { isAbove } from "../auth/access.ts";
import type { TableState } from "../core/table-state.ts";
import type { Explain, Explanation } from "../dataplanes/dataplane.ts";
import { type Principal, type Route, type SourceState, type Task, taskInScope, taskKeyOf } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { TaskControl } from "../providers/provider.ts";

const LOG_LINES = 20;
const LOG_LINE_LENGTH = 500;
/** A page must not wait for a log. */
const LOG_TIME_MS = 300;

export interface ExplainDeps {
  readonly state: TableState;
  /** null: the gate does not run that task. */
  control(taskKey: string): TaskControl | null;
  readonly clock: Clock;
}

/** The same for a name that nobody has and for one that was never told: nobody learns here which names exist. */
const UNKNOWN: Explanation = Object.freeze({
  status: 404,
  code: "unknown_host",
  title: "Nothing is here",
  message: "No service has this address. `taskgate ps` lists yours; a task that was removed takes its names along.",
});

/** Says why a request gets no answer from a job. Reason and log lines are for the task's owner and administrators alone. */
export function createExplain(deps: ExplainDeps): Explain {
  return async ({ route, session, failure }) => {
    if (route === null) return UNKNOWN;
    const merged = deps.state.tasks.get(taskKeyOf(route.service));
    if (merged === undefined) return UNKNOWN;
    const bare = named(merged.task, explainState(merged.task, failure));
    const stale = staleNote(deps.state.sources.get(merged.provider));
    if (session === null || !mayRead(session.principal, merged)) return withNote(bare, "", stale);
    const control = deps.control(merged.key);
    const lines = control === null ? [] : await lastLines(control, merged.task, route, deps.clock);
    const reason = merged.task.reason ?? "";
    return { ...withNote(bare, reason, stale), ...(lines.length > 0 ? { lines } : {}) };
  };
}

function mayRead(principal: Principal, { key, task }: { readonly key: string; readonly task: Task }): boolean {
  return isAbove(task.owner, principal) && taskInScope(principal.scope, "read", key);
}

function named(task: Task, explanation: Explanation): Explanation {
  return { ...explanation, title: `${task.name} ${explanation.title}` };
}

/** Titles go on from the task's name. */
function explainState(task: Task, failure: string | null): Explanation {
  switch (task.state) {
    case "starting":
      return {
        status: 503,
        code: "starting",
        title: "is starting",
        message: "This task is starting and does not answer yet.",
        retryAfterSeconds: 1,
      };
    case "stopping":
      return { status: 503, code: "stopped", title: "is stopping", message: "This task is being stopped." };
    case "finished":
      return { status: 503, code: "stopped", title: "is not running", message: "This task has ended." };
    case "failed":
      return { status: 503, code: "crashed", title: "has crashed", message: "This task has failed." };
    case "running":
      return FAILURES.get(failure) ?? NOT_REACHED;
  }
}

/** By what the plane saw when it tried. */
const FAILURES: ReadonlyMap<string | null, Explanation> = new Map([
  ["connect_timeout", timeout("The task runs, but it did not take the connection in time.")],
  ["idle_timeout", timeout("The task runs, but it was silent for too long.")],
  ["reset", unreachable("The task runs, but it closed the connection without an answer.")],
  ["tls_failed", unreachable("The task runs, but no TLS with it came about that its service's settings allow.")],
  ["connect_failed", unreachable("The task runs, but nothing takes connections on its port just now.")],
]);

const NOT_REACHED = unreachable("The task runs, but none of its replicas can be reached just now.");

function timeout(message: string): Explanation {
  return { status: 504, code: "timeout", title: "did not answer in time", message };
}

function unreachable(message: string): Explanation {
  return { status: 502, code: "unreachable", title: "does not answer", message };
}

function staleNote(source: SourceState | undefined): string {
  if (source?.state !== "stale") return "";
  const since = new Date(source.since).toISOString();
  return `What is known of it may be out of date: its provider has not been heard since ${since}.`;
}

function withNote(explanation: Explanation, reason: string, stale: string): Explanation {
  const said =
    reason === "" ? "" : `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? "" : "."}`;
  const message = [explanation.message, said, stale].filter((text) => text !== "").join(" ");
  return { ...explanation, message };
}

/** What came within the time. A log that cannot be read is no reason to explain less, so failures give what there is. */
async function lastLines(control: TaskControl, task: Task, route: Route, clock: Clock): Promise<string[]> {
  const lines: string[] = [];
  const controller = new AbortController();
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = clock.after(LOG_TIME_MS, () => {
    controller.abort();
    resolve(undefined);
  });
  const options = {
    follow: false,
    tail: LOG_LINES,
    ...(route.replica === undefined ? {} : { replica: route.replica }),
  };
  const read = async () => {
    for await (const line of control.logs(task.id, options, controller.signal)) {
      if (controller.signal.aborted) break;
      lines.push(line.slice(0, LOG_LINE_LENGTH));
      if (lines.length > LOG_LINES) lines.shift();
    }
  };
  await Promise.race([read().catch(() => undefined), late]);
  timer[Symbol.dispose]();
  return [...lines];
}
