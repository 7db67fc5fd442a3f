import type { LimitsConfig } from "../../config/schema.ts";
import {
  addressText,
  type Endpoints,
  type Policy,
  type Protocol,
  type Route,
  type TableDiff,
  type Upstream,
} from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { endpointKey } from "../dataplane.ts";
import { watchHealth } from "./active-health.ts";
import { type DialRules, forbiddenTarget, ownAddresses } from "./forbidden-target.ts";
import { Target } from "./target.ts";

export interface UpstreamsDeps {
  readonly limits: LimitsConfig;
  readonly dialRules: DialRules;
  readonly clock: Clock;
  /** What is known of somebody's health changed. */
  changed(): void;
}

/** One upstream with its endpoints, in the provider's order. */
export interface UpstreamState {
  readonly protocol: Protocol;
  readonly policy: Policy;
  readonly targets: readonly Target[];
  /** Those that a route may use: of its replica where it names one, else all. */
  targetsOf(route: Pick<Route, "replica">): readonly Target[];
}

const NO_TARGETS: readonly Target[] = Object.freeze([]);

class Entry implements UpstreamState {
  readonly protocol: Protocol;
  readonly policy: Policy;
  readonly targets: Target[] = [];
  readonly checks = new Map<Target, Disposable>();
  /** Made when somebody first asks for one replica. */
  #byReplica: Map<string, Target[]> | null = null;

  constructor({ protocol, policy }: Pick<Upstream, "protocol" | "policy">) {
    this.protocol = protocol;
    this.policy = policy;
  }

  targetsOf({ replica }: Pick<Route, "replica">): readonly Target[] {
    if (replica === undefined) return this.targets;
    this.#byReplica ??= Map.groupBy(this.targets, ({ endpoint }) => endpoint.replica);
    return this.#byReplica.get(replica) ?? NO_TARGETS;
  }

  /** Puts these in place of all, and gives back who is gone. */
  replace(targets: Iterable<Target>): Target[] {
    const staying = new Set(targets);
    const gone = this.targets.filter((target) => !staying.has(target));
    this.targets.splice(0, this.targets.length, ...staying);
    this.#byReplica = null;
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
    const after = new Map<string, Target>();
    for (const endpoint of endpoints.list) {
      const key = addressText(endpoint.address);
      const kept = before.get(key);
      kept?.update(endpoint);
      after.set(key, kept ?? this.#createTarget(endpoints.upstream, entry, endpoint));
    }
    this.#retire(endpoints.upstream, entry, entry.replace(after.values()));
    this.#deps.changed();
  }

  #createTarget(upstream: string, entry: Entry, endpoint: Endpoints["list"][number]): Target {
    const { limits, clock, changed, dialRules } = this.#deps;
    const rules = { ...dialRules, ownAddresses: this.#ownAddresses };
    const target = new Target({
      endpoint,
      forbidden: forbiddenTarget(endpoint.address, upstream.slice(0, upstream.indexOf("/")), rules),
      connectMs: entry.policy.connectTimeoutMs ?? limits.connectTime,
      upstreamIdle: limits.upstreamIdle,
      headerBytes: limits.headerBytes,
      clock,
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
      entry.checks.set(target, watchHealth({ target, ask, protocol: entry.protocol, clock }));
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
