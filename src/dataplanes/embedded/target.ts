import type { Socket } from "node:net";
import { addressText, type Address, type Endpoint, type Policy, type Protocol, takesNew } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { dial, type DialFailure } from "./dial.ts";
import type { MessageBounds } from "./http1/upstream-connection.ts";
import { UpstreamPool } from "./http1/upstream-pool.ts";
import { afterFailure, afterSuccess, UNTRIED, type EjectionRules, type PassiveHealth } from "./passive-health.ts";
import type { ConnectionEnds } from "./proxy-protocol.ts";
import { SessionPool } from "./http2/session-pool.ts";
import { UpstreamTls } from "./tls/upstream-tls.ts";

export interface TargetDeps {
  readonly endpoint: Endpoint;
  /** Why it may never be dialled; null: it may. */
  readonly forbidden: string | null;
  /** Of its service: how connections to it begin. */
  readonly protocol: Protocol;
  readonly policy: Policy;
  readonly connectMs: number;
  readonly upstreamIdle: number;
  readonly upstreamSessions: number;
  readonly bounds: MessageBounds;
  readonly clock: Clock;
  readonly ejection: EjectionRules;
  /** How long it gets less than its share once it is well again, or where it `joins` others; 0: not at all. */
  readonly slowStartMs: number;
  /** Others were there before it. */
  readonly joins: boolean;
  /** Whether it may be passed over, considering how many of its service are. */
  mayEject(): boolean;
  /** What cookies name a replica of its service by. */
  stickyId(replica: string): string;
  /** A connection was tried for somebody who still wanted it, which took that long; `failure` null: it stands. */
  dialled?(seconds: number, failure: DialFailure | null): void;
  /** Its verdict changed. */
  changed(target: Target): void;
}

/** Part of its weight that an endpoint starts with when it starts slowly. */
const SLOWEST = 0.1;

/** One endpoint as the plane sees it: what is known of its health, what is open to it. */
export class Target {
  readonly key: string;
  readonly address: Address;
  readonly forbidden: string | null;
  readonly connectMs: number;
  /** Requests, streams and connections on it now. */
  active = 0;
  readonly #deps: TargetDeps;
  #endpoint: Endpoint;
  #passive: PassiveHealth = UNTRIED;
  #checked: "unknown" | "healthy" | "unhealthy" = "unknown";
  /** Epoch ms since when it starts slowly; -Infinity: it has had its time. */
  #risingSince = -Infinity;
  #stickyId: string | null = null;
  readonly #tls: UpstreamTls | null;
  #http1: UpstreamPool | null = null;
  #sessions: SessionPool | null = null;

  constructor(deps: TargetDeps) {
    this.#deps = deps;
    this.#endpoint = deps.endpoint;
    this.key = addressText(deps.endpoint.address);
    this.address = deps.endpoint.address;
    this.forbidden = deps.forbidden;
    this.connectMs = deps.connectMs;
    const { protocol, policy, endpoint } = deps;
    const asked = protocol === "tls" ? undefined : policy.upstreamTls;
    this.#tls = asked === undefined ? null : new UpstreamTls({ policy: asked, protocol, address: endpoint.address });
    if (deps.joins) this.#rise();
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** Its part of what comes, relative to others': less than its own weight for as long as it starts slowly. */
  weightAt(now: number): number {
    const weight = Math.max(1, this.#endpoint.weight);
    if (this.#risingSince === -Infinity) return weight;
    const risen = (now - this.#risingSince) / this.#deps.slowStartMs;
    if (risen >= 1) this.#risingSince = -Infinity;
    return weight * Math.min(1, Math.max(SLOWEST, risen));
  }

  /** What a cookie says of its replica: the same in every process and life of a gate, and nothing to anybody else. */
  get stickyId(): string {
    return (this.#stickyId ??= this.#deps.stickyId(this.#endpoint.replica));
  }

  /** May get something new at all. */
  get usable(): boolean {
    return this.forbidden === null && takesNew(this.#endpoint.health);
  }

  /** Nothing seen speaks against it now. */
  isWell(now: number): boolean {
    return this.#passive.until <= now && this.#checked !== "unhealthy";
  }

  /** Epoch ms from which on it is worth another try. */
  get ejectedUntil(): number {
    return this.#passive.until;
  }

  get verdict(): "unknown" | "healthy" | "unhealthy" {
    if (this.#checked === "unhealthy" || this.#passive.verdict === "unhealthy") return "unhealthy";
    return this.#passive.verdict === "unknown" ? this.#checked : this.#passive.verdict;
  }

  /** Takes over what its provider says of it now. One that is declared healthy anew starts with a clean sheet. */
  update(endpoint: Endpoint): void {
    const before = this.#endpoint.health;
    if (endpoint.replica !== this.#endpoint.replica) this.#stickyId = null;
    this.#endpoint = endpoint;
    if (before === "healthy" || endpoint.health !== "healthy") return;
    if (before !== "unknown") this.#rise();
    this.#judge(() => (this.#passive = UNTRIED));
  }

  succeeded(): void {
    const health = this.#passive;
    if (health.failures === 0 && health.verdict === "healthy") return; // as nearly always
    this.#judge(() => (this.#passive = afterSuccess(health, this.#deps.clock.now())));
  }

  failed(): void {
    const { clock, ejection, mayEject } = this.#deps;
    const failure = { now: clock.now(), rules: ejection, random: Math.random() };
    this.#judge(() => (this.#passive = afterFailure(this.#passive, { ...failure, mayEject })));
  }

  /** What an active check found. A well one lets an ejected endpoint back in at once. */
  checked(result: "healthy" | "unhealthy"): void {
    this.#judge(() => {
      this.#checked = result;
      if (result === "healthy") this.#passive = afterSuccess(this.#passive, this.#deps.clock.now());
    });
  }

  /** Every connection names its visitor to the job, so that none may serve a second one. */
  get ownConnections(): boolean {
    return this.#deps.policy.proxyProtocol !== undefined;
  }

  /** A connection of its own, with TLS where the service asks for it. `ends`: of the visitor that it is for; null: it is for nobody alone. */
  async dial(signal: AbortSignal, ends: ConnectionEnds | null = null): Promise<Socket | DialFailure> {
    if (this.forbidden !== null) return "connect_failed";
    const { clock, policy, dialled } = this.#deps;
    const startedAt = performance.now();
    const { proxyProtocol: version } = policy;
    const proxy = version === undefined ? null : { version, ends };
    const result = await dial(
      { address: this.address, timeoutMs: this.connectMs, clock, tls: this.#tls, proxy },
      signal,
    );
    if (!signal.aborted) dialled?.((performance.now() - startedAt) / 1000, typeof result === "string" ? result : null);
    return result;
  }

  /** HTTP/1.1 connections to it. */
  get http1(): UpstreamPool {
    return (this.#http1 ??= new UpstreamPool({
      dial: (signal, ends) => this.dial(signal, ends),
      bounds: this.#deps.bounds,
      idleMax: this.#deps.upstreamIdle,
      ownConnections: this.ownConnections,
      clock: this.#deps.clock,
    }));
  }

  /** HTTP/2 sessions to it. */
  get sessions(): SessionPool {
    return (this.#sessions ??= new SessionPool({
      dial: (signal) => this.dial(signal),
      headerBytes: this.#deps.bounds.headBytes,
      headerFields: this.#deps.bounds.fields,
      connectMs: this.connectMs,
      most: this.#deps.upstreamSessions,
      clock: this.#deps.clock,
    }));
  }

  /** It left the table: what runs ends by itself, nothing idle is kept. */
  retire(): void {
    this.#sessions?.retire();
    this.#http1?.retire();
  }

  destroy(): void {
    this.#sessions?.destroy();
    this.#http1?.destroy();
  }

  #judge(change: () => void): void {
    const before = this.verdict;
    change();
    if (this.verdict === before) return;
    if (before === "unhealthy") this.#rise();
    this.#deps.changed(this);
  }

  #rise(): void {
    if (this.#deps.slowStartMs > 0) this.#risingSince = this.#deps.clock.now();
  }
}
