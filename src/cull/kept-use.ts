import { type LastUse, laterUse } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";

const KIND = "uses";
/** How much of what was used last a crash can take. */
const WRITE_EVERY_MS = 60_000;

/** When services were last used, through the lives of a gate. Disposing writes it down. */
export interface KeptUse extends AsyncDisposable {
  /** By service, with what was used before this gate started. */
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
  const kept = new Map(
    [...(await store.list<LastUse>(KIND))].map(([service, { value, version }]) => [service, { value, version }]),
  );
  const merged = (): Map<string, LastUse> => {
    const all = new Map([...kept].map(([service, { value }]) => [service, value]));
    for (const [service, use] of deps.last()) all.set(service, laterUse(all.get(service), use));
    return all;
  };
  const write = async (): Promise<void> => {
    const now = deps.last();
    try {
      for (const [service, value] of now) {
        const before = kept.get(service);
        if (before !== undefined && before.value.at >= value.at) continue;
        const expiresAt = clock.now() + KEEP_MS;
        const version = await store.put(KIND, service, value, { version: before?.version ?? null, expiresAt });
        kept.set(service, { value, version });
      }
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
    },
  };
}

/** Longer than anything may be configured to be idle. */
const KEEP_MS = 400 * 86_400_000;
