/** Counts changes that are on their way to an Envoy, by the `seq` that they came with, so that it is known which it has taken. */
export class Lane {
  /** Of the oldest that it has not taken; Infinity: it has taken all. */
  #first = Infinity;
  /** The same, of those that came since all there were was sent. */
  #next = Infinity;

  get first(): number {
    return this.#first;
  }

  /** `isIdle`: nothing is on its way, whatever was (it was not wanted any more). */
  came(seq: number, isIdle: boolean): void {
    this.#first = isIdle ? seq : Math.min(this.#first, seq);
    this.#next = isIdle ? seq : Math.min(this.#next, seq);
  }

  /** All that came is on its way now. */
  sentAll(): void {
    this.#next = Infinity;
  }

  /** What was sent is taken, and nothing that came before it waits. */
  taken(): void {
    this.#first = this.#next;
  }
}
