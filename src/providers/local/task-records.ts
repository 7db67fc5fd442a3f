import { GatewayError, isCode } from "../../model/index.ts";
import type { Store, Versioned } from "../../store/store.ts";
import type { TaskRecord } from "./task-record.ts";

const KIND = "tasks";

/** The tasks on record. One gate writes them; still every write is compare-and-swap, so that a second one cannot overwrite unseen. */
export class TaskRecords {
  readonly #store: Store;
  readonly #known = new Map<string, Versioned<TaskRecord>>();
  /** One write at a time for each name. */
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Reads them all. Throws `unavailable`. */
  async load(): Promise<readonly TaskRecord[]> {
    const all = await this.#store.list<TaskRecord>(KIND);
    this.#known.clear();
    for (const [name, entry] of all) this.#known.set(name, entry);
    return [...all.values()].map((entry) => entry.value);
  }

  get(name: string): TaskRecord | undefined {
    return this.#known.get(name)?.value;
  }

  /** Throws `conflict` if the name is taken. */
  async create(record: TaskRecord): Promise<void> {
    const version = await this.#store.put(KIND, record.name, record, { version: null });
    this.#known.set(record.name, { value: record, version });
  }

  /** Applies `change` to what is there now; returns the result. Throws `not_found`, `unavailable` as the store does. */
  async update<T extends TaskRecord>(name: string, change: (record: T) => T): Promise<T> {
    return await this.#inTurn(name, () => this.#update(name, change));
  }

  async remove(name: string): Promise<void> {
    await this.#inTurn(name, async () => {
      const entry = this.#known.get(name);
      if (entry === undefined) return;
      try {
        await this.#store.remove(KIND, name, entry.version);
      } catch (error) {
        if (!isCode(error, "conflict")) throw error;
        const there = await this.#store.get<TaskRecord>(KIND, name);
        if (there !== null) await this.#store.remove(KIND, name, there.version);
      }
      this.#known.delete(name);
    });
  }

  async #update<T extends TaskRecord>(name: string, change: (record: T) => T): Promise<T> {
    for (let again = true; ; again = false) {
      const entry = this.#known.get(name) as Versioned<T> | undefined;
      if (entry === undefined) throw notThere(name);
      const value = change(entry.value);
      if (value === entry.value) return value;
      try {
        const version = await this.#store.put(KIND, name, value, { version: entry.version });
        this.#known.set(name, { value, version });
        return value;
      } catch (error) {
        if (!again || !isCode(error, "conflict")) throw error;
        const there = await this.#store.get<TaskRecord>(KIND, name);
        if (there === null) throw notThere(name);
        this.#known.set(name, there);
      }
    }
  }

  async #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#writing.get(name) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#writing.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#writing.get(name) === turn) this.#writing.delete(name);
    }
  }
}

function notThere(name: string): GatewayError {
  return new GatewayError("not_found", `There is no task ${name} here.`);
}
