import { isCode, type LastUse, laterUse } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";

const KIND = "uses";
/** How much of what was used last a crash can take, and how late another gate knows of it. */
const WRITE_EVERY_MS = 60_000;

/** When services were last used, through the lives of a gate and at all gates of one store. Disposing writes down what this one saw. */
export interface KeptUse extends AsyncDisposable {
  /** By service, with what was used before this gate started, and at others as they wrote it. */
  readonly last: ReadonlyMap<string, LastUse>;
}

export interface KeptUseDeps {
  readonly store: Store;
  /** Since this gate started. */
  last(): ReadonlyMap<string, LastUse>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Writes every minute what changed. Throws `unavailable` where the store cannot be read. */
export async function startKeptUse(deps: KeptUseDeps): Promise<KeptUse> {
  const { store, clock, logger } = deps;
  const kept = new Map(await store.list<LastUse>(KIND));
  const watching = store.watch<LastUse>(KIND, null, (service, entry) => {
    if (entry === null) kept.delete(service);
    else kept.set(service, entry);
  });
  const merged = (): Map<string, LastUse> => {
    const all = new Map([...kept].map(([service, { value }]) => [service, value]));
    for (const [service, use] of deps.last()) all.set(service, laterUse(all.get(service), use));
    return all;
  };
  const put = async (service: string, value: LastUse): Promise<void> => {
    const before = kept.get(service);
    if (before !== undefined && before.value.at >= value.at) return;
    try {
      await store.put(KIND, service, value, { version: before?.version ?? null, expiresAt: clock.now() + KEEP_MS });
    } catch (error) {
      // Another gate saw it used, too, and was faster: what is later is written the next time.
      if (!isCode(error, "conflict")) throw error;
    }
  };
  const write = async (): Promise<void> => {
    try {
      for (const [service, value] of deps.last()) await put(service, value);
    } catch (err) {
      logger.warn({ err }, "what was used last could not be kept");
    }
  };
  let timer: Disposable;
  const turn = (): void => {
    timer = clock.after(WRITE_EVERY_MS, () => void write().then(turn));
  };
  turn();
  return {
    get last() {
      return merged();
    },
    async [Symbol.asyncDispose]() {
      timer[Symbol.dispose]();
      await write();
      watching[Symbol.dispose]();
    },
  };
}

/** Longer than anything may be configured to be idle. */
const KEEP_MS = 400 * 86_400_000;
