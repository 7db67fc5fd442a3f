import type { CutReason, Route, Session, Use } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { rootOf } from "./revocations.ts";
import { createUsageCounts, type Usage } from "./usage.ts";

const SWEEP_MS = 5_000;

interface Live {
  readonly use: Use;
  readonly session: Session;
  readonly route: Route;
  readonly cut: () => void;
  /** Epoch ms. */
  expiresAt: number;
}

/** Every open connection and stream, and what each service was used for. */
export interface LiveSessions extends Disposable {
  opened(use: Use, route: Route, cut: () => void): { closed(): void };
  /** Closes what is open of a session, or of all sessions of a login. */
  cut(id: string): void;
  /** By service. */
  usage(): ReadonlyMap<string, Usage>;
}

export interface LiveDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isRevoked: (sessionId: string) => boolean;
  /** Whether the route's grants still let them in, as far as can be told at once. */
  readonly mayStay: (session: Session, route: Route) => boolean;
  /** For a session that has ended: until when (epoch ms) it may go on, because its login stands and access holds; null: not at all. */
  readonly prolong: (session: Session, route: Route) => Promise<number | null>;
}

/** Looks every 5 s, while anything is open, for what has to end: sessions and grants that ran out. */
export function startLive(deps: LiveDeps): LiveSessions {
  const usage = createUsageCounts(deps.clock);
  const registry = new Registry(deps);
  return {
    opened(use, route, cut) {
      const { session } = use;
      usage.opened(route.service);
      const forget = session === null ? null : registry.add({ use, session, route, cut, expiresAt: session.expiresAt });
      let open = true;
      return {
        closed() {
          if (!open) return;
          open = false;
          forget?.();
          usage.closed(route.service, use.bytesIn, use.bytesOut);
        },
      };
    },
    cut: (id) => registry.cut(id),
    usage: () => usage.snapshot(),
    [Symbol.dispose]: () => registry[Symbol.dispose](),
  };
}

class Registry implements Disposable {
  readonly #deps: LiveDeps;
  readonly #byLogin = new Map<string, Set<Live>>();
  /** null: nothing is open, or a look is under way. */
  #timer: Disposable | null = null;
  #looking = false;
  #disposed = false;

  constructor(deps: LiveDeps) {
    this.#deps = deps;
  }

  /** Returns what forgets it. */
  add(entry: Live): () => void {
    if (this.#deps.isRevoked(entry.session.id)) {
      // Revoked since its admission. Not cut within this call: the caller has no handle yet.
      queueMicrotask(() => this.#end(entry, "revoked"));
      return () => undefined;
    }
    const root = rootOf(entry.session.id);
    const siblings = this.#byLogin.get(root) ?? new Set();
    this.#byLogin.set(root, siblings.add(entry));
    this.#schedule();
    return () => this.#forget(entry);
  }

  cut(id: string): void {
    const entries = [...(this.#byLogin.get(rootOf(id)) ?? [])];
    for (const entry of entries) if (rootOf(id) === id || entry.session.id === id) this.#end(entry, "revoked");
  }

  #forget(entry: Live): void {
    const root = rootOf(entry.session.id);
    const siblings = this.#byLogin.get(root);
    siblings?.delete(entry);
    if (siblings?.size === 0) this.#byLogin.delete(root);
  }

  #end(entry: Live, reason: CutReason): void {
    this.#forget(entry);
    entry.use.cutFor ??= reason;
    try {
      entry.cut();
    } catch (error) {
      // One connection that cannot be closed must not keep the next one open.
      this.#deps.logger.error({ err: error, service: entry.route.service }, "connection could not be cut");
    }
  }

  #schedule(): void {
    if (this.#disposed || this.#timer !== null || this.#looking || this.#byLogin.size === 0) return;
    this.#timer = this.#deps.clock.after(SWEEP_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#timer = null;
    this.#looking = true;
    await Promise.all(
      [...this.#byLogin.values()].flatMap((entries) => [...entries]).map((entry) => this.#check(entry)),
    );
    this.#looking = false;
    this.#schedule();
  }

  async #check(entry: Live): Promise<void> {
    const { clock, logger, mayStay, prolong } = this.#deps;
    const { session, route } = entry;
    if (mayStay(session, route) && clock.now() < entry.expiresAt) return;
    try {
      if (!mayStay(session, route)) return this.#end(entry, "access_lost");
      const until = await prolong(session, route);
      if (until === null) this.#end(entry, "expired");
      else entry.expiresAt = until;
    } catch (error) {
      // Nobody can say that it may go on, so it may not: closed by default.
      logger.warn({ err: error, service: route.service }, "session ended: its login could not be checked");
      this.#end(entry, "expired");
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }
}
