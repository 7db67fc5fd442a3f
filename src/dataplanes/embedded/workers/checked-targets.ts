import { endpointKey } from "../../dataplane.ts";
import type { WatchHealth } from "../active-health.ts";
import type { Target } from "../target.ts";
import type { Checked } from "./messages.ts";

/** Takes what the gate's process found by asking endpoints, in place of asking them here. */
export class CheckedTargets {
  readonly #verdicts = new Map<string, "healthy" | "unhealthy">();
  readonly #targets = new Map<string, Target>();

  take(checked: Checked): void {
    for (const [key, verdict] of checked) {
      if (verdict === null) this.#verdicts.delete(key);
      else {
        this.#verdicts.set(key, verdict);
        this.#targets.get(key)?.checked(verdict);
      }
    }
  }

  readonly watch: WatchHealth = ({ target, upstream }) => {
    const key = endpointKey(upstream, target.key);
    this.#targets.set(key, target);
    const verdict = this.#verdicts.get(key);
    // Not within this call: the upstream does not have the target yet.
    if (verdict !== undefined) queueMicrotask(() => target.checked(verdict));
    return {
      [Symbol.dispose]: () => {
        if (this.#targets.get(key) === target) this.#targets.delete(key);
      },
    };
  };
}
