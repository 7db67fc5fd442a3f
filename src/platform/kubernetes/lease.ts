import type { KubernetesClient } from "./client.ts";
import { isCode } from "../../model/index.ts";
import { microTime, type Lease, type ObjectMeta, type OwnerReference } from "./objects.ts";
import { LEASES } from "./resource.ts";

export interface LeaseCandidateDeps {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique among all candidates, and never used again by a later process. */
  readonly holder: string;
  /** How long it is held without being renewed; whole seconds. */
  readonly durationS: number;
  /** What the Lease belongs to from when it is made. */
  readonly owner?: OwnerReference | undefined;
  /** Epoch ms, written for people to read: nobody's clock decides anything. */
  readonly now: () => number;
  /** Ms on a clock that nobody sets. */
  readonly elapsed: () => number;
}

/** What an attempt came to. */
export type LeaseAttempt =
  /** Held until `until` of `elapsed`, if it is not renewed before; `fence` rises with every change of holder. */
  | { readonly isHeld: true; readonly fence: number; readonly until: number }
  | { readonly isHeld: false; readonly holder: string | null };

const NOT_HELD: LeaseAttempt = Object.freeze({ isHeld: false, holder: null });

/**
 * One of several that want a Lease of coordination.k8s.io. Clocks of machines differ, so none compares its own with a time that another wrote:
 * a Lease is free when this candidate itself has seen it unchanged for as long as it lasts. Leases must not be removed: `fence` is in them.
 */
export class LeaseCandidate {
  readonly #deps: LeaseCandidateDeps;
  /** The Lease as it was last seen to change, and when that was. */
  #seen: { readonly version: string; readonly at: number } | null = null;

  constructor(deps: LeaseCandidateDeps) {
    this.#deps = deps;
  }

  /** Takes the Lease if it is free, renews it if it is ours. Throws what calls throw, but for a `conflict`: then another was faster. */
  async attempt(signal: AbortSignal): Promise<LeaseAttempt> {
    const { client, namespace, name, elapsed } = this.#deps;
    const asked = elapsed();
    const lease = await client.get(LEASES, { namespace, name }, signal);
    if (lease !== null && !this.#isFree(lease)) return { isHeld: false, holder: lease.spec?.holderIdentity ?? null };
    try {
      const written =
        lease === null
          ? await client.create(LEASES, { metadata: this.#metadata(), spec: this.#spec(null) }, signal)
          : await client.replace(LEASES, { ...lease, spec: this.#spec(lease) }, signal);
      // From before it was asked for: whoever waits for the end of it began to count later than that.
      return { isHeld: true, fence: written.spec?.leaseTransitions ?? 0, until: asked + this.#deps.durationS * 1000 };
    } catch (error) {
      if (isCode(error, "conflict")) return NOT_HELD;
      throw error;
    }
  }

  /** Gives it up at once, if it is ours, so that nobody has to wait for its end. */
  async release(signal: AbortSignal): Promise<void> {
    const { client, namespace, name, holder } = this.#deps;
    const lease = await client.get(LEASES, { namespace, name }, signal);
    if (lease?.spec?.holderIdentity !== holder) return;
    try {
      await client.replace(LEASES, { ...lease, spec: { ...lease.spec, holderIdentity: "" } }, signal);
    } catch (error) {
      if (!isCode(error, "conflict")) throw error;
    }
  }

  #isFree({ metadata, spec }: Lease): boolean {
    const { holder, elapsed, durationS } = this.#deps;
    if (spec?.holderIdentity === holder || (spec?.holderIdentity ?? "") === "") return true;
    const version = metadata.resourceVersion ?? "";
    if (this.#seen?.version !== version) {
      this.#seen = { version, at: elapsed() };
      return false;
    }
    return elapsed() - this.#seen.at > (spec?.leaseDurationSeconds ?? durationS) * 1000;
  }

  #metadata(): ObjectMeta {
    const { namespace, name, owner } = this.#deps;
    return { namespace, name, ...(owner !== undefined && { ownerReferences: [owner] }) };
  }

  #spec(before: Lease | null): NonNullable<Lease["spec"]> {
    const { holder, durationS, now } = this.#deps;
    const time = microTime(now());
    const held = before?.spec;
    const isRenewed = held?.holderIdentity === holder;
    return {
      holderIdentity: holder,
      leaseDurationSeconds: durationS,
      acquireTime: isRenewed ? (held.acquireTime ?? time) : time,
      renewTime: time,
      leaseTransitions: (held?.leaseTransitions ?? 0) + (isRenewed ? 0 : 1),
    };
  }
}
