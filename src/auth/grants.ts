import {
  copyIdentity,
  GatewayError,
  isCode,
  sameTask,
  type Grant,
  type Identity,
  type Opening,
  type SharedTask,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { newPublicId } from "./codes.ts";
import {
  type GrantChange,
  type GrantedTask,
  type GrantRequest,
  type KeptGrant,
  type LinkGrant,
  type Recipient,
  recipientText,
} from "./granted.ts";
import { createGrantHistory } from "./grant-history.ts";
import { newLink } from "./link-text.ts";
import type { Revocations } from "./revocations.ts";

const KIND = "grants";
const MAX_PER_TASK = 200;

/**
 * What owners and administrators gave to others, kept in the store and, whole, in memory. What runs out is gone at its time by itself.
 * What changes something throws `unavailable`.
 */
export interface Grants extends Disposable {
  /** Oldest first. */
  of(task: GrantedTask): readonly KeptGrant[];
  /**
   * To the same as before, for the same service: the end changes, and the grant stays what it is. A link is always a new one, and its text
   * is in the answer alone. Throws `conflict` for a task that has too many.
   */
  give(task: GrantedTask, wanted: GrantRequest, by: Identity): Promise<{ grant: KeptGrant; link?: string }>;
  /** Takes back those of the task with these ids; what came by their links ends at once. Resolves with what was taken. */
  take(task: GrantedTask, ids: readonly string[], by: Identity): Promise<readonly KeptGrant[]>;
  /** Who changed what, newest first; the last hundred. */
  history(task: GrantedTask): Promise<readonly GrantChange[]>;
  /** undefined: there is no such link, or none any more. */
  link(id: string): LinkGrant | undefined;
  /** Keys of tasks that something was given to. */
  tasks(): Iterable<string>;
  /** For the core. */
  openings(taskKey: string): readonly Opening[];
  /** Removes what was given to tasks of that key other than this one; null: to all of that key. Failures are logged: it is tried again. */
  prune(taskKey: string, present: SharedTask | null): Promise<void>;
  /** Called with the key of a task for which something was given, taken or ran out. */
  observe(listener: (taskKey: string) => void): Disposable;
}

interface GrantRecord extends Omit<KeptGrant, "id"> {
  readonly taskKey: string;
  readonly instance: string | null;
  readonly owner: Identity | null;
  readonly secret?: Pick<LinkGrant, "hash" | "key">;
}

interface Kept {
  readonly record: GrantRecord;
  readonly version: string;
}

export interface GrantsDeps {
  readonly store: Store;
  readonly revocations: Pick<Revocations, "revoke">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Throws `unavailable`. */
export async function startGrants(deps: GrantsDeps): Promise<Grants> {
  const entries = await deps.store.list<GrantRecord>(KIND);
  return new KeptGrants(
    deps,
    new Map([...entries].map(([id, { value, version }]) => [id, { record: value, version }])),
  );
}

class KeptGrants implements Grants {
  readonly #deps: GrantsDeps;
  readonly #history;
  readonly #byId = new Map<string, Kept>();
  readonly #byTask = new Map<string, Set<string>>();
  readonly #listeners = new Set<(taskKey: string) => void>();
  readonly #watch: Disposable;
  /** Changes come one after the other, so that two who give the same make one grant. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(deps: GrantsDeps, kept: ReadonlyMap<string, Kept>) {
    this.#deps = deps;
    this.#history = createGrantHistory(deps);
    for (const [id, entry] of kept) this.#learn(id, entry);
    this.#watch = deps.store.watch<GrantRecord>(KIND, null, (id, entry) => {
      this.#learn(id, entry === null ? null : { record: entry.value, version: entry.version });
    });
  }

  of(task: GrantedTask): readonly KeptGrant[] {
    return this.#ofTask(task).toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  }

  give(task: GrantedTask, wanted: GrantRequest, by: Identity): Promise<{ grant: KeptGrant; link?: string }> {
    return this.#inTurn(async () => {
      const before = this.#ofTask(task);
      const same = before.find((grant) => grant.service === wanted.service && sameRecipient(grant.to, wanted.to));
      if (same !== undefined) return { grant: await this.#change(task, same, wanted.until, by) };
      if (before.length >= MAX_PER_TASK) {
        const many = String(before.length);
        throw new GatewayError("conflict", `this task is shared in ${many} ways already; take some back first`);
      }
      const id = `g-${newPublicId()}`;
      const link = "link" in wanted.to ? newLink(id) : null;
      const made = { ...wanted, by: copyIdentity(by), createdAt: this.#deps.clock.now() };
      await this.#put(id, makeRecord(task, made, link?.secret), null);
      const grant = { id, ...made };
      await this.#history.add(task, { did: "gave", by, grant });
      return link === null ? { grant } : { grant, link: link.text };
    });
  }

  take(task: GrantedTask, ids: readonly string[], by: Identity): Promise<readonly KeptGrant[]> {
    return this.#inTurn(async () => {
      const taken = this.#ofTask(task).filter((grant) => ids.includes(grant.id));
      for (const grant of taken) {
        await this.#remove(grant.id);
        await this.#history.add(task, { did: "took", by, grant });
      }
      return taken;
    });
  }

  history(task: GrantedTask): Promise<readonly GrantChange[]> {
    return this.#history.of(task);
  }

  link(id: string): LinkGrant | undefined {
    const record = this.#byId.get(id)?.record;
    if (record?.secret === undefined || !this.#isGood(record)) return undefined;
    return { taskKey: record.taskKey, grant: grantOf(id, record), ...record.secret };
  }

  tasks(): Iterable<string> {
    return this.#byTask.keys();
  }

  openings(taskKey: string): readonly Opening[] {
    return this.#records(taskKey)
      .filter(([, record]) => this.#isGood(record))
      .map(([id, record]) => ({ task: taskOf(record), service: record.service, access: accessOf(id, record) }));
  }

  async prune(taskKey: string, present: SharedTask | null): Promise<void> {
    const gone = this.#records(taskKey).filter(([, record]) => present === null || !sameTask(taskOf(record), present));
    try {
      for (const [id] of gone) await this.#remove(id);
      if (gone.length > 0 && present === null) await this.#history.forget(taskKey);
    } catch (err) {
      this.#deps.logger.error({ err, task: taskKey }, "what was given to a task that is gone was not removed");
    }
  }

  observe(listener: (taskKey: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined); // who asked is told; who comes next does not mind
    return done;
  }

  #records(taskKey: string): [string, GrantRecord][] {
    return [...(this.#byTask.get(taskKey) ?? [])].flatMap((id): [string, GrantRecord][] => {
      const kept = this.#byId.get(id);
      return kept === undefined ? [] : [[id, kept.record]];
    });
  }

  #ofTask(task: GrantedTask): KeptGrant[] {
    return this.#records(task.key)
      .filter(([, record]) => sameTask(taskOf(record), task) && this.#isGood(record))
      .map(([id, record]) => grantOf(id, record));
  }

  #isGood({ until }: GrantRecord): boolean {
    return until === null || this.#deps.clock.now() < until;
  }

  async #change(task: GrantedTask, before: KeptGrant, until: number | null, by: Identity): Promise<KeptGrant> {
    const kept = this.#byId.get(before.id);
    if (before.until === until || kept === undefined) return before;
    const grant = { ...before, until, by: copyIdentity(by) };
    await this.#put(before.id, { ...kept.record, until, by: grant.by }, kept.version);
    await this.#history.add(task, { did: "changed", by, grant });
    return grant;
  }

  async #put(id: string, record: GrantRecord, version: string | null): Promise<void> {
    const expiry = record.until === null ? {} : { expiresAt: record.until };
    this.#learn(id, { record, version: await this.#deps.store.put(KIND, id, record, { version, ...expiry }) });
  }

  async #remove(id: string): Promise<void> {
    const kept = this.#byId.get(id);
    if (kept === undefined) return;
    // First what it opened: that its visitors are out must not wait for what comes after.
    if (kept.record.secret !== undefined) await this.#deps.revocations.revoke(id);
    try {
      await this.#deps.store.remove(KIND, id, kept.version);
    } catch (error) {
      // It ran out, or somebody else removed it meanwhile, which is what was wanted.
      if (!isCode(error, "conflict")) throw error;
    }
    this.#learn(id, null);
  }

  #learn(id: string, kept: Kept | null): void {
    const before = this.#byId.get(id);
    if (before?.version === kept?.version) return;
    const taskKey = (kept ?? before)?.record.taskKey ?? "";
    const ids = this.#byTask.get(taskKey) ?? new Set();
    if (kept === null) {
      this.#byId.delete(id);
      ids.delete(id);
    } else {
      this.#byId.set(id, kept);
      ids.add(id);
    }
    if (ids.size === 0) this.#byTask.delete(taskKey);
    else this.#byTask.set(taskKey, ids);
    for (const listener of this.#listeners) listener(taskKey);
  }
}

function makeRecord(
  { key, instance, owner }: GrantedTask,
  grant: Omit<KeptGrant, "id">,
  secret: GrantRecord["secret"],
): GrantRecord {
  return { taskKey: key, instance: instance ?? null, owner, ...grant, ...(secret === undefined ? {} : { secret }) };
}

function grantOf(id: string, { service, to, until, by, createdAt }: GrantRecord): KeptGrant {
  return { id, service, to, until, by, createdAt };
}

function taskOf({ instance, owner }: GrantRecord): SharedTask {
  return { instance: instance ?? undefined, owner };
}

function accessOf(id: string, { to, until, by }: GrantRecord): Opening["access"] {
  if ("anyone" in to) return { grants: [], anyone: to.anyone };
  const grantee: Grant["to"] = "link" in to ? { link: id } : to;
  return { grants: [{ to: grantee, ...(until === null ? {} : { until }), by }], anyone: "nobody" };
}

/** Links are never the same. */
function sameRecipient(one: Recipient, other: Recipient): boolean {
  if ("link" in one || "link" in other) return false;
  return recipientText(one) === recipientText(other);
}
