import type { LimitsConfig } from "../../config/schema.ts";
import {
  addressText,
  type Endpoint,
  type Endpoints,
  type Policy,
  type Protocol,
  providerOf,
  type Route,
  type TableDiff,
  type Upstream,
} from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { endpointKey } from "../dataplane.ts";
import { watchHealth, type WatchHealth } from "./active-health.ts";
import { pickTarget } from "./balance.ts";
import type { DialFailure } from "./dial.ts";
import { type DialRules, forbiddenTarget, ownAddresses } from "../forbidden-target.ts";
import { messageBounds } from "./http1/bounds.ts";
import { Target } from "./target.ts";

export interface UpstreamsDeps {
  readonly limits: LimitsConfig;
  readonly dialRules: DialRules;
  readonly clock: Clock;
  /** `Target.stickyId` of a replica. */
  stickyId(upstream: string, replica: string): string;
  /** How endpoints are checked whose service asks for it; absent: by asking them from here. */
  readonly watchHealth?: WatchHealth | undefined;
  /** See `TargetDeps.dialled`. */
  dialled?(upstream: string, seconds: number, failure: DialFailure | null): void;
  /** What is known of somebody's health changed. */
  changed(): void;
}

/** One upstream with its endpoints, in the provider's order. */
export interface UpstreamState {
  readonly protocol: Protocol;
  readonly policy: Policy;
  readonly targets: readonly Target[];
  /** The endpoint for one more request, as `pickTarget` says; of the route's replica where it names one. */
  pick(route: Pick<Route, "replica">, choice: Choice): Target | null;
}

export interface Choice {
  /** Not these again. */
  readonly tried: ReadonlySet<Target> | null;
  /** Epoch ms. */
  readonly now: number;
  /** `Target.stickyId` of the replica that the visitor was with (the first that there is): that one for as long as it is well. */
  readonly stickyIds?: readonly string[];
}

const NO_TARGETS: readonly Target[] = Object.freeze([]);

class Entry implements UpstreamState {
  readonly protocol: Protocol;
  readonly policy: Policy;
  readonly targets: Target[] = [];
  readonly checks = new Map<Target, Disposable>();
  /** Made when somebody first asks for one replica. */
  #byReplica: Map<string, Target[]> | null = null;
  #byStickyId: Map<string, Target[]> | null = null;

  constructor({ protocol, policy }: Pick<Upstream, "protocol" | "policy">) {
    this.protocol = protocol;
    this.policy = policy;
  }

  pick({ replica }: Pick<Route, "replica">, { tried, now, stickyIds = [] }: Choice): Target | null {
    if (replica !== undefined) {
      this.#byReplica ??= Map.groupBy(this.targets, ({ endpoint }) => endpoint.replica);
      return pickTarget(this.#byReplica.get(replica) ?? NO_TARGETS, tried, now);
    }
    for (const id of stickyIds) {
      this.#byStickyId ??= Map.groupBy(this.targets, (target) => target.stickyId);
      const kept = pickTarget(this.#byStickyId.get(id) ?? NO_TARGETS, tried, now);
      if (kept?.isWell(now) === true) return kept;
    }
    return pickTarget(this.targets, tried, now);
  }

  /** One may always be passed over, the last one never is, and in between the share (in percent) decides. */
  mayEject(share: number, now: number): boolean {
    let usable = 0;
    let ejected = 0;
    for (const target of this.targets) {
      if (!target.usable) continue;
      usable += 1;
      if (target.ejectedUntil > now) ejected += 1;
    }
    const most = Math.min(usable - 1, Math.max(1, Math.floor((usable * share) / 100)));
    return share > 0 && ejected < most;
  }

  /** Puts these in place of all, and gives back who is gone. */
  replace(targets: Iterable<Target>): Target[] {
    const staying = new Set(targets);
    const gone = this.targets.filter((target) => !staying.has(target));
    this.targets.splice(0, this.targets.length, ...staying);
    this.#byReplica = null;
    this.#byStickyId = null;
    return gone;
  }
}

/** All upstreams, kept by change: an endpoint that stays keeps its connections and what is known of it. */
export class Upstreams implements Disposable {
  readonly #deps: UpstreamsDeps;
  readonly #entries = new Map<string, Entry>();
  /** Endpoints of upstreams that are not there (yet). */
  readonly #early = new Map<string, Endpoints>();
  #ownAddresses: ReadonlySet<string> = new Set();
  readonly #verdicts = new Map<string, "healthy" | "unhealthy">();
  /** Gone, but perhaps still with requests on them; sockets of these end at the latest with the plane. */
  readonly #retired = new Set<WeakRef<Target>>();

  constructor(deps: UpstreamsDeps) {
    this.#deps = deps;
  }

  get(id: string): UpstreamState | undefined {
    return this.#entries.get(id);
  }

  apply(diff: Pick<TableDiff, "upstreams" | "endpoints">): void {
    if (diff.endpoints.set.length > 0) this.#ownAddresses = ownAddresses();
    for (const upstream of diff.upstreams.set) this.#setUpstream(upstream);
    for (const id of diff.endpoints.removed) this.#setEndpoints({ upstream: id, list: [] });
    for (const endpoints of diff.endpoints.set) this.#setEndpoints(endpoints);
    for (const id of diff.upstreams.removed) this.#removeUpstream(id);
  }

  /** By `endpointKey`: whoever is known to be well or not. Kept up to date. */
  get verdicts(): ReadonlyMap<string, "healthy" | "unhealthy"> {
    return this.#verdicts;
  }

  /** Cuts every connection to every endpoint. */
  [Symbol.dispose](): void {
    for (const entry of this.#entries.values()) {
      for (const check of entry.checks.values()) check[Symbol.dispose]();
      for (const target of entry.targets) target.destroy();
    }
    for (const target of this.#retired) target.deref()?.destroy();
    this.#entries.clear();
  }

  #setUpstream({ id, protocol, policy }: Upstream): void {
    const before = this.#entries.get(id);
    const stays = before?.protocol === protocol && JSON.stringify(before.policy) === JSON.stringify(policy);
    if (stays) return;
    const list = before?.targets.map((target) => target.endpoint) ?? this.#early.get(id)?.list ?? [];
    if (before !== undefined) this.#retire(id, before, before.replace([]));
    this.#early.delete(id);
    this.#entries.set(id, new Entry({ protocol, policy }));
    this.#setEndpoints({ upstream: id, list });
  }

  #setEndpoints(endpoints: Endpoints): void {
    const entry = this.#entries.get(endpoints.upstream);
    if (entry === undefined) {
      if (endpoints.list.length > 0) this.#early.set(endpoints.upstream, endpoints);
      else this.#early.delete(endpoints.upstream);
      return;
    }
    const before = new Map(entry.targets.map((target) => [target.key, target]));
    const joins = entry.targets.some(({ usable }) => usable);
    const after = new Map<string, Target>();
    for (const endpoint of endpoints.list) {
      const key = addressText(endpoint.address);
      const kept = before.get(key);
      kept?.update(endpoint);
      after.set(key, kept ?? this.#createTarget(endpoints.upstream, entry, { endpoint, joins }));
    }
    this.#retire(endpoints.upstream, entry, entry.replace(after.values()));
    this.#deps.changed();
  }

  #createTarget(upstream: string, entry: Entry, { endpoint, joins }: { endpoint: Endpoint; joins: boolean }): Target {
    const { limits, clock, changed, dialRules, stickyId, watchHealth: watch = watchHealth } = this.#deps;
    const rules = { ...dialRules, ownAddresses: this.#ownAddresses };
    const target = new Target({
      endpoint,
      forbidden: forbiddenTarget(endpoint.address, providerOf(upstream), rules),
      protocol: entry.protocol,
      policy: entry.policy,
      connectMs: entry.policy.connectTimeoutMs ?? limits.connectTime,
      upstreamIdle: limits.upstreamIdle,
      upstreamSessions: limits.upstreamSessions,
      bounds: messageBounds(limits),
      clock,
      joins,
      slowStartMs: entry.policy.slowStartMs ?? limits.slowStart,
      ejection: { after: limits.ejectAfter, firstMs: limits.ejectFirst, longestMs: limits.ejectLongest },
      mayEject: () => entry.mayEject(limits.ejectShare, clock.now()),
      stickyId: (replica) => stickyId(upstream, replica),
      dialled: (seconds, failure) => this.#deps.dialled?.(upstream, seconds, failure),
      changed: ({ key, verdict }) => {
        // One that was retired has no say any more: its key may be another's by now.
        if (!entry.targets.includes(target)) return;
        if (verdict === "unknown") this.#verdicts.delete(endpointKey(upstream, key));
        else this.#verdicts.set(endpointKey(upstream, key), verdict);
        changed();
      },
    });
    const ask = entry.policy.activeHealth;
    if (ask !== undefined && target.forbidden === null) {
      entry.checks.set(target, watch({ target, ask, protocol: entry.protocol, clock, upstream }));
    }
    return target;
  }

  #removeUpstream(id: string): void {
    const entry = this.#entries.get(id);
    this.#early.delete(id);
    if (entry === undefined) return;
    this.#retire(id, entry, entry.replace([]));
    this.#entries.delete(id);
    this.#deps.changed();
  }

  #retire(id: string, entry: Entry, targets: readonly Target[]): void {
    for (const target of targets) {
      this.#verdicts.delete(endpointKey(id, target.key));
      entry.checks.get(target)?.[Symbol.dispose]();
      entry.checks.delete(target);
      target.retire();
      if (target.active > 0) this.#retired.add(new WeakRef(target));
    }
    for (const ref of this.#retired) if ((ref.deref()?.active ?? 0) === 0) this.#retired.delete(ref);
  }
}
