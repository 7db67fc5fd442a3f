/**
 * Does work by parts, each in a turn of the event loop of its own, so that nothing else has to wait for the whole: first come, first done. The
 * first part of what finds nothing before it is done at once. Disposing leaves undone what is not done by then.
 */
export class TurnQueue implements Disposable {
  readonly #onError: (error: unknown) => void;
  readonly #waiting: Iterator<unknown>[] = [];
  #next: NodeJS.Immediate | null = null;

  /** `onError` is told what a part threw; what follows it of the same work is left undone, and other work goes on. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Each step of `work` is a part. */
  add(work: Iterable<unknown>): void {
    if (this.#waiting.push(work[Symbol.iterator]()) === 1) this.#step();
  }

  [Symbol.dispose](): void {
    this.#waiting.length = 0;
    if (this.#next !== null) clearImmediate(this.#next);
    this.#next = null;
  }

  #step(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    if (this.#isDone(first)) this.#waiting.shift();
    if (this.#waiting.length === 0) return;
    this.#next = setImmediate(() => {
      this.#next = null;
      this.#step();
    });
  }

  #isDone(work: Iterator<unknown>): boolean {
    try {
      return work.next().done === true;
    } catch (error) {
      this.#onError(error);
      return true;
    }
  }
}
