import type { ReachAdvice, Task } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { pauseMs } from "../../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../../platform/kubernetes/client.ts";
import { KubernetesError } from "../../../platform/kubernetes/kubernetes-error.ts";
import { Mirror } from "../../../platform/kubernetes/mirror.ts";
import { NETWORK_POLICIES, type NetworkPolicy } from "../../../platform/kubernetes/network-policy-objects.ts";
import { objectKey, withoutManagers } from "../../../platform/kubernetes/objects.ts";
import type { Logger } from "../../../platform/logger.ts";
import { pause } from "../../../platform/pause.ts";
import { SeenObjects } from "../seen-objects.ts";
import type { PodsOf } from "./network-policy.ts";
import { planPolicies, type PolicyPlan, type PolicyStep } from "./plan-policies.ts";
import { adviseOnUnguarded } from "./policy-advice.ts";

export interface PolicyKeeperDeps {
  readonly client: KubernetesClient;
  /** On all that it makes. */
  readonly mark: string;
  /** Where tasks are; empty: all namespaces. */
  readonly namespaces: readonly string[];
  /** false: what it has made is removed, and no more. */
  readonly isWanted: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What it goes by. */
export interface PolicyFacts {
  /** By id. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly isWhole: boolean;
  /** null: those of a Gateway are not known. */
  readonly gateways: readonly PodsOf[] | null;
}

const FAILURES = { firstPauseMs: 500, mostPauseMs: 60_000 };
/** What comes meanwhile is looked at together. */
const SETTLE_MS = 100;
const NOTHING: PolicyFacts = { tasks: new Map(), isWhole: false, gateways: null };

/**
 * Keeps each task's NetworkPolicy as it should be: sees all policies on every gate, writes on the one that leads. Without the rights for that
 * it says so, asks again now and then, and nothing else suffers.
 */
export class PolicyKeeper implements AsyncDisposable {
  readonly #deps: PolicyKeeperDeps;
  readonly #seen = new SeenObjects<NetworkPolicy>();
  readonly #mirrors: readonly Mirror<NetworkPolicy, NetworkPolicy>[];
  /** By namespace of the watch: why it fails. */
  readonly #unread = new Map<string, Error>();
  #facts = NOTHING;
  /** Why the last write failed; null: it did not. */
  #refused: Error | null = null;
  /** Ends the leader's waiting. */
  #wake: () => void = () => undefined;

  constructor(deps: PolicyKeeperDeps) {
    this.#deps = deps;
    const scopes = deps.namespaces.length === 0 ? [undefined] : deps.namespaces;
    this.#mirrors = scopes.map((namespace) => this.#mirror(namespace));
  }

  /** Tells what is there now. */
  see(facts: PolicyFacts): void {
    this.#facts = facts;
    this.#wake();
  }

  /** Writes while this gate leads; resolves once `signal` aborts. */
  async lead(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    for (let failures = 0; ;) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      try {
        await this.#write(signal);
        failures = 0;
        this.#refused = null;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (failures === 1) logger.warn({ err: error }, "a NetworkPolicy cannot be written");
        this.#refused = error instanceof Error ? error : new Error(String(error));
      }
      using waiting = new DisposableStack();
      const ended = new AbortController();
      waiting.defer(() => ended.abort());
      const within = AbortSignal.any([signal, ended.signal]);
      if (failures > 0) await pause(clock, pauseMs(failures, FAILURES), within);
      else {
        await Promise.race([woken, pause(clock, FAILURES.mostPauseMs, within)]);
        await pause(clock, SETTLE_MS, within);
      }
      if (signal.aborted) return;
    }
  }

  /** Whether all is as it should be, as far as the gate may see to that. */
  get isSettled(): boolean {
    return this.#refusal !== null || (this.#isListed && this.#plan().steps.length === 0);
  }

  get advice(): readonly ReachAdvice[] {
    if (!this.#deps.isWanted) return [];
    const refused = this.#refusal;
    if (refused !== null) return [refused];
    const names = new Map([...this.#facts.tasks].map(([id, { name }]) => [id, name]));
    return this.#isListed ? adviseOnUnguarded(this.#plan().unguarded, names) : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#mirrors.map((mirror) => mirror[Symbol.asyncDispose]()));
  }

  get #isListed(): boolean {
    return this.#unread.size === 0 && this.#mirrors.every(({ isListed }) => isListed);
  }

  get #refusal(): ReachAdvice | null {
    const [error = this.#refused] = this.#unread.values();
    if (error === null) return null;
    return {
      level: "warn",
      code: "network_policy_refused",
      message: `tasks get no NetworkPolicies, so whoever is in the cluster reaches their ports: ${error.message}`,
      remedy:
        "give the gate the rights list, watch, create, update and delete for networkpolicies.networking.k8s.io, or gateway.networkPolicy: false",
    };
  }

  #mirror(namespace: string | undefined): Mirror<NetworkPolicy, NetworkPolicy> {
    const { client, clock, logger } = this.#deps;
    const what = namespace ?? "";
    const mirror: Mirror<NetworkPolicy, NetworkPolicy> = new Mirror<NetworkPolicy, NetworkPolicy>({
      ...{ client, clock, logger, resource: NETWORK_POLICIES, keep: withoutManagers },
      scope: namespace === undefined ? {} : { namespace },
      changed: (keys) => {
        this.#seen.heard(keys, mirror.objects, clock.now());
        this.#wake();
      },
      lost: (_since, error) => void this.#unread.set(what, error),
      found: () => {
        this.#unread.delete(what);
        this.#wake();
      },
    });
    return mirror;
  }

  #plan(): PolicyPlan {
    const { mark, isWanted } = this.#deps;
    const { isWhole, tasks, gateways } = this.#facts;
    const wanted = isWanted ? { tasks, isWhole } : { tasks: new Map<string, Task>(), isWhole: true };
    return planPolicies({ ...wanted, mark, gateways, policies: this.#seen.objects });
  }

  async #write(signal: AbortSignal): Promise<void> {
    // What others have is not known: one of ours might open what theirs closes.
    if (!this.#isListed) return;
    for (const step of this.#plan().steps) {
      signal.throwIfAborted();
      await this.#do(step, signal);
    }
  }

  async #do({ action, object }: PolicyStep, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#deps;
    try {
      if (action === "create") this.#seen.answered(await client.create(NETWORK_POLICIES, object, signal));
      else if (action === "replace") this.#seen.answered(await client.replace(NETWORK_POLICIES, object, signal));
      else {
        const { name, namespace = "", uid = "" } = object.metadata;
        await client.remove(NETWORK_POLICIES, { name, namespace, uid }, signal);
        this.#seen.removed(object, clock.now());
      }
    } catch (error) {
      // Somebody was faster; the watch tells of it. A namespace that ends takes nothing new.
      if (error instanceof KubernetesError && (error.status === 409 || error.status === 404)) return;
      throw new Error(`${action} of NetworkPolicy ${objectKey(object)}: ${(error as Error).message}`, { cause: error });
    }
  }
}
