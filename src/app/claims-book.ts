import { once } from "node:events";
import type { Reconcile } from "../core/reconcile.ts";
import type { TableState } from "../core/table-state.ts";
import { type Changed, type Claim, isCode, matchKey } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { pause } from "../platform/pause.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Fence, Store, Versioned } from "../store/store.ts";
import { pageOf } from "./claim-page.ts";

/** Of entries that each have the claims of one page; their keys are the pages'. */
const KIND = "claim-pages";
const LEAD = "claims";
/** Pages that are written at once: they ask once whether this gate still leads. */
const TOGETHER = 16;
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

export interface ClaimsBookDeps {
  readonly store: Store;
  readonly leadership: Leadership;
  /**
   * Whether other gates may have the same store: then tables take claims as the leader wrote them, and what is written is what its own table
   * would decide. Otherwise what the one table decided is written afterwards.
   */
  readonly isShared: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who holds which name and port: written by the leader alone, so that incumbents keep them over restarts and all gates say the same. */
export interface ClaimsBook extends AsyncDisposable {
  /** Those that were on record when the book was opened. */
  readonly first: readonly Claim[];
  /** Once a table was built. Nothing is waited for; what fails is logged, and tried until it is done. */
  published(built: { readonly claims: Changed<Claim> }): void;
  /** From now on tells the table what others write, and writes. Call it once. */
  follow(table: Pick<TableState, "decide" | "wanted">, reconcile: Pick<Reconcile, "touch">): void;
}

/** Throws `unavailable` where the store cannot be read. Disposing writes what a gate of its own has decided by then, and ends the lead. */
export async function openClaimsBook(deps: ClaimsBookDeps): Promise<ClaimsBook> {
  const pages = await deps.store.list<readonly Claim[]>(KIND);
  return new StoredClaims(deps, new Map([...pages].map(([key, page]) => [key, readPage(page)])));
}

interface Page {
  /** null: it is not in the store yet. */
  readonly version: string | null;
  /** By key. */
  readonly claims: ReadonlyMap<string, Claim>;
}

const BLANK: Page = Object.freeze({ version: null, claims: new Map<string, Claim>() });

function readPage({ version, value }: Versioned<readonly Claim[]>): Page {
  return { version, claims: new Map(value.map((claim) => [matchKey(claim.match), claim])) };
}

/** By claim's key: the claim that is to be written, or null where it is to go. */
type Wanted = ReadonlyMap<string, Claim | null>;

class StoredClaims implements ClaimsBook {
  readonly first: readonly Claim[];
  readonly #deps: ClaimsBookDeps;
  readonly #scope = new AsyncDisposableStack();
  /** As they were last read or written here: what a write replaces. */
  readonly #pages: Map<string, Page>;
  /** As the watch last told them. */
  readonly #told: Map<string, Page>;
  /** By page, the version that was written here and not told yet: what is told before it is older. */
  readonly #untold = new Map<string, string>();
  /** Decided by the table of a gate of its own, and not written yet. */
  readonly #decided = new Map<string, Claim | null>();
  readonly #woken = new EventTarget();
  #table: Pick<TableState, "decide" | "wanted"> | null = null;

  constructor(deps: ClaimsBookDeps, pages: Map<string, Page>) {
    this.#deps = deps;
    this.#pages = pages;
    this.#told = new Map(pages);
    this.first = [...pages.values()].flatMap(({ claims }) => [...claims.values()]);
  }

  published({ claims }: { readonly claims: Changed<Claim> }): void {
    if (!this.#deps.isShared) {
      for (const id of claims.removed) this.#decided.set(id, null);
      for (const claim of claims.set) this.#decided.set(matchKey(claim.match), claim);
    }
    this.#wake();
  }

  follow(table: Pick<TableState, "decide" | "wanted">, reconcile: Pick<Reconcile, "touch">): void {
    const { store, leadership, isShared } = this.#deps;
    this.#table = table;
    if (!isShared) return this.#writeAlone();
    this.#scope.use(
      store.watch<readonly Claim[]>(KIND, null, (key, page) => {
        const changed = this.#learn(key, page === null ? BLANK : readPage(page));
        if (changed.set.length + changed.removed.length === 0) return this.#wake();
        table.decide(changed);
        reconcile.touch();
      }),
    );
    const lead = (signal: AbortSignal, fence: number): Promise<void> =>
      this.#keepWriting(signal, { lead: LEAD, fence });
    this.#scope.use(leadership.lead(LEAD, lead));
  }

  /** Disposing writes what is left, for nobody else knows it. */
  #writeAlone(): void {
    const stop = new AbortController();
    const writing = this.#keepWriting(stop.signal).then(() =>
      this.#write(this.#wanted(), new AbortController().signal),
    );
    this.#scope.defer(async () => {
      stop.abort();
      await writing.catch((err: unknown) => this.#deps.logger.error({ err }, "the last claims are not written"));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync();
  }

  #wake(): void {
    this.#woken.dispatchEvent(new Event("wake"));
  }

  /** What the page says otherwise than when it was last told. */
  #learn(key: string, page: Page): Changed<Claim> {
    const before = this.#told.get(key)?.claims ?? BLANK.claims;
    this.#told.set(key, page);
    if ((this.#untold.get(key) ?? page.version) === page.version) {
      this.#untold.delete(key);
      this.#pages.set(key, page);
    }
    return {
      set: [...page.claims].flatMap(([id, claim]) => (before.get(id)?.service === claim.service ? [] : [claim])),
      removed: [...before.keys()].filter((id) => !page.claims.has(id)),
    };
  }

  async #keepWriting(signal: AbortSignal, fence?: Fence): Promise<void> {
    const { clock, logger } = this.#deps;
    let failures = 0;
    while (!signal.aborted) {
      const wanted = this.#wanted();
      if (wanted.size === 0) {
        await once(this.#woken, "wake", { signal }).catch(() => undefined);
        continue;
      }
      try {
        await this.#write(wanted, signal, fence);
        if (failures > 0) logger.info({}, "claims are written again");
        failures = 0;
      } catch (err) {
        failures += 1;
        if (failures === 1) logger.warn({ err }, "claims cannot be written; it is tried again");
        await pause(clock, Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** (failures - 1)), signal);
      }
    }
  }

  /** What the store does not say yet. */
  #wanted(): Wanted {
    const { set, removed } = this.#table?.wanted() ?? { set: [], removed: [] };
    const all = new Map(this.#decided);
    for (const id of removed) all.set(id, null);
    for (const claim of set) all.set(matchKey(claim.match), claim);
    for (const [id, claim] of all) if (!this.#isDue(id, claim)) all.delete(id);
    return all;
  }

  #isDue(id: string, claim: Claim | null): boolean {
    const page = pageOf(id);
    const written = this.#pages.get(page)?.claims.get(id)?.service;
    if (written === claim?.service) {
      this.#decided.delete(id);
      return false;
    }
    // What the table has not been told yet it would overwrite without knowing.
    return !this.#deps.isShared || written === this.#told.get(page)?.claims.get(id)?.service;
  }

  /** Throws `unavailable`, and `conflict` where another leads. */
  async #write(wanted: Wanted, signal: AbortSignal, fence?: Fence): Promise<void> {
    const byPage = [...Map.groupBy(wanted, ([id]) => pageOf(id))];
    for (let at = 0; at < byPage.length && !signal.aborted; at += TOGETHER) {
      const writing = byPage.slice(at, at + TOGETHER).map(([key, own]) => this.#writePage(key, own, fence));
      for (const page of await Promise.allSettled(writing)) if (page.status === "rejected") throw page.reason;
    }
  }

  async #writePage(key: string, wanted: readonly (readonly [string, Claim | null])[], fence?: Fence): Promise<void> {
    const { version, claims } = this.#pages.get(key) ?? BLANK;
    const next = new Map(claims);
    for (const [id, claim] of wanted) {
      if (claim === null) next.delete(id);
      else next.set(id, claim);
    }
    const options = { version, ...(fence === undefined ? {} : { fence }) };
    try {
      const written = await this.#deps.store.put(KIND, key, [...next.values()], options);
      this.#pages.set(key, { version: written, claims: next });
      if (this.#deps.isShared) this.#untold.set(key, written);
      for (const [id, claim] of wanted) if (this.#decided.get(id) === claim) this.#decided.delete(id);
    } catch (error) {
      if (!isCode(error, "conflict") || !(await this.#isBehind(key))) throw error;
    }
  }

  /** Whether another leader wrote the page since; what that wrote is known afterwards. */
  async #isBehind(key: string): Promise<boolean> {
    const page = await this.#deps.store.get<readonly Claim[]>(KIND, key);
    const before = this.#pages.get(key) ?? BLANK;
    if ((page?.version ?? null) === before.version) return false;
    this.#untold.delete(key);
    this.#pages.set(key, page === null ? BLANK : readPage(page));
    return true;
  }
}
