/** One of several gates does a thing at a time; `fence` rises with every election. */
export interface Leadership {
  /**
   * Runs `work` whenever this gate is elected for `name`; its signal aborts when that ends. If `work` returns or throws while elected it
   * is started again after a pause, with a higher fence. Disposing stops the work, waits for it and gives the place up. Throws `conflict`
   * for a name that this gate leads already.
   */
  lead(name: string, work: (signal: AbortSignal, fence: number) => Promise<void>): AsyncDisposable;
}
