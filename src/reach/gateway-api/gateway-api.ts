import { once } from "node:events";
import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { ReachReport, SourceUpdate } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs, type KubernetesBounds } from "../../platform/kubernetes/bounds.ts";
import { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { Cluster } from "../../platform/kubernetes/cluster.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import type { Reach, ReachContext } from "../reach.ts";
import { GatewayControl, unknown, type ControlBounds } from "./gateway-control.ts";
import { gateMark } from "./marks.ts";
import { openTunnel, type Tunnel } from "./tunnel/tunnel.ts";
import type { GatewayRef } from "./unit.ts";

/** Remembers what a reach may have made where it is not configured any more. Both throw GatewayError. */
export interface ReachRecord {
  /** Before anything is made: Gateways where something may be left; null: nothing can be left anywhere. */
  begin(): Promise<readonly GatewayRef[] | null>;
  /** Nothing is left. */
  cleared(): Promise<void>;
}

export interface GatewayApiDeps {
  readonly gateway: GatewayConfig;
  /** Where tasks are; empty: all namespaces. */
  readonly namespaces: readonly string[];
  /** The cluster that the provider is of. Throws GatewayError where there is none, now. */
  readonly cluster: () => Promise<Cluster>;
  /** What all gates of the store are known by. Throws GatewayError. */
  readonly installation: () => Promise<string>;
  readonly record: ReachRecord;
  /** Default: those of `gateway-control.ts`. */
  readonly bounds?: Partial<ControlBounds>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tried again by what is to be written, and no sooner. */
const CALLS: Partial<KubernetesBounds> = { tries: 1, callMs: 10_000, connections: 12 };
/** Between two looks whether anything is left, ms. */
const CLEAR_MS = 1000;
const FIND = { firstPauseMs: 1000, mostPauseMs: 15_000 };

/**
 * Pods of a cluster through Gateways of the Gateway API: from where pods have no addresses. Each port of each replica gets a listener of a Gateway, a
 * Service and a TCPRoute, which the gate that leads makes and removes; all gates go by what the cluster says of them. Nothing of it is kept elsewhere.
 */
export function gatewayApi(deps: GatewayApiDeps): Reach {
  return (inner, context) => {
    const running: { source: GatewaySource | null } = { source: null };
    return {
      name: inner.name,
      ...(inner.control === undefined ? {} : { control: inner.control }),
      ...(inner.tell === undefined ? {} : { tell: inner.tell.bind(inner) }),
      report: () => running.source?.report ?? nothingYet(inner.name, deps.gateway),
      async start(publish, signal) {
        await using scope = new AsyncDisposableStack();
        const isTunnelled = deps.gateway.tls === "terminate";
        const tunnel = isTunnelled ? await openTunnel(inner.name, context.store, deps.clock) : null;
        const source = scope.use(new GatewaySource(inner.name, { ...deps, context, tunnel }, publish));
        scope.use(await inner.start((update) => source.take(update), signal));
        running.source = source;
        return scope.move();
      },
    };
  };
}

type SourceDeps = GatewayApiDeps & { readonly context: ReachContext; readonly tunnel: Tunnel | null };

/** From the start of a provider until it is disposed. */
class GatewaySource implements AsyncDisposable {
  readonly #deps: SourceDeps;
  readonly #control: GatewayControl;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(provider: string, deps: SourceDeps, publish: (update: SourceUpdate) => void) {
    this.#deps = deps;
    this.#control = new GatewayControl({ ...deps, provider }, (update) => {
      if (!this.#stop.signal.aborted) publish(update);
    });
    this.#running = this.#run(provider);
  }

  get report(): ReachReport {
    return this.#control.report;
  }

  take(update: SourceUpdate): void {
    this.#control.take(update);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#control[Symbol.asyncDispose]();
  }

  async #run(provider: string): Promise<void> {
    const { clock, context } = this.#deps;
    const { signal } = this.#stop;
    const found = await this.#find(signal);
    if (found === null) return;
    await using scope = new AsyncDisposableStack();
    const client = scope.use(new KubernetesClient({ cluster: found.cluster, clock, bounds: CALLS }));
    const control = this.#control;
    scope.use(control.follow(client, gateMark(found.installation, provider), found.former ?? []));
    scope.use(context.leadership.lead(`reach-${provider}`, (leading, fence) => control.lead(leading, fence)));
    if (found.former !== null) await this.#clear(signal);
    if (!signal.aborted) await once(signal, "abort");
  }

  async #clear(signal: AbortSignal): Promise<void> {
    const { clock, logger, record } = this.#deps;
    for (;;) {
      await pause(clock, CLEAR_MS, signal);
      if (signal.aborted) return;
      if (!this.#control.isSettled) continue;
      try {
        await record.cleared();
        return;
      } catch (err) {
        logger.debug({ err }, "that nothing is left cannot be recorded");
      }
    }
  }

  /** Tries until there is a cluster: the provider says meanwhile that there is none. null: stopped before. */
  async #find(signal: AbortSignal): Promise<Found | null> {
    const { clock, cluster, installation, logger, record } = this.#deps;
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return { cluster: await cluster(), installation: await installation(), former: await record.begin() };
      } catch (err) {
        if (failures === 1) logger.warn({ err }, "the cluster of the Gateways cannot be found");
        await pause(clock, pauseMs(failures, FIND), signal);
      }
    }
    return null;
  }
}

interface Found {
  readonly cluster: Cluster;
  readonly installation: string;
  /** Of `ReachRecord.begin`. */
  readonly former: readonly GatewayRef[] | null;
}

function nothingYet(provider: string, gateway: GatewayConfig): ReachReport {
  return { ...{ provider, reach: "gateway-api", wanted: 0, ready: 0, advice: [] }, gateways: unknown(gateway) };
}
