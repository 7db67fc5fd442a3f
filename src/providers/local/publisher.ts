import type { Problem, SourceUpdate, Task } from "../../model/index.ts";
import { ToldTasks } from "../told-tasks.ts";

const NO_PROBLEMS: readonly Problem[] = [];

/** Publishes what changed, gathered to the end of the present turn of the event loop; what is equal to what was said is not said again. */
export class Publisher {
  readonly #taskOf: (id: string) => Task | null;
  readonly #dirty = new Set<string>();
  readonly #told = new ToldTasks();
  #publish: ((update: SourceUpdate) => void) | null = null;
  #due: NodeJS.Immediate | null = null;

  /** `taskOf`: null where there is no such task (any more). */
  constructor(taskOf: (id: string) => Task | null) {
    this.#taskOf = taskOf;
  }

  /** Says all there is, and from then on what changes. */
  begin(publish: (update: SourceUpdate) => void, ids: readonly string[]): void {
    this.#publish = publish;
    this.#dirty.clear();
    const tasks: Task[] = [];
    for (const id of ids) this.#told.tell(id, this.#taskOf(id), { set: tasks, removed: [] });
    publish({ kind: "whole", tasks, problems: NO_PROBLEMS });
  }

  changed(id: string): void {
    this.#dirty.add(id);
    if (this.#publish !== null) this.#due ??= setImmediate(() => this.#flush());
  }

  /** Nothing is published after this. */
  end(): void {
    this.#publish = null;
    if (this.#due !== null) clearImmediate(this.#due);
    this.#due = null;
  }

  #flush(): void {
    this.#due = null;
    const set: Task[] = [];
    const removed: string[] = [];
    for (const id of this.#dirty) this.#told.tell(id, this.#taskOf(id), { set, removed });
    this.#dirty.clear();
    if (set.length + removed.length > 0) this.#publish?.({ kind: "change", set, removed, problems: NO_PROBLEMS });
  }
}
