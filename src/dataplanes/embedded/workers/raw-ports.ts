import type { Changed, Route } from "../../../model/index.ts";
import { type BoundPort, bindPort } from "./bound-port.ts";

/** The raw ports that the table wants, bound here for all workers: one that dies takes no port with it. */
export class RawPorts implements Disposable {
  readonly #address: string;
  /** Ports by route. */
  readonly #wanted = new Map<string, number>();
  readonly #bound = new Map<number, Promise<BoundPort>>();
  #closed = false;

  /** `address`: IP address that they are on. */
  constructor(address: string) {
    this.#address = address;
  }

  /** Gives up those that are not wanted any more. */
  apply({ set, removed }: Changed<Route>): void {
    for (const id of removed) this.#wanted.delete(id);
    for (const { id, match } of set) {
      if (match.by === "port") this.#wanted.set(id, match.port);
    }
    if (this.#bound.size === 0) return;
    const wanted = new Set(this.#wanted.values());
    for (const port of [...this.#bound.keys()]) if (!wanted.has(port)) this.#release(port);
  }

  /** The same for every worker. Throws an error with the system's `code`; asked again, it tries again. */
  open(port: number): Promise<BoundPort> {
    const known = this.#bound.get(port);
    if (known !== undefined) return known;
    const isWanted = !this.#closed && [...this.#wanted.values()].includes(port);
    if (!isWanted) return Promise.reject(Object.assign(new Error("this port left the table"), { code: "ENOENT" }));
    const binding = bindPort(this.#address, port);
    this.#bound.set(port, binding);
    binding.catch(() => {
      if (this.#bound.get(port) === binding) this.#bound.delete(port);
    });
    return binding;
  }

  /** Gives up all. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const port of [...this.#bound.keys()]) this.#release(port);
  }

  #release(port: number): void {
    const binding = this.#bound.get(port);
    this.#bound.delete(port);
    binding?.then(
      (bound) => bound[Symbol.dispose](),
      () => undefined, // there is none to give up
    );
  }
}
