import { once } from "node:events";
import { GatewayError, type AttachSpec, type RunSpec, type SourceUpdate, type Task } from "../../model/index.ts";
import type { LogOptions, Runner, TaskControl } from "../../providers/provider.ts";
import { webTask } from "./web-task.ts";

/** A provider that keeps tasks as data, and does nothing but what tests tell it. */
export class ScriptedProvider implements Runner, TaskControl {
  readonly #publish: (update: SourceUpdate) => void;
  readonly #tasks = new Map<string, Task>();
  /** What was asked for, oldest first. */
  readonly runs: RunSpec[] = [];
  readonly attached: AttachSpec[] = [];
  readonly stopped: string[] = [];
  /** Lines that every log has. */
  lines: readonly string[] = [];
  /** Thrown after the lines. */
  logError: Error | null = null;
  /** Thrown by `run`. */
  runError: Error | null = null;
  /** Logs that are being read, and how the last one was asked for. */
  reading = 0;
  lastLogs: LogOptions | null = null;

  constructor(publish: (update: SourceUpdate) => void) {
    this.#publish = publish;
  }

  set(...tasks: Task[]): void {
    for (const task of tasks) this.#tasks.set(task.id, task);
    this.#publish({ kind: "change", set: tasks, removed: [], problems: [] });
  }

  run(spec: RunSpec): Promise<string> {
    this.runs.push(spec);
    return this.runError === null ? this.#start(spec.name ?? "task") : Promise.reject(this.runError);
  }

  attach(spec: AttachSpec): Promise<string> {
    this.attached.push(spec);
    return this.#start(spec.name ?? "attached");
  }

  isOwn(id: string): boolean {
    return !this.attached.some((spec) => (spec.name ?? "attached") === id);
  }

  async restart(id: string): Promise<void> {
    await this.#start(this.#get(id).id);
  }

  stop(id: string): Promise<void> {
    this.stopped.push(id);
    this.set({ ...this.#get(id), state: "finished", endpoints: {} });
    return Promise.resolve();
  }

  remove(id: string): Promise<void> {
    this.#tasks.delete(this.#get(id).id);
    this.#publish({ kind: "change", set: [], removed: [id], problems: [] });
    return Promise.resolve();
  }

  async *logs(_id: string, options: LogOptions, signal: AbortSignal): AsyncIterable<string> {
    this.reading += 1;
    this.lastLogs = options;
    try {
      yield* options.tail === undefined ? this.lines : this.lines.slice(-options.tail);
      if (this.logError !== null) throw this.logError;
      if (options.follow && !signal.aborted) await once(signal, "abort");
    } finally {
      this.reading -= 1;
    }
  }

  #get(id: string): Task {
    const task = this.#tasks.get(id);
    if (task === undefined) throw new GatewayError("not_found", `no task ${id}`);
    return task;
  }

  #start(name: string): Promise<string> {
    this.set(webTask(name, { state: "starting" }));
    return Promise.resolve(name);
  }
}
