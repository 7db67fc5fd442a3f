import type { Socket } from "node:net";
import type { Admission, Bound } from "./admission.ts";

/** Every client connection that is open, whatever came in on it; the bounds are of all ports together. */
export class Connections implements Disposable {
  readonly #admission: Admission;
  /** With whose each is; null: not known yet. */
  readonly #open = new Map<Socket, string | null>();
  readonly #empty: (() => void)[] = [];
  /** The same listener for all of them: it costs a connection at rest nothing. */
  readonly #onClose: (this: Socket) => void;

  constructor(admission: Admission) {
    this.#admission = admission;
    this.#onClose = Connections.#closeListener(this);
  }

  static #closeListener(connections: Connections) {
    return function (this: Socket): void {
      connections.#closed(this);
    };
  }

  /** What is reached where there are too many: the caller ends it. `peer` null: whose it is is told later, by `attribute`. */
  add(socket: Socket, peer: string | null): Bound | null {
    const bound = this.#admission.connection(peer);
    if (bound !== null) return bound;
    this.#open.set(socket, peer);
    socket.on("close", this.#onClose);
    return null;
  }

  #closed(socket: Socket): void {
    this.#admission.connectionEnded(this.#open.get(socket) ?? null);
    this.#open.delete(socket);
    if (this.#open.size === 0) for (const resolve of this.#empty.splice(0)) resolve();
  }

  /** Says whose an open connection is. Not null: that client has too many; the caller ends it. */
  attribute(socket: Socket, peer: string): Bound | null {
    if (!this.#open.has(socket)) return null; // it ended meanwhile
    const bound = this.#admission.attribute(peer);
    if (bound === null) this.#open.set(socket, peer);
    return bound;
  }

  /** Resolves when none is open. */
  empty(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => void this.#empty.push(resolve));
  }

  /** Cuts them all. */
  [Symbol.dispose](): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }
}
