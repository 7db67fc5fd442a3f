import type { Gateway, ListenerSet } from "../../platform/kubernetes/gateway-objects.ts";
import { objectKey } from "../../platform/kubernetes/objects.ts";
import type { ControllerRules } from "./controllers.ts";
import { isEphemeral } from "./ephemeral-ports.ts";
import type { KnownPorts, Observed } from "./plan-input.ts";
import { gatewayOf } from "./survey.ts";

/** How long a port that was given up is not given to another unit while others are free: a route to who had it may live as long. */
export const COOLING_MS = 60_000;

/** Which ports of Gateways were given up a moment ago, by whomever, and where proxies could not listen. A gate that has just started knows of none. */
export class PortMemory implements KnownPorts {
  /** Epoch ms when it was missed first, by `GATEWAY PORT`. In order of time. */
  readonly #freed = new Map<string, number>();
  /** Ports of each object that has listeners, as it was seen last. */
  #seen = new Map<Gateway | ListenerSet, readonly string[]>();
  #held: ReadonlySet<string> = new Set();
  /** Epoch ms until which each counts as blocked, by `GATEWAY PORT`. */
  readonly #blocked = new Map<string, number>();
  /** Epoch ms of the first look. */
  #since: number | null = null;

  /** Call at each look, of leaders and followers. `now`: epoch ms. */
  see(observed: Observed, now: number): void {
    this.#since ??= now;
    for (const [key, since] of this.#freed) {
      if (now - since < COOLING_MS) break;
      this.#freed.delete(key);
    }
    for (const [key, until] of this.#blocked) if (until <= now) this.#blocked.delete(key);
    const seen = portsByObject(observed, this.#seen);
    if (seen.size === this.#seen.size && [...seen.keys()].every((object) => this.#seen.has(object))) return;
    this.#seen = seen;
    const held = new Set([...seen.values()].flat());
    for (const key of this.#held) {
      if (held.has(key)) continue;
      this.#freed.delete(key);
      this.#freed.set(key, now);
    }
    this.#held = held;
  }

  /** `gateway`: `NAMESPACE/NAME`. */
  isCooling(gateway: string, port: number): boolean {
    return this.#freed.has(`${gateway} ${String(port)}`);
  }

  /** Its proxy cannot listen there, until it is tried again after a minute. `now`: epoch ms. */
  block(gateway: string, port: number, now: number): void {
    this.#blocked.set(`${gateway} ${String(port)}`, now + COOLING_MS);
  }

  isBlocked(gateway: string, port: number): boolean {
    return this.#blocked.has(`${gateway} ${String(port)}`);
  }

  /** Whether nobody else has had the port for so long that nothing leads to them any more; false where that is not known. */
  isFresh(gateway: string, port: number, now: number): boolean {
    return this.#since !== null && now - this.#since >= COOLING_MS && !this.isCooling(gateway, port);
  }
}

type PortsByObject = Map<Gateway | ListenerSet, readonly string[]>;

// Objects that did not change are the same ones: of those nothing is read anew.
function portsByObject(observed: Observed, before: PortsByObject): PortsByObject {
  const seen: PortsByObject = new Map();
  const see = (object: Gateway | ListenerSet, gateway: string): void => {
    const read = (): readonly string[] =>
      (object.spec?.listeners ?? []).map(({ port }) => `${gateway} ${String(port)}`);
    seen.set(object, before.get(object) ?? read());
  };
  for (const gateway of observed.gateways.values()) if (gateway !== null) see(gateway, objectKey(gateway));
  for (const set of observed.listenerSets?.values() ?? []) {
    const gateway = gatewayOf(set);
    if (gateway !== null) see(set, gateway);
  }
  return seen;
}

/** Numbers that are free, the lowest first of those that nothing speaks against. What it gave it does not give again. */
export class PortPicker {
  readonly #range: { readonly from: number; readonly to: number };
  readonly #held: Set<number>;
  readonly #rules: ControllerRules;
  /** Best first: which ports it is about, and below which none of these is free. */
  readonly #choices: { readonly isMeant: (port: number) => boolean; next: number }[];

  constructor(
    range: { readonly from: number; readonly to: number },
    held: Iterable<number>,
    { rules, isCooling }: { readonly rules: ControllerRules; readonly isCooling: (port: number) => boolean },
  ) {
    this.#range = range;
    this.#held = new Set(held);
    this.#rules = rules;
    // One that may lead to somebody else is worse than one that may not be listened on: that is seen, and said.
    const choices = [
      (port: number) => !isCooling(port) && !isEphemeral(port, rules),
      (port: number) => !isCooling(port),
      () => true,
    ];
    this.#choices = choices.map((isMeant) => ({ isMeant, next: range.from }));
  }

  /** Takes this one, if it is free: whether it was. */
  take(port: number): boolean {
    if (!this.#isFree(port)) return false;
    this.#held.add(port);
    return true;
  }

  /** The lowest that has cooled down and that no connection of a proxy's can be in the way of, else one that has cooled down, else any; null: there is none. */
  takeBest(): number | null {
    const { to } = this.#range;
    for (const choice of this.#choices) {
      while (choice.next <= to && !(this.#isFree(choice.next) && choice.isMeant(choice.next))) choice.next++;
      if (choice.next > to) continue;
      this.#held.add(choice.next);
      return choice.next;
    }
    return null;
  }

  /** How many more could be taken. */
  count(): number {
    const rest = new PortPicker(this.#range, this.#held, { rules: this.#rules, isCooling: () => false });
    let count = 0;
    while (rest.takeBest() !== null) count++;
    return count;
  }

  #isFree(port: number): boolean {
    const { from, to } = this.#range;
    return port >= from && port <= to && !this.#held.has(port) && this.#rules.takes(port, this.#held);
  }
}
