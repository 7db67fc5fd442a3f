import type { Identity, Task, TaskState } from "../../model/index.ts";
import { buildAttachTask } from "./build-task.ts";
import type { Recognised } from "./discover/discover.ts";
import { recognitionOf, serviceName } from "./found-services.ts";
import type { AttachRecord } from "./task-record.ts";
import type { TaskRecords } from "./task-records.ts";

export interface AttachedTaskDeps {
  readonly owner: Identity;
  readonly records: TaskRecords;
  /** Called when `task` may have changed. */
  readonly changed: () => void;
}

/** A port of this machine that somebody else's process listens on: looked at, never controlled. */
export class AttachedTask {
  readonly kind = "attach";
  readonly #deps: AttachedTaskDeps;
  #record: AttachRecord;
  #seen: { readonly state: TaskState; readonly reason: string | null; readonly ip: string | null } = {
    state: "starting",
    reason: null,
    ip: null,
  };

  constructor(deps: AttachedTaskDeps, record: AttachRecord) {
    this.#deps = deps;
    this.#record = record;
  }

  get record(): AttachRecord {
    return this.#record;
  }

  get task(): Task {
    return buildAttachTask({ record: this.#record, ...this.#seen }, this.#deps.owner);
  }

  /** Where it listens now; null with the reason why it is no target. */
  setOpen(ip: string | null, reason: string | null): void {
    const state = ip === null ? "failed" : this.#record.service === null ? "starting" : "running";
    const why = state === "starting" ? "it is being found out what it speaks" : reason;
    const { state: stateBefore, reason: reasonBefore, ip: ipBefore } = this.#seen;
    if (state === stateBefore && why === reasonBefore && ip === ipBefore) return;
    this.#seen = { state, reason: why, ip };
    this.#deps.changed();
  }

  /** It turned out to be something. Throws as the store does. */
  async admit(recognised: Recognised): Promise<void> {
    this.#record = await this.#deps.records.update(this.#record.name, (record: AttachRecord): AttachRecord => {
      const service = record.service ?? serviceName(recognised.service);
      return { ...record, service, recognised: { [service]: recognitionOf(recognised, record.protocol) } };
    });
    if (this.#seen.state === "starting") this.#seen = { state: "running", reason: null, ip: this.#seen.ip };
    this.#deps.changed();
  }
}
