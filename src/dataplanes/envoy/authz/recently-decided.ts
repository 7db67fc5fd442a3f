import { randomBytes } from "node:crypto";
import type { Route, Session } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";

/** Who was let in, and where. */
export interface Decided {
  readonly route: Route;
  readonly session: Session | null;
}

const KEEP_MS = 60_000;
const MAX_KEPT = 100_000;

/** Whom the gate let in within the last minute, the newest 100,000, by a name that nobody else gives. */
export class RecentlyDecided {
  readonly #clock: Clock;
  readonly #life = randomBytes(6).toString("base64url");
  readonly #kept = new Map<string, Decided & { readonly at: number }>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add({ route, session }: Decided): string {
    const now = this.#clock.now();
    for (const [use, { at }] of this.#kept) {
      if (at > now - KEEP_MS && this.#kept.size < MAX_KEPT) break;
      this.#kept.delete(use);
    }
    const use = `${this.#life}-${String((this.#count += 1))}`;
    this.#kept.set(use, { route, session, at: now });
    return use;
  }

  get(use: string): Decided | undefined {
    return this.#kept.get(use);
  }
}
