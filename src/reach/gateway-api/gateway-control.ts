import { once } from "node:events";
import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { Problem, ReachReport, SourceUpdate } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { KubernetesError } from "../../platform/kubernetes/kubernetes-error.ts";
import { objectKey } from "../../platform/kubernetes/objects.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { reportCapacity } from "./capacity.ts";
import { rulesOf } from "./controllers.ts";
import { adviseOnPorts } from "./ephemeral-ports.ts";
import { GATE_LABEL } from "../../platform/kubernetes/gate-marks.ts";
import { plan } from "./plan.ts";
import type { Observed, Plan, PlanInput, Step } from "./plan-input.ts";
import { PortMemory } from "./ports.ts";
import { Probes } from "./probe.ts";
import { ReachedTasks } from "./reached-tasks.ts";
import { Readiness } from "./readiness.ts";
import { Addresses } from "./resolve.ts";
import { Safeguards } from "./safeguards.ts";
import type { Tunnel } from "./tunnel/tunnel.ts";
import { gatewayKey, type Allotment, type GatewayRef } from "./unit.ts";
import { GatewayWatch, type Unread } from "./watch.ts";
import { Writer, type WriterBounds } from "./writer.ts";

export interface ControlBounds {
  /** Between two looks, ms: what comes meanwhile is looked at together. */
  readonly settleMs: number;
  /** How long something may take before that is a problem, ms. */
  readonly pendingMs: number;
  /** How long a controller has to refuse something before that counts, ms. */
  readonly refusedMs: number;
  /** How long a controller may take to lead a listener to another pod: for so long nothing is published of it, ms. */
  readonly retargetMs: number;
  /** Longest time that the provider's first word waits for what is reached already, ms. */
  readonly firstMs: number;
  /** Between two looks at what the cluster serves, ms. */
  readonly discoverMs: number;
  readonly writer: Partial<WriterBounds>;
}

const BOUNDS: ControlBounds = Object.freeze({
  ...{ settleMs: 20, pendingMs: 10_000, refusedMs: 3000, retargetMs: 1000 },
  ...{ firstMs: 10_000, discoverMs: 30_000 },
  writer: {},
});

/** How many times as long as a look takes passes until the next one, at least. */
const LOOK_SHARE = 4;
/** Until it is looked at again after that failed. */
const FAILED_MS = 1000;

export interface GatewayControlDeps {
  /** Name of the provider. */
  readonly provider: string;
  readonly gateway: GatewayConfig;
  readonly namespaces: readonly string[];
  /** null: Gateways pass on what they get. */
  readonly tunnel: Tunnel | null;
  readonly bounds?: Partial<ControlBounds>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is followed, once the cluster is known. */
interface Following {
  readonly mark: string;
  readonly watch: GatewayWatch;
  readonly writer: Writer;
  readonly safeguards: Safeguards;
}

interface Lead {
  readonly signal: AbortSignal;
  readonly fence: number;
  readonly superseded: PromiseWithResolvers<never>;
}

/**
 * Looks, whenever anything changed, at what tasks there are and how things stand in the cluster; says which of them are reached; and has the writer do
 * what is missing, while this gate leads.
 */
export class GatewayControl implements AsyncDisposable {
  readonly #deps: GatewayControlDeps;
  readonly #bounds: ControlBounds;
  readonly #tasks: ReachedTasks;
  readonly #addresses: Addresses;
  readonly #probes: Probes;
  readonly #readiness: Readiness;
  readonly #ports = new PortMemory();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #following: Following | null = null;
  #lead: Lead | null = null;
  /** Resolved when there is something to look at. */
  #touched = Promise.withResolvers<undefined>();
  #timer: Disposable | null = null;
  /** Epoch ms of the provider's first word. */
  #heardAt: number | null = null;

  constructor(deps: GatewayControlDeps, publish: (update: SourceUpdate) => void) {
    this.#deps = deps;
    this.#bounds = { ...BOUNDS, ...deps.bounds };
    const { clock, gateway, provider, tunnel } = deps;
    const changed = (): void => this.#touch();
    this.#addresses = new Addresses({ names: gateway.gateways.map(({ address }) => address), changed, clock });
    this.#probes = new Probes({ changed, clock });
    this.#readiness = new Readiness({
      ...{ addresses: this.#addresses, probes: this.#probes, clock, bounds: this.#bounds },
      blocked: ({ gateway, port }) => {
        this.#ports.block(gatewayKey(gateway), port, clock.now());
        changed();
      },
    });
    this.#tasks = new ReachedTasks(
      {
        addressOf: (unit) => this.#readiness.addressOf(unit),
        reasonOf: (units) => this.#readiness.reasonOf(units),
        problems: () => [...this.#problems(), ...this.#readiness.problems(provider)],
      },
      { publish, tunnel },
    );
    this.#running = this.#run();
  }

  get report(): ReachReport {
    const { provider, gateway } = this.#deps;
    const observed = this.#following?.watch.observed ?? null;
    const input = observed === null ? null : this.#input(observed);
    return {
      ...{ provider, reach: "gateway-api", wanted: this.#tasks.units.size, ready: this.#readiness.ready },
      gateways: input === null ? unknown(gateway) : reportCapacity(input),
      advice: [...(input === null ? [] : adviseOnPorts(input)), ...(this.#following?.safeguards.advice ?? [])],
    };
  }

  take(update: SourceUpdate): void {
    this.#heardAt ??= this.#deps.clock.now();
    this.#tasks.take(update);
    this.#touch();
  }

  /** Whether this gate leads, and nothing is left in the cluster that no task wants, at former Gateways neither. */
  get isSettled(): boolean {
    const following = this.#following;
    if (following === null || this.#lead === null) return false;
    const { watch, safeguards } = following;
    const observed = watch.isListed && watch.knowsFormer ? watch.observed : null;
    if (observed === null) return false;
    const input = this.#input(observed);
    return input.isWhole && plan(input).steps.length === 0 && safeguards.isSettled;
  }

  /**
   * From now on what is in the cluster counts. `former`: other Gateways, from which what is left there is taken away. Disposing ends the watching:
   * what is reached stays so.
   */
  follow(client: KubernetesClient, mark: string, former: readonly GatewayRef[]): AsyncDisposable {
    const { clock, gateway, logger, namespaces, tunnel } = this.#deps;
    const changed = (): void => this.#touch();
    const watch = new GatewayWatch({
      ...{ client, namespaces, changed, clock, logger, gateways: gateway.gateways, former },
      ...{ withSets: gateway.listenerSets !== "never", own: `${GATE_LABEL}=${mark}` },
      discoverMs: this.#bounds.discoverMs,
    });
    const bounds = this.#bounds.writer;
    const writer = new Writer({
      ...{ client, to: watch, mark, done: changed, clock, logger, bounds },
      anew: (step) => this.#planAnew(step),
    });
    const safeguards = new Safeguards({ client, mark, gateway, tunnel, namespaces, clock, logger });
    this.#following = { mark, watch, writer, safeguards };
    return {
      [Symbol.asyncDispose]: async () => {
        this.#following = null;
        await writer.idle();
        await Promise.all([watch[Symbol.asyncDispose](), safeguards[Symbol.asyncDispose]()]);
      },
    };
  }

  /** Writes while this gate leads. Throws where another one leads by now. */
  async lead(signal: AbortSignal, fence: number): Promise<void> {
    const superseded = Promise.withResolvers<never>();
    const lead = { signal, fence, superseded };
    this.#lead = lead;
    this.#touch();
    const ended = new AbortController();
    const guarding = this.#following?.safeguards.lead(AbortSignal.any([signal, ended.signal]));
    try {
      if (!signal.aborted) await Promise.race([once(signal, "abort"), superseded.promise]);
    } finally {
      ended.abort();
      await guarding;
      this.#lead = null;
      await this.#following?.writer.idle();
    }
  }

  /** Nothing is published once this has begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#touch();
    this.#timer?.[Symbol.dispose]();
    this.#probes[Symbol.dispose]();
    await this.#addresses[Symbol.asyncDispose]();
    await this.#running;
  }

  #touch(): void {
    this.#touched.resolve(undefined);
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#deps;
    const { signal } = this.#stop;
    for (;;) {
      await this.#touched.promise;
      if (signal.aborted) return;
      this.#touched = Promise.withResolvers();
      const began = performance.now();
      try {
        this.#look();
      } catch (err) {
        logger.error({ err }, "Gateways cannot be looked at");
        await pause(clock, FAILED_MS, signal);
        this.#touch();
      }
      // Where there is much to look at, it is looked at less often.
      await pause(clock, Math.max(this.#bounds.settleMs, LOOK_SHARE * (performance.now() - began)), signal);
    }
  }

  #look(): void {
    const following = this.#following;
    const observed = following?.watch.isListed === true ? following.watch.observed : null;
    following?.safeguards.see({ tasks: this.#tasks.tasks, isWhole: this.#tasks.isCurrent, observed });
    if (following === null || observed === null) {
      this.#tasks.refresh([]);
      // Not where it is known that nothing is reached.
      this.#lookAgain([this.#release(following !== null && isHopeless(following.watch))]);
      return;
    }
    this.#ports.see(observed, this.#deps.clock.now());
    const made = plan(this.#input(observed));
    const { changed, again, isAsking } = this.#readiness.look({
      ...{ units: this.#tasks.units, observed, plan: made, notTaken: following.writer.notTaken },
      tellsByOpening: (allotment) => this.#tellsByOpening(allotment, observed),
    });
    const due = this.#write(made, following.writer);
    const release = this.#release(!isAsking);
    this.#tasks.refresh(changed);
    this.#lookAgain([again, due, release]);
  }

  /** Not of a port that somebody else had a moment ago: a proxy may lead there for longer. */
  #tellsByOpening({ gateway, listenerSet, port }: Allotment, { controllers }: Observed): boolean {
    const key = gatewayKey(gateway);
    const { refusesUnrouted } = rulesOf(controllers.get(key));
    return refusesUnrouted && listenerSet === null && this.#ports.isFresh(key, port, this.#deps.clock.now());
  }

  /** The provider's first word waits for what is reached already, and not forever; when that ends, epoch ms, null: it does not wait. */
  #release(isKnown: boolean): number | null {
    if (!this.#tasks.isHeld || this.#heardAt === null) return null;
    const until = this.#heardAt + this.#bounds.firstMs;
    if (!isKnown && this.#deps.clock.now() < until) return until;
    this.#tasks.release();
    return null;
  }

  #lookAgain(times: readonly (number | null)[]): void {
    const { clock } = this.#deps;
    const next = times.flatMap((time) => time ?? []);
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    if (next.length === 0) return;
    this.#timer = clock.after(Math.max(1, Math.min(...next) - clock.now()), () => this.#touch());
  }

  /** When to look again, epoch ms; null: when something changes. */
  #write({ steps, isSuperseded }: Plan, writer: Writer): number | null {
    const lead = this.#lead;
    if (lead === null) return null;
    if (!isSuperseded) return writer.offer(steps, lead.signal);
    lead.superseded.reject(new Error("another gate has led since in what is made for this provider"));
    return null;
  }

  #planAnew({ resource, object }: Step): Step | null {
    const observed = this.#following?.watch.observed ?? null;
    if (observed === null || this.#lead === null) return null;
    const { steps } = plan(this.#input(observed));
    const isSame = (each: Step): boolean =>
      each.resource.plural === resource.plural && objectKey(each.object) === objectKey(object);
    return steps.find(isSame) ?? null;
  }

  #input(observed: Observed): PlanInput {
    const { listenerSets, gateways, ports } = this.#deps.gateway;
    const following = this.#following;
    return {
      settings: { mark: following?.mark ?? "", fence: this.#lead?.fence ?? 0, gateways, ports, listenerSets },
      observed,
      units: this.#tasks.units,
      isWhole: this.#tasks.isCurrent && following?.watch.isWhole === true,
      ports: this.#ports,
    };
  }

  #problems(): readonly Problem[] {
    const { provider, gateway } = this.#deps;
    const following = this.#following;
    if (following === null) return [];
    const { watch, writer } = following;
    const problem = (code: string, message: string): Problem => ({ subject: provider, code, message });
    const missing = watch.missing === null ? [] : [problem("gateway_missing", `Nothing is reached: ${watch.missing}.`)];
    const observed = watch.observed?.gateways;
    const gone = gateway.gateways.flatMap((ref) => {
      const key = gatewayKey(ref);
      return observed?.get(key) === null ? [problem("gateway_missing", goneMessage(key))] : [];
    });
    const refused = watch.unread.filter(isRefused);
    const unread = refused.map(({ what }) => `list and watch ${what}`);
    const forbidden = [...unread, ...writer.forbidden];
    const remedy = `Give it the rights of docs/kubernetes.md, "Through a Gateway"`;
    const message = `Not everything is reached: the gate may not ${forbidden.join(", nor ")}. ${remedy}.`;
    return [...missing, ...gone, ...(forbidden.length === 0 ? [] : [problem("gateway_forbidden", message)])];
  }
}

function isRefused({ error }: Unread): boolean {
  return error instanceof KubernetesError && error.status === 403;
}

/** Whether it cannot come to know, as long as nobody does anything about it. */
function isHopeless({ missing, unread }: GatewayWatch): boolean {
  return missing !== null || unread.some(isRefused);
}

function goneMessage(gateway: string): string {
  return `Gateway ${gateway} is not there: make it, or name another; what is published on it comes back with it.`;
}

/** Of Gateways of which nothing is known. */
export function unknown({ gateways, ports }: GatewayConfig): ReachReport["gateways"] {
  return gateways.map((ref) => ({
    ...{ gateway: gatewayKey(ref), address: ref.address, state: "unknown" as const, controller: null },
    listeners: { own: 0, others: 0, most: 0 },
    ...{ listenerSets: null, whyNoListenerSets: null },
    ports: { ...ports, own: 0, others: 0 },
    ...{ room: 0, bound: "listeners" as const },
  }));
}
