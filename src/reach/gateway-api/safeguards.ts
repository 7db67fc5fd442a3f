import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { ReachAdvice, Task } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { portAnnotation } from "../../platform/kubernetes/gate-marks.ts";
import { portMark } from "./marks.ts";
import type { Observed } from "./plan-input.ts";
import { adviseOnPods } from "./policies/policy-advice.ts";
import { PolicyKeeper } from "./policies/policy-keeper.ts";
import { lookAround, type Surroundings } from "./policies/surroundings.ts";
import type { PodsOf } from "./policies/network-policy.ts";
import { adviseOnBounds, adviseOnPlainText, adviseOnReach, adviseOnUnverified, type Exposed } from "./preflight.ts";
import { CertificateKeeper } from "./tunnel/certificate-keeper.ts";
import type { Tunnel } from "./tunnel/tunnel.ts";
import { gatewayKey } from "./unit.ts";

export interface SafeguardsDeps {
  readonly client: KubernetesClient;
  readonly mark: string;
  readonly gateway: GatewayConfig;
  /** null: Gateways pass on what they get. */
  readonly tunnel: Tunnel | null;
  /** Where tasks are; empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How things stand. */
export interface Guarding {
  /** By id, as the provider says them. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly isWhole: boolean;
  /** null: nothing is known of the cluster. */
  readonly observed: Pick<Observed, "gateways" | "controllers" | "served"> | null;
}

/** Pods and Services of Gateways come and go seldom, and nothing that is to be quick hangs on them. */
const LOOK_MS = 30_000;
/** Between two looks where pods of a Gateway are not known: they come soon, or perhaps never. */
const UNKNOWN = { firstPauseMs: 1000, mostPauseMs: LOOK_MS };

/** What is done so that nobody but the gate gets to tasks through a Gateway or beside it, and what is said where that cannot be done. */
export class Safeguards implements AsyncDisposable {
  readonly #deps: SafeguardsDeps;
  readonly #policies: PolicyKeeper;
  readonly #certificates: CertificateKeeper | null;
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;
  /** By `NAMESPACE/NAME` of the Gateway. */
  readonly #around = new Map<string, Surroundings>();
  #seen: Guarding = { tasks: new Map(), isWhole: false, observed: null };

  constructor(deps: SafeguardsDeps) {
    this.#deps = deps;
    const { client, mark, gateway, tunnel, namespaces, clock, logger } = deps;
    this.#policies = new PolicyKeeper({ client, mark, namespaces, isWanted: gateway.networkPolicy, clock, logger });
    const places = [...new Set(gateway.gateways.map(({ namespace }) => namespace))];
    this.#certificates =
      tunnel === null ? null : new CertificateKeeper({ client, tunnel, mark, namespaces: places, clock, logger });
    this.#looking = this.#look();
  }

  see(seen: Guarding): void {
    this.#seen = seen;
    this.#tellPolicies();
  }

  /** Writes while this gate leads; resolves once `signal` aborts. */
  async lead(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#policies.lead(signal), this.#certificates?.lead(signal)]);
  }

  /** Whether all policies are as they should be, as far as the gate may see to that. */
  get isSettled(): boolean {
    return this.#policies.isSettled;
  }

  get advice(): readonly ReachAdvice[] {
    const { gateway, tunnel } = this.#deps;
    const { tasks } = this.#seen;
    const pods = gateway.gateways.flatMap((ref) => {
      const around = this.#around.get(gatewayKey(ref));
      return around === undefined || !gateway.networkPolicy ? [] : adviseOnPods(ref, around);
    });
    return [
      ...adviseOnReach(this.#exposed()),
      ...adviseOnBounds(this.#seen.observed?.served.gatewayListeners),
      ...adviseOnPlainText(tasks.values(), tunnel !== null),
      ...adviseOnUnverified(tasks.values()),
      ...(this.#certificates?.advice ?? []),
      ...(gateway.networkPolicy ? [] : [NO_POLICIES]),
      ...(pods.length > 0 ? pods : this.#policies.advice),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#looking;
    await this.#policies[Symbol.asyncDispose]();
  }

  #exposed(): readonly Exposed[] {
    const { gateway, mark } = this.#deps;
    return gateway.gateways.map((ref) => {
      const key = gatewayKey(ref);
      const there = this.#seen.observed?.gateways.get(key) ?? null;
      const isOwn = (port: number): boolean =>
        there?.metadata.annotations?.[portAnnotation(port)]?.startsWith(portMark(mark, "")) === true;
      return { ref, gateway: there, isOwn, around: this.#around.get(key) ?? null };
    });
  }

  /** Pods of all Gateways; null: those of one are not known. */
  #gatewayPods(): readonly PodsOf[] | null {
    const all: PodsOf[] = [];
    for (const ref of this.#deps.gateway.gateways) {
      const around = this.#around.get(gatewayKey(ref));
      if (around === undefined || around.pods === null || around.isOnHostNetwork) return null;
      all.push(around.pods);
    }
    return all;
  }

  #tellPolicies(): void {
    const { tasks, isWhole } = this.#seen;
    this.#policies.see({ tasks, isWhole, gateways: this.#gatewayPods() });
  }

  /** Again and again: what is around Gateways is not watched. */
  async #look(): Promise<void> {
    const { client, clock, gateway, logger } = this.#deps;
    const { signal } = this.#stop;
    let unknown = 0;
    for (;;) {
      let isKnown = true;
      for (const ref of gateway.gateways) {
        const key = gatewayKey(ref);
        // Whose Gateway it is says which pods are its.
        isKnown &&= this.#seen.observed?.gateways.has(key) === true;
        const at = { gateway: ref, controller: this.#seen.observed?.controllers.get(key), pods: ref.pods };
        try {
          this.#around.set(key, await lookAround(client, at, signal));
        } catch (err) {
          if (signal.aborted) return;
          logger.debug({ gateway: key, err }, "what is around a Gateway cannot be read");
        }
      }
      this.#tellPolicies();
      isKnown &&= this.#gatewayPods() !== null;
      unknown = isKnown ? 0 : unknown + 1;
      await pause(clock, isKnown ? LOOK_MS : pauseMs(unknown, UNKNOWN), signal);
      if (signal.aborted) return;
    }
  }
}

const NO_POLICIES: ReachAdvice = {
  level: "warn",
  code: "network_policy_off",
  message:
    "tasks get no NetworkPolicies (gateway.networkPolicy is false): whoever is in the cluster reaches their ports",
  remedy: "gateway.networkPolicy: true, or policies of your own",
};
