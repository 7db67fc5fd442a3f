import { type LastUse, type Route, type Use, whoText } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { BackgroundRules } from "./background.ts";

/** Whose use is looked at, by service key, with the kind of its task; and what more is no use, by kind (`*`: every kind). */
export interface Watch {
  readonly services: readonly (readonly [service: string, kind: string])[];
  readonly background: Readonly<Record<string, readonly string[]>>;
}

/** How often it is looked whether something came over what is open. */
const SAMPLE_MS = 1000;
/** So many bytes in one look are a download, not a page that is kept up to date. */
const DOWNLOAD_BYTES = 262_144;

interface Open {
  readonly use: Use;
  readonly service: string;
  bytesIn: number;
  bytesOut: number;
}

/** Whether it is open for as long as its ends like, and no request that is over once it is answered. */
export function lasts({ kind }: Use): boolean {
  return kind !== "http" && kind !== "grpc";
}

/** Who uses what, of what is watched; the rest costs a look into an empty map. Disposing ends the looks. */
export class Activity implements Disposable {
  readonly #clock: Clock;
  #rules = new BackgroundRules({});
  #watched: ReadonlyMap<string, string> = new Map();
  readonly #last = new Map<string, LastUse>();
  readonly #open = new Set<Open>();
  #timer: Disposable | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In place of what was watched before. */
  watch({ services, background }: Watch): void {
    this.#watched = new Map(services);
    this.#rules = new BackgroundRules(background);
    for (const service of this.#last.keys()) if (!this.#watched.has(service)) this.#last.delete(service);
  }

  /** By service. */
  get last(): ReadonlyMap<string, LastUse> {
    return this.#last;
  }

  /** Returns what is to be called when it is over; null: nobody looks. */
  opened(use: Use, route: Route): (() => void) | null {
    const { service } = route;
    const kind = this.#watched.get(service);
    if (kind === undefined && !lasts(use)) return null;
    const background = kind === undefined || this.#isBackground(use, kind);
    if (!background) this.#used(service, use);
    if (background && !lasts(use)) return null;
    // What lasts may be open before anybody wants to know of it.
    const open: Open = { use, service, bytesIn: use.bytesIn, bytesOut: use.bytesOut };
    this.#open.add(open);
    this.#timer ??= this.#clock.after(SAMPLE_MS, () => this.#sample());
    return () => {
      this.#look(open);
      this.#open.delete(open);
    };
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#open.clear();
  }

  #sample(): void {
    for (const open of this.#open) this.#look(open);
    this.#timer = this.#open.size === 0 ? null : this.#clock.after(SAMPLE_MS, () => this.#sample());
  }

  /** Whether somebody did something over it since the last look: what its server sends by itself is nobody's doing. */
  #look(open: Open): void {
    const { use, service } = open;
    const kind = this.#watched.get(service);
    const sent = use.bytesIn - open.bytesIn;
    const got = use.bytesOut - open.bytesOut;
    open.bytesIn = use.bytesIn;
    open.bytesOut = use.bytesOut;
    const piece = use.largestIn;
    use.largestIn = 0;
    if (kind === undefined) return;
    const acted = use.kind === "websocket" ? piece > this.#rules.quietBytes(kind) : sent > 0 || got >= DOWNLOAD_BYTES;
    if (acted) this.#used(service, use);
  }

  #isBackground({ head }: Use, kind: string): boolean {
    return head !== null && this.#rules.isBackground(kind, head.method, head.path);
  }

  #used(service: string, { session }: Use): void {
    const who = session?.principal;
    this.#last.set(service, { at: this.#clock.now(), by: who === undefined ? null : whoText(who) });
  }
}
