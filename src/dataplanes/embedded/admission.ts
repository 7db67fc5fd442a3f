import type { LimitsConfig } from "../../config/schema.ts";
import type { Route } from "../../model/index.ts";
import { clientKey } from "../../platform/client-key.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Notice } from "../pages.ts";

/** What can be reached: `limits` has each by this name. */
export type Bound = "connections" | "connectionsPerClient" | "requests" | "requestsPerClient" | "requestsPerService";

export interface AdmissionDeps {
  readonly limits: Pick<LimitsConfig, Bound>;
  /** Processes that serve side by side: each has its part of the totals. Bounds per client and service hold in each as they are. */
  readonly share: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Somebody was refused because of this bound. */
  refused(bound: Bound): void;
}

/** What one client address has open. Gone from the book when that is nothing. */
interface Client {
  connections: number;
  requests: number;
}

const KEYS_MAX = 4096;

/** So often at most a bound that is reached again and again is logged. */
const LOG_APART_MS = 10_000;

/**
 * Who may still come in. Counts what is open, refuses what is too much, makes nobody wait and ends nothing that is open. Whatever was
 * admitted is given back, once. 0 is no bound. Takes a constant time, and allocates nothing for the second request of a client.
 */
export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #clients = new Map<string, Client>();
  /** What `clientKey` says of clients of IPv6 that were met lately: working it out costs more than all the rest. */
  readonly #keys = new Map<string, string>();
  /** Requests under way, by service. */
  readonly #services = new Map<string, number>();
  readonly #mostConnections: number;
  readonly #mostRequests: number;
  readonly #news = new Map<Bound, { saidAt: number; unsaid: number }>();
  #connections = 0;
  #requests = 0;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    this.#mostConnections = mostOf(Math.ceil(deps.limits.connections / deps.share));
    this.#mostRequests = mostOf(Math.ceil(deps.limits.requests / deps.share));
  }

  /** One more connection, whatever it carries. `peer` null: who it is from is not known yet; `attribute` says so later. */
  connection(peer: string | null): Bound | null {
    if (this.#connections >= this.#mostConnections) return this.#refuse("connections");
    const bound = peer === null ? null : this.attribute(peer);
    if (bound === null) this.#connections += 1;
    return bound;
  }

  /** A connection that is counted already is this client's. */
  attribute(peer: string): Bound | null {
    const key = this.#keyOf(peer);
    const client = this.#clients.get(key);
    if ((client?.connections ?? 0) >= mostOf(this.#deps.limits.connectionsPerClient)) {
      return this.#refuse("connectionsPerClient");
    }
    if (client === undefined) this.#clients.set(key, { connections: 1, requests: 0 });
    else client.connections += 1;
    return null;
  }

  /** A connection ended. `peer` null: it was never attributed. */
  connectionEnded(peer: string | null): void {
    this.#connections -= 1;
    if (peer === null) return;
    const key = this.#keyOf(peer);
    const client = this.#clients.get(key);
    if (client === undefined) return;
    client.connections -= 1;
    this.#forget(key, client);
  }

  /** One more request: of HTTP/1.1, or a stream of HTTP/2. An upgraded connection is one for as long as it lasts. */
  request(peer: string): Bound | null {
    if (this.#requests >= this.#mostRequests) return this.#refuse("requests");
    const most = this.#deps.limits.requestsPerClient;
    if (most > 0) {
      const key = this.#keyOf(peer);
      const client = this.#clients.get(key);
      if (client === undefined) this.#clients.set(key, { connections: 0, requests: 1 });
      else if (client.requests >= most) return this.#refuse("requestsPerClient");
      else client.requests += 1;
    }
    this.#requests += 1;
    return null;
  }

  requestEnded(peer: string): void {
    this.#requests -= 1;
    if (this.#deps.limits.requestsPerClient === 0) return;
    const key = this.#keyOf(peer);
    const client = this.#clients.get(key);
    if (client === undefined) return;
    client.requests -= 1;
    this.#forget(key, client);
  }

  /** A request that was admitted and let in is for this service, which may ask for fewer than the gate allows. */
  service({ service, policy }: Pick<Route, "service" | "policy">): Bound | null {
    const count = this.#services.get(service) ?? 0;
    const most = Math.min(mostOf(this.#deps.limits.requestsPerService), policy.maxRequests ?? Infinity);
    if (count >= most) return this.#refuse("requestsPerService");
    this.#services.set(service, count + 1);
    return null;
  }

  serviceEnded({ service }: Pick<Route, "service">): void {
    const count = this.#services.get(service) ?? 0;
    if (count > 1) this.#services.set(service, count - 1);
    else this.#services.delete(service);
  }

  #keyOf(peer: string): string {
    if (!peer.includes(":")) return peer;
    let key = this.#keys.get(peer);
    if (key !== undefined) return key;
    key = clientKey(peer);
    if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
    this.#keys.set(peer, key);
    return key;
  }

  #forget(key: string, client: Client): void {
    if (client.connections === 0 && client.requests === 0) this.#clients.delete(key);
  }

  #refuse(bound: Bound): Bound {
    const { clock, logger, refused } = this.#deps;
    refused(bound);
    const news = this.#news.get(bound) ?? { saidAt: -Infinity, unsaid: 0 };
    this.#news.set(bound, news);
    news.unsaid += 1;
    const now = clock.now();
    if (now - news.saidAt < LOG_APART_MS && now >= news.saidAt) return bound; // a clock that was set back must not silence it
    logger.warn({ bound: `limits.${bound}`, refused: news.unsaid }, "refused: a bound is reached");
    news.saidAt = now;
    news.unsaid = 0;
    return bound;
  }
}

function mostOf(bound: number): number {
  return bound === 0 ? Infinity : bound;
}

const SAID: Readonly<Record<Bound, string>> = {
  connections: "The gate has as many connections open as it may.",
  connectionsPerClient: "The gate has as many connections open from your address as it may.",
  requests: "The gate is working on as many requests as it may.",
  requestsPerClient: "The gate is working on as many requests from your address as it may.",
  requestsPerService: "This service is working on as many requests as it may.",
};

/** gRPC's RESOURCE_EXHAUSTED: a quota of who asks. For all else clients may take it that another try soon is good: UNAVAILABLE. */
const RESOURCE_EXHAUSTED = 8;

/** What who is refused is told. */
export function overloaded(bound: Bound): Notice {
  const quota = bound === "connectionsPerClient" || bound === "requestsPerClient";
  return {
    ...{ status: 503, code: "overloaded", title: "Too busy", message: SAID[bound], retryAfterSeconds: 1 },
    ...(quota ? { grpcStatus: RESOURCE_EXHAUSTED } : {}),
  };
}
