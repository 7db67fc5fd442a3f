import type { Built, TableState } from "./table-state.ts";

export interface ReconcileDeps {
  readonly state: Pick<TableState, "build">;
  readonly clock: {
    /** Epoch ms. */
    now(): number;
    after(delayMs: number, call: () => void): Disposable;
  };
  /** Quiet time before a build that follows another. */
  readonly settleMs: number;
  /** Longest time from the first change that is not built yet to its build. */
  readonly maxWaitMs: number;
  /** Called in turn with every build that changed something. */
  readonly published: (built: Built) => void;
  /** What a build or `published` threw; the loop goes on. */
  readonly onError: (error: unknown) => void;
}

/** Disposing stops the loop; what is not built by then stays so. */
export interface Reconcile extends Disposable {
  /** Something was told to the table state. Cheap; call it after every update. */
  touch(): void;
}

/**
 * Builds when there is something to build: the first change after quiet on the next microtask, those that follow after they settle, never
 * later than a bound.
 */
export function startReconcile(deps: ReconcileDeps): Reconcile {
  return new ReconcileLoop(deps);
}

/**
 * quiet: nothing was built for `settleMs`, so the next change is built at once; scheduled: it will be, on a microtask; settling: a build was
 * just made, and changes wait for silence; stopped.
 */
type LoopState = "quiet" | "scheduled" | "settling" | "stopped";

class ReconcileLoop implements Reconcile {
  readonly #deps: ReconcileDeps;
  #state: LoopState = "quiet";
  #timer: Disposable | null = null;
  /** Epoch ms of the first and the last change that is not built yet. */
  #waiting: { readonly first: number; readonly last: number } | null = null;

  constructor(deps: ReconcileDeps) {
    this.#deps = deps;
  }

  touch(): void {
    if (this.#state === "stopped") return;
    const now = this.#deps.clock.now();
    this.#waiting = { first: this.#waiting?.first ?? now, last: now };
    if (this.#state !== "quiet") return;
    this.#state = "scheduled";
    queueMicrotask(() => {
      if (this.#state === "scheduled") this.#build();
    });
  }

  [Symbol.dispose](): void {
    this.#state = "stopped";
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #build(): void {
    const { state, clock, settleMs, published, onError } = this.#deps;
    this.#state = "settling";
    this.#waiting = null;
    try {
      const built = state.build(clock.now());
      if (built !== null) published(built);
    } catch (error) {
      onError(error);
    }
    this.#wakeAfter(settleMs);
  }

  #wakeAfter(delayMs: number): void {
    if (this.#isStopped()) return;
    this.#timer = this.#deps.clock.after(delayMs, () => {
      this.#wake();
    });
  }

  // A method, because `published` may have disposed of the loop, which the compiler does not see.
  #isStopped(): boolean {
    return this.#state === "stopped";
  }

  #wake(): void {
    this.#timer = null;
    if (this.#isStopped()) return;
    const { clock, settleMs, maxWaitMs } = this.#deps;
    if (this.#waiting === null) {
      this.#state = "quiet";
      return;
    }
    const now = clock.now();
    const { first, last } = this.#waiting;
    const due = Math.min(last + settleMs, first + maxWaitMs);
    // A clock that was set back must not hold a build up for longer than the bound.
    if (due <= now || last > now) this.#build();
    else this.#wakeAfter(Math.min(due - now, maxWaitMs));
  }
}
