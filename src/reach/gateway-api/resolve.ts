import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import { pause } from "../../platform/pause.ts";
import { canonicalIp } from "../../platform/target-check.ts";

const AGAIN_MS = 30_000;
const FAILED_MS = 2000;

export interface AddressesDeps {
  /** IP addresses and host names. */
  readonly names: readonly string[];
  readonly changed: () => void;
  readonly clock: Clock;
  /** All addresses of a host name. Default: the system's resolver. */
  readonly lookup?: (name: string) => Promise<readonly string[]>;
}

/** What a name leads to. */
export type Resolved = { readonly ip: string } | { readonly failure: string };

/**
 * Addresses of host names, looked up again and again. A name keeps the address that it has for as long as that is one of its own, and while it
 * cannot be looked up.
 */
export class Addresses implements AsyncDisposable {
  readonly #deps: AddressesDeps;
  readonly #known = new Map<string, Resolved>();
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(deps: AddressesDeps) {
    this.#deps = deps;
    const names = new Set(deps.names);
    for (const name of names) {
      this.#known.set(name, isIP(name) === 0 ? { failure: "it was not looked up yet" } : { ip: canonicalIp(name) });
    }
    this.#running = Promise.all([...names].filter((name) => isIP(name) === 0).map((name) => this.#follow(name)));
  }

  /** Of one of `names`. */
  of(name: string): Resolved {
    return this.#known.get(name) ?? { failure: "it is not configured" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #follow(name: string): Promise<void> {
    const { clock, changed } = this.#deps;
    const { signal } = this.#stop;
    const isOver = (): boolean => signal.aborted;
    while (!signal.aborted) {
      const before = this.of(name);
      const after = await this.#resolve(name, before);
      this.#known.set(name, after);
      if (!isOver() && JSON.stringify(after) !== JSON.stringify(before)) changed();
      await pause(clock, "ip" in after ? AGAIN_MS : FAILED_MS, signal);
    }
  }

  async #resolve(name: string, before: Resolved): Promise<Resolved> {
    const find = this.#deps.lookup ?? lookupAll;
    try {
      const all = (await find(name)).map(canonicalIp);
      const [first] = all;
      if ("ip" in before && (first === undefined || all.includes(before.ip))) return before;
      return first === undefined ? { failure: "it has no address" } : { ip: first };
    } catch (error) {
      return "ip" in before ? before : { failure: error instanceof Error ? error.message : String(error) };
    }
  }
}

async function lookupAll(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
