import type { TaskView } from "../api/wire.ts";
import type { ApiClient } from "./api-client.ts";
import { pause } from "./pause.ts";

const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 500;

export interface WaitOptions {
  /** PROVIDER/TASK. */
  readonly id: string;
  readonly timeoutMs: number;
  /** Called with every look. */
  readonly seen: (task: TaskView) => void;
}

/** Looks until the task is no longer starting, or the time is over: then it gives what it saw last. Throws the signal's reason. */
export async function waitForTask(client: ApiClient, options: WaitOptions, signal: AbortSignal): Promise<TaskView> {
  const deadline = performance.now() + options.timeoutMs;
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * 1.5, LONGEST_POLL_MS)) {
    const task = await client.task(options.id, signal);
    options.seen(task);
    const left = deadline - performance.now();
    if (task.state !== "starting" || left <= 0) return task;
    await pause(Math.min(pollMs, left), signal);
  }
}
