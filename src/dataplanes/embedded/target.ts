import { Agent } from "node:http";
import type { Socket } from "node:net";
import { addressText, type Address, type Endpoint } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { dial, type DialFailure } from "./dial.ts";
import { afterFailure, afterSuccess, UNTRIED, type PassiveHealth } from "./passive-health.ts";
import { SessionPool } from "./session-pool.ts";

export interface TargetDeps {
  readonly endpoint: Endpoint;
  /** Why it may never be dialled; null: it may. */
  readonly forbidden: string | null;
  readonly connectMs: number;
  readonly upstreamIdle: number;
  readonly headerBytes: number;
  readonly clock: Clock;
  /** Its verdict changed. */
  changed(target: Target): void;
}

/** Shorter than what common servers keep idle connections for (5 s), so that requests seldom meet one that is just being closed. */
const IDLE_MS = 4000;

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
  #agent: Agent | null = null;
  #sessions: SessionPool | null = null;

  constructor(deps: TargetDeps) {
    this.#deps = deps;
    this.#endpoint = deps.endpoint;
    this.key = addressText(deps.endpoint.address);
    this.address = deps.endpoint.address;
    this.forbidden = deps.forbidden;
    this.connectMs = deps.connectMs;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  get weight(): number {
    return Math.max(1, this.#endpoint.weight);
  }

  /** May get something new at all. */
  get usable(): boolean {
    return this.forbidden === null && (this.#endpoint.health === "healthy" || this.#endpoint.health === "unknown");
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
    const recovered = endpoint.health === "healthy" && this.#endpoint.health !== "healthy";
    this.#endpoint = endpoint;
    if (recovered) this.#judge(() => (this.#passive = UNTRIED));
  }

  succeeded(): void {
    this.#judge(() => (this.#passive = afterSuccess(this.#passive)));
  }

  failed(): void {
    this.#judge(() => (this.#passive = afterFailure(this.#passive, this.#deps.clock.now(), Math.random())));
  }

  /** What an active check found. A well one lets an ejected endpoint back in at once. */
  checked(result: "healthy" | "unhealthy"): void {
    this.#judge(() => {
      this.#checked = result;
      if (result === "healthy") this.#passive = afterSuccess(this.#passive);
    });
  }

  /** A connection of its own, for what is not HTTP. */
  dial(signal: AbortSignal): Promise<Socket | DialFailure> {
    if (this.forbidden !== null) return Promise.resolve("connect_failed");
    return dial({ address: this.address, timeoutMs: this.connectMs, clock: this.#deps.clock }, signal);
  }

  /** Idle HTTP/1.1 connections to it. */
  get agent(): Agent {
    if (this.#agent === null) {
      this.#agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
      this.#agent.maxFreeSockets = this.#deps.upstreamIdle; // as an option, 0 would mean node's default
    }
    return this.#agent;
  }

  /** HTTP/2 sessions to it. */
  get sessions(): SessionPool {
    return (this.#sessions ??= new SessionPool({
      dial: (signal) => this.dial(signal),
      headerBytes: this.#deps.headerBytes,
      connectMs: this.connectMs,
      clock: this.#deps.clock,
    }));
  }

  /** It left the table: what runs ends by itself, nothing idle is kept. */
  retire(): void {
    this.#sessions?.retire();
    if (this.#agent === null) return;
    this.#agent.maxFreeSockets = 0;
    for (const sockets of Object.values(this.#agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  destroy(): void {
    this.#sessions?.destroy();
    this.#agent?.destroy();
  }

  #judge(change: () => void): void {
    const before = this.verdict;
    change();
    if (this.verdict !== before) this.#deps.changed(this);
  }
}
