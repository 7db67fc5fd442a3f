import { isDeepStrictEqual } from "node:util";
import { hostPort, type Problem } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { rulesOf } from "./controllers.ts";
import { isEphemeral } from "./ephemeral-ports.ts";
import { judge } from "./judge.ts";
import type { Held, Observed, Plan } from "./plan-input.ts";
import type { Probes } from "./probe.ts";
import type { Addresses } from "./resolve.ts";
import { gatewayKey, type Allotment, type Unit } from "./unit.ts";

export interface ReadinessBounds {
  /** How long something may take before that is a problem, ms. */
  readonly pendingMs: number;
  /** How long a controller has to refuse something before that counts: some say so in passing. */
  readonly refusedMs: number;
  /** How long a controller may take to lead a listener to another pod, ms. */
  readonly retargetMs: number;
}

export interface ReadinessDeps {
  readonly addresses: Addresses;
  readonly probes: Probes;
  readonly clock: Clock;
  readonly bounds: ReadinessBounds;
  /** Its proxy cannot listen there: whoever has it is to have another one. */
  readonly blocked: (allotment: Allotment) => void;
}

/** What is looked at. */
export interface Looked {
  readonly units: ReadonlyMap<string, Unit>;
  readonly observed: Observed;
  readonly plan: Pick<Plan, "held" | "refused">;
  /** By unit: what the API server did not take for it, in words. */
  readonly notTaken: ReadonlyMap<string, string>;
  /** Whether a port that takes connections leads to who has it, though no controller says so. */
  readonly tellsByOpening: (allotment: Allotment) => boolean;
}

/** One look; `asked` are the ports that are to be tried, each as `hostPort` writes it. */
interface Asking {
  readonly looked: Looked;
  readonly asked: Set<string>;
}

interface Trouble {
  readonly code: string;
  readonly message: string;
  /** Epoch ms from when it is a problem. */
  readonly from: number;
}

interface State {
  unit: Unit;
  /** Epoch ms since when it is not reached, or is. */
  since: number;
  /** By which listener and route it is reached; null: it is not. */
  ready: string | null;
  address: { readonly ip: string; readonly port: number } | null;
  trouble: Trouble | null;
  /** Epoch ms. */
  refusedSince: number | null;
  /** Epoch ms until which its listener may lead to the pod that it was before; null: it leads to what it is. */
  movingUntil: number | null;
  /** Epoch ms when its port is given up, unless it opens; null: it is not. */
  blockedAt: number | null;
  /** What was last told of it, to see whether that is another now. */
  told: string;
}

const WAITING = "it is being made reachable through the Gateway";

/**
 * Which units are reached through their Gateways, and why the others are not. One that was reached stays so until its listener or its route is gone,
 * or refused for good: a controller that starts again withdraws nothing.
 */
export class Readiness {
  readonly #deps: ReadinessDeps;
  readonly #states = new Map<string, State>();

  constructor(deps: ReadinessDeps) {
    this.#deps = deps;
  }

  /** Units that are reached. */
  get ready(): number {
    return [...this.#states.values()].filter(({ ready }) => ready !== null).length;
  }

  addressOf(unit: string): State["address"] {
    return this.#states.get(unit)?.address ?? null;
  }

  /** Why one of these is not reached; null: they all are. */
  reasonOf(units: Iterable<string>): string | null {
    for (const id of units) {
      const state = this.#states.get(id);
      if (state === undefined) return WAITING;
      if (state.ready === null) return this.#due(state)?.message ?? WAITING;
    }
    return null;
  }

  /** Of each task and what is wrong with it one. */
  problems(provider: string): readonly Problem[] {
    const found = new Map<string, Problem & { more: number }>();
    for (const state of this.#states.values()) {
      const trouble = this.#due(state);
      if (trouble === null) continue;
      const { unit } = state;
      const key = `${trouble.code} ${unit.task}`;
      const known = found.get(key);
      if (known !== undefined) known.more += 1;
      else
        found.set(key, { subject: `${provider}/${unit.task}`, code: trouble.code, message: trouble.message, more: 0 });
    }
    return Array.from(found.values(), ({ more, message, ...problem }) => ({
      ...problem,
      message: more === 0 ? message : `${message} So it is of ${String(more)} more of its ports.`,
    }));
  }

  /** Tasks that stand otherwise than before, when something is due next (epoch ms; null: never), and whether answers of probes are awaited. */
  look(looked: Looked): {
    readonly changed: ReadonlySet<string>;
    readonly again: number | null;
    readonly isAsking: boolean;
  } {
    const changed = new Set<string>();
    const asked = new Set<string>();
    let again = Infinity;
    let isAsking = false;
    for (const [id, state] of this.#states) {
      const now = looked.units.get(id);
      if (now?.task === state.unit.task) continue;
      this.#states.delete(id);
      changed.add(state.unit.task);
    }
    for (const unit of looked.units.values()) {
      const state = this.#stateOf(unit);
      const next = this.#stand(state, { looked, asked });
      isAsking ||= next === "asking";
      again = Math.min(again, this.#nextOf(state));
      const told = JSON.stringify([state.address, this.#due(state)]);
      if (told !== state.told) changed.add(unit.task);
      state.told = told;
    }
    this.#deps.probes.keepOnly(asked);
    return { changed, again: again === Infinity ? null : again, isAsking };
  }

  /** When it may stand otherwise though nothing changes, epoch ms. */
  #nextOf({ trouble, refusedSince, movingUntil, blockedAt, ready }: State): number {
    const now = this.#deps.clock.now();
    const told = trouble !== null && trouble.from > now ? trouble.from : Infinity;
    const refused = refusedSince !== null && ready !== null ? refusedSince + this.#deps.bounds.refusedMs : Infinity;
    return Math.min(told, refused, movingUntil ?? Infinity, blockedAt ?? Infinity);
  }

  #stateOf(unit: Unit): State {
    const { bounds, clock } = this.#deps;
    const known = this.#states.get(unit.id);
    if (known !== undefined) {
      // Whoever has the address of the pod that was must not be taken for the one that is.
      if (!isDeepStrictEqual(known.unit.backing, unit.backing)) known.movingUntil = clock.now() + bounds.retargetMs;
      known.unit = unit;
      return known;
    }
    const state: State = {
      ...{ unit, since: clock.now(), ready: null, address: null, trouble: null, told: "" },
      ...{ refusedSince: null, movingUntil: null, blockedAt: null },
    };
    this.#states.set(unit.id, state);
    return state;
  }

  #stand(state: State, { looked, asked }: Asking): "asking" | "known" {
    state.blockedAt = null;
    const { id } = state.unit;
    const held = looked.plan.held.get(id);
    const refusal = looked.plan.refused.get(id);
    if (held !== undefined) return this.#standBy(state, held, { looked, asked });
    if (refusal !== undefined) this.#withdraw(state, refusal.code, refusal.message, 0);
    else this.#wait(state, looked.notTaken.get(id) ?? null, "it has no port of a Gateway yet");
    return "known";
  }

  #standBy(state: State, held: Held, { looked, asked }: Asking): "asking" | "known" {
    const { addresses, bounds } = this.#deps;
    const { gateway } = held.allotment;
    const resolved = addresses.of(gateway.address);
    if ("failure" in resolved) {
      const message = `Gateway ${gatewayKey(gateway)} cannot be dialled: its address ${gateway.address} cannot be looked up: ${resolved.failure}.`;
      this.#withdraw(state, "gateway_unreachable", message, bounds.pendingMs);
      return "known";
    }
    const { ip } = resolved;
    const verdict = judge(held, looked.observed);
    if (verdict.kind === "refused") {
      this.#refuse(state, held, verdict.why);
      return "known";
    }
    state.refusedSince = null;
    if (this.#isMoving(state)) this.#wait(state, null, "its listener is being led to its new pod");
    else if (isReadyBy(state, held)) this.#isReady(state, held, ip);
    else if (verdict.kind === "pending" || (verdict.kind === "silent" && !looked.tellsByOpening(held.allotment))) {
      this.#wait(state, looked.notTaken.get(state.unit.id) ?? null, verdict.why);
    } else return this.#probe(state, held, { ip, looked, asked, why: "why" in verdict ? verdict.why : null });
    return "known";
  }

  /** `why`: what is said where it does not answer; null: its controller says that it does. */
  #probe(
    state: State,
    held: Held,
    { ip, looked, asked, why }: Asking & { readonly ip: string; readonly why: string | null },
  ): "asking" | "known" {
    const { port } = held.allotment;
    asked.add(hostPort(ip, port));
    const said = this.#deps.probes.ask(ip, port, { mustLast: why !== null });
    if (said === "open") this.#isReady(state, held, ip);
    else if (said === "unknown") this.#wait(state, null, why ?? "whether it is open from here is not known yet");
    else if (why !== null) this.#wait(state, null, why);
    else {
      const rules = rulesOf(looked.observed.controllers.get(gatewayKey(held.allotment.gateway)));
      const message = unreachable(held, ip, { failure: said.failure, isEphemeral: isEphemeral(port, rules) });
      this.#withdraw(state, "gateway_unreachable", message, this.#deps.bounds.pendingMs);
      if (isEphemeral(port, rules) && said.failure.includes("ECONNREFUSED")) this.#block(state, held, said.since);
    }
    return said === "unknown" ? "asking" : "known";
  }

  /** Once that is a problem, and others are reached at the same Gateway: then it is not its address that is wrong. `since`: epoch ms. */
  #block(state: State, { allotment }: Held, since: number): void {
    const at = since + this.#deps.bounds.pendingMs;
    const key = gatewayKey(allotment.gateway);
    if (at > this.#deps.clock.now()) state.blockedAt = at;
    else if ([...this.#states.values()].some(({ ready }) => ready?.startsWith(`${key}/`) === true))
      this.#deps.blocked(allotment);
  }

  #isMoving(state: State): boolean {
    if (state.movingUntil !== null && state.movingUntil <= this.#deps.clock.now()) state.movingUntil = null;
    return state.movingUntil !== null;
  }

  /** Some controllers say so in passing: what was reached is not withdrawn at once, and nobody is told. */
  #refuse(state: State, held: Held, why: string): void {
    const { bounds, clock } = this.#deps;
    state.refusedSince ??= clock.now();
    const isPassing = clock.now() < state.refusedSince + bounds.refusedMs;
    if (isPassing && isReadyBy(state, held)) return;
    this.#withdraw(state, "gateway_refused", `${nameOf(state.unit)} is not reached: ${why}.`, 0);
    if (isPassing && state.trouble !== null)
      state.trouble = { ...state.trouble, from: state.refusedSince + bounds.refusedMs };
  }

  #isReady(state: State, held: Held, ip: string): void {
    if (state.ready === null) state.since = this.#deps.clock.now();
    state.ready = keyOf(held);
    state.address = { ip, port: held.allotment.port };
    state.trouble = null;
  }

  #wait(state: State, notTaken: string | null, why: string): void {
    const { pendingMs } = this.#deps.bounds;
    if (notTaken !== null)
      this.#withdraw(state, "gateway_refused", `${nameOf(state.unit)} is not reached: ${notTaken}.`, 0);
    else this.#withdraw(state, "gateway_pending", `${nameOf(state.unit)} is not reached yet: ${why}.`, pendingMs);
  }

  #withdraw(state: State, code: string, message: string, afterMs: number): void {
    const { clock } = this.#deps;
    if (state.ready !== null) state.since = clock.now();
    state.ready = null;
    state.address = null;
    state.trouble = { code, message, from: state.since + afterMs };
  }

  /** What is wrong for so long by now that it is told. */
  #due({ trouble }: State): Trouble | null {
    return trouble !== null && trouble.from <= this.#deps.clock.now() ? trouble : null;
  }
}

function isReadyBy({ ready }: State, held: Held): boolean {
  return ready !== null && ready === keyOf(held);
}

/** By which listener and route. */
function keyOf({ allotment, route }: Held): string | null {
  const { gateway, port, listenerSet } = allotment;
  const uid = route?.metadata.uid;
  return uid === undefined ? null : `${gatewayKey(gateway)}/${listenerSet ?? ""}/${String(port)}/${uid}`;
}

function unreachable(
  { unit, allotment: { gateway, port } }: Held,
  ip: string,
  { failure, isEphemeral }: { readonly failure: string; readonly isEphemeral: boolean },
): string {
  const at = `${hostPort(ip, port)}${ip === gateway.address ? "" : ` (${gateway.address})`}`;
  const remedy =
    "Check the address of the Gateway in the configuration, and let the gate through to it (firewall, network policy)";
  const more = isEphemeral
    ? ". Its proxy may have a connection of its own at that port: see advice gateway_ephemeral_ports of taskgate doctor"
    : "";
  return `${nameOf(unit)} is not reached: Gateway ${gatewayKey(gateway)} listens on ${String(port)} as its controller says, but ${at} does not answer the gate: ${failure}. ${remedy}${more}.`;
}

function nameOf({ service, replica }: Unit): string {
  return `Service ${service} of replica ${replica}`;
}
