import type { Socket } from "node:net";

/** Every client connection that is open, whatever came in on it; one bound for all ports together. */
export class Connections implements Disposable {
  readonly #max: number;
  readonly #open = new Set<Socket>();
  readonly #empty: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** false: there are too many; the caller ends it. */
  add(socket: Socket): boolean {
    if (this.#open.size >= this.#max) return false;
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) for (const resolve of this.#empty.splice(0)) resolve();
    });
    return true;
  }

  /** Resolves when none is open. */
  empty(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => void this.#empty.push(resolve));
  }

  /** Cuts them all. */
  [Symbol.dispose](): void {
    for (const socket of this.#open) socket.destroy();
  }
}
