import { copyIdentity, isCode, sameTask, type Identity } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import type { GrantChange, GrantedTask } from "./granted.ts";

const KIND = "grant-history";
const MAX_CHANGES = 100;
/** After the last change. */
const KEEP_MS = 365 * 86_400_000;
const MAX_TRIES = 5;

interface HistoryRecord {
  readonly instance: string | null;
  readonly owner: Identity | null;
  /** Oldest first. */
  readonly changes: readonly GrantChange[];
}

/** The changes of each task, the last hundred, kept in the store. There is nothing to close. */
export interface GrantHistory {
  /** A failure is logged: what was done is done. */
  add(task: GrantedTask, change: Omit<GrantChange, "at">): Promise<void>;
  /** Newest first. Throws `unavailable`. */
  of(task: GrantedTask): Promise<readonly GrantChange[]>;
  /** Throws `unavailable`. */
  forget(taskKey: string): Promise<void>;
}

export function createGrantHistory(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}): GrantHistory {
  const { store, clock, logger } = deps;

  async function append(task: GrantedTask, change: GrantChange): Promise<void> {
    const entry = await store.get<HistoryRecord>(KIND, task.key);
    const { instance, owner } = task;
    const changes = [...(entry === null ? [] : changesOf(entry.value, task)), change].slice(-MAX_CHANGES);
    const record: HistoryRecord = { instance: instance ?? null, owner, changes };
    const options = { version: entry?.version ?? null, expiresAt: change.at + KEEP_MS };
    await store.put(KIND, task.key, record, options);
  }

  return {
    async add(task, { by, did, grant }) {
      const change = { at: clock.now(), by: copyIdentity(by), did, grant };
      logger.info({ task: task.key, did, by: change.by, grant: grant.id, to: grant.to, until: grant.until }, "sharing");
      for (let tries = 1; ; tries++) {
        try {
          await append(task, change);
          return;
        } catch (err) {
          if (isCode(err, "conflict") && tries < MAX_TRIES) continue;
          logger.error({ err, task: task.key }, "a change of who may use a task was not written to its history");
          return;
        }
      }
    },
    async of(task) {
      const entry = await store.get<HistoryRecord>(KIND, task.key);
      return entry === null ? [] : changesOf(entry.value, task).toReversed();
    },
    async forget(taskKey) {
      const entry = await store.get(KIND, taskKey);
      try {
        if (entry !== null) await store.remove(KIND, taskKey, entry.version);
      } catch (error) {
        // Somebody else was faster, which is what was wanted.
        if (!isCode(error, "conflict")) throw error;
      }
    },
  };
}

/** A later task of the same id has a history of its own. */
function changesOf({ instance, owner, changes }: HistoryRecord, task: GrantedTask): readonly GrantChange[] {
  return sameTask({ instance: instance ?? undefined, owner }, task) ? changes : [];
}
