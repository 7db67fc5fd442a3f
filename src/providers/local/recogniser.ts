import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Discover, FoundPort, Recognised } from "./discover/discover.ts";

/** Ports that are asked at the same time. */
const AT_ONCE = 8;
const ASK_MS = 10_000;
const FIRST_AGAIN_MS = 200;
const LONGEST_AGAIN_MS = 10_000;

export interface RecogniserDeps {
  readonly discover: Discover;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

interface Sighting {
  state: "waiting" | "asking" | "done";
  tries: number;
  /** Epoch ms. */
  nextAt: number;
  seen: boolean;
}

/** Asks every listening port once what it is, and again while it does not answer, a few at a time and ever more seldom. */
export class Recogniser {
  readonly #deps: RecogniserDeps;
  readonly #sightings = new Map<string, Sighting>();
  readonly #asking = new Set<Promise<void>>();

  constructor(deps: RecogniserDeps) {
    this.#deps = deps;
  }

  /** The port is open. `tell` is called once it is recognised; if that fails, it is asked again. */
  see(where: string, found: FoundPort, tell: (recognised: Recognised) => Promise<void>): void {
    const key = `${where} ${String(found.port)} ${String(found.pid)}`;
    let sighting = this.#sightings.get(key);
    if (sighting === undefined) {
      sighting = { state: "waiting", tries: 0, nextAt: 0, seen: true };
      this.#sightings.set(key, sighting);
    }
    sighting.seen = true;
    if (sighting.state !== "waiting" || sighting.nextAt > this.#deps.clock.now()) return;
    if (this.#asking.size >= AT_ONCE) return;
    const asking = this.#ask(sighting, found, tell).finally(() => this.#asking.delete(asking));
    this.#asking.add(asking);
  }

  /** Call after all open ports were seen: the others closed, and are asked anew when they come back. */
  forgetUnseen(): void {
    for (const [key, sighting] of this.#sightings) {
      if (!sighting.seen) this.#sightings.delete(key);
      sighting.seen = false;
    }
  }

  /** Settles when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#asking);
  }

  async #ask(sighting: Sighting, found: FoundPort, tell: (what: Recognised) => Promise<void>): Promise<void> {
    const { discover, signal, clock, logger } = this.#deps;
    sighting.state = "asking";
    try {
      const what = await discover.recognise(found, AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]));
      if (what !== null && !signal.aborted) {
        await tell(what);
        sighting.state = "done";
        return;
      }
    } catch (error) {
      if (!signal.aborted) logger.debug({ err: error, port: found.port }, "port not recognised");
    }
    sighting.state = "waiting";
    sighting.nextAt = clock.now() + Math.min(LONGEST_AGAIN_MS, FIRST_AGAIN_MS * 2 ** Math.min(sighting.tries, 10));
    sighting.tries += 1;
  }
}
