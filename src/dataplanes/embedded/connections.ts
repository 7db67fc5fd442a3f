import type { Socket } from "node:net";

/** Every client connection that is open, whatever came in on it; one bound for all ports together. */
export class Connections implements Disposable {
  readonly #max: number;
  readonly #open = new Set<Socket>();
  #empty: (() => void) | null = null;

  constructor(max: number) {
    this.#max = max;
  }

  /** false: there are too many; the caller ends it. */
  add(socket: Socket): boolean {
    if (this.#open.size >= this.#max) return false;
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) this.#empty?.();
    });
    return true;
  }

  /** Resolves when none is open. */
  empty(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => (this.#empty = resolve));
  }

  /** Cuts them all. */
  [Symbol.dispose](): void {
    for (const socket of this.#open) socket.destroy();
  }
}
