import type { Clock } from "../platform/clock.ts";
import type { PlaneStatus } from "./dataplane.ts";

/** So long after news the status is told, with what comes meanwhile. */
const SETTLE_MS = 5;
/** Never sooner after the last time. */
const APART_MS = 100;
/** Last use changes with every request: alone it is told so much later. */
const USE_SETTLE_MS = 1000;

/** Tells a plane's status to whoever observes it: at once when they come, then when it changed and settled. */
export class StatusBoard implements Disposable {
  readonly #clock: Clock;
  readonly #read: () => PlaneStatus;
  readonly #listeners = new Set<(status: PlaneStatus) => void>();
  #due: Disposable | null = null;
  #dueAt = Infinity;
  #toldAt = -Infinity;

  constructor(clock: Clock, read: () => PlaneStatus) {
    this.#clock = clock;
    this.#read = read;
  }

  observe(listener: (status: PlaneStatus) => void): Disposable {
    this.#listeners.add(listener);
    listener(this.#read());
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  changed(): void {
    this.#tellIn(SETTLE_MS);
  }

  used(): void {
    this.#tellIn(USE_SETTLE_MS);
  }

  [Symbol.dispose](): void {
    this.#due?.[Symbol.dispose]();
    this.#listeners.clear();
  }

  #tellIn(ms: number): void {
    const now = this.#clock.now();
    const at = Math.max(now + ms, this.#toldAt + APART_MS);
    if (this.#listeners.size === 0 || at >= this.#dueAt) return;
    this.#due?.[Symbol.dispose]();
    this.#dueAt = at;
    this.#due = this.#clock.after(at - now, () => {
      this.#due = null;
      this.#dueAt = Infinity;
      this.#toldAt = this.#clock.now();
      const status = this.#read();
      for (const listener of this.#listeners) listener(status);
    });
  }
}
