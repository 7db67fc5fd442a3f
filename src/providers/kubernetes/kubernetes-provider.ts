import { once } from "node:events";
import { networkInterfaces } from "node:os";
import type { KubernetesProviderConfig } from "../../config/provider-config.ts";
import { parseUser, type Identity, type SourceUpdate } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs, type KubernetesBounds } from "../../platform/kubernetes/bounds.ts";
import { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { Cluster } from "../../platform/kubernetes/cluster.ts";
import { findCluster } from "../../platform/kubernetes/find-cluster.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { refuseTarget } from "../../platform/target-check.ts";
import type { Provider } from "../provider.ts";
import type { BuildContext } from "./build-task.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { RightsBook } from "./namespace-rights.ts";
import type { StatusBounds } from "./status-term.ts";
import { ToldStatus } from "./told-status.ts";

export interface KubernetesProviderDeps {
  readonly config: KubernetesProviderConfig;
  /** Owner of tasks that name none, where the configuration names nobody. */
  readonly owner: Identity;
  /** Ports that the gate listens on: never a target on this machine. Default: none. */
  readonly ownPorts?: () => ReadonlySet<number>;
  /** Of this process: where a cluster is found that is not named. */
  readonly environment: NodeJS.ProcessEnv;
  /** Default: as the configuration and the environment say. */
  readonly cluster?: () => Promise<Cluster>;
  /** Default: those of the client. */
  readonly bounds?: Partial<KubernetesBounds>;
  /** Default: those of what writes on objects. */
  readonly statusBounds?: Partial<StatusBounds>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const WRITING: Partial<KubernetesBounds> = { tries: 1, callMs: 10_000, connections: 4 };

/**
 * Tasks from annotated pods and Services of one cluster. A bad object is a Problem and its neighbours stay; a cluster that cannot be read is
 * stale and keeps what was last known of it.
 */
export function createKubernetesProvider(deps: KubernetesProviderDeps): Provider {
  const told = deps.config.writeStatus ? new ToldStatus() : null;
  return {
    name: deps.config.name,
    start(publish, signal) {
      // An abort is a refusal to start, which is told as such.
      return new Promise((resolve) => {
        signal.throwIfAborted();
        resolve(new KubernetesSource({ ...deps, told }, publish, signal));
      });
    },
    ...(told === null ? {} : { tell: (news, leading) => told.take(news, leading) }),
  };
}

type SourceDeps = KubernetesProviderDeps & { readonly told: ToldStatus | null };

class KubernetesSource implements AsyncDisposable {
  readonly #deps: SourceDeps;
  readonly #publish: (update: SourceUpdate) => void;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(deps: SourceDeps, publish: (update: SourceUpdate) => void, signal: AbortSignal) {
    this.#deps = deps;
    this.#publish = (update) => {
      if (!this.#stop.signal.aborted) publish(update);
    };
    const end = () => this.#stop.abort();
    signal.addEventListener("abort", end, { once: true });
    this.#running = this.#run().finally(() => signal.removeEventListener("abort", end));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#deps;
    const { signal } = this.#stop;
    const cluster = await this.#findCluster(signal);
    if (cluster === null) return;
    await using scope = new AsyncDisposableStack();
    const client = scope.use(new KubernetesClient({ cluster, clock, bounds: this.#deps.bounds ?? {} }));
    const watching = {
      client,
      namespaces: this.#deps.config.namespaces,
      kinds: this.#deps.config.kinds,
      owners: this.#deps.config.owners,
      rightsFromNamespaces: this.#deps.config.rightsFromNamespaces,
      ...(this.#deps.config.selector === undefined ? {} : { selector: this.#deps.config.selector }),
      context: this.#context(),
      status: this.#status(cluster, scope),
      publish: this.#publish,
      clock,
      logger,
    };
    scope.use(new ClusterWatch(watching));
    if (!signal.aborted) await once(signal, "abort");
  }

  /** By a client of its own, which waits for nothing that others wait for, and tries again as the writer says. */
  #status(cluster: Cluster, scope: AsyncDisposableStack) {
    const { told, bounds, statusBounds, clock } = this.#deps;
    if (told === null) return null;
    const client = new KubernetesClient({ cluster, clock, bounds: { ...bounds, ...WRITING } });
    return { client: scope.use(client), told, ...(statusBounds === undefined ? {} : { bounds: statusBounds }) };
  }

  /** Tries until there is one: a kubeconfig may be written later. null: stopped before. */
  async #findCluster(signal: AbortSignal): Promise<Cluster | null> {
    const { config, environment, clock } = this.#deps;
    const find = this.#deps.cluster ?? (() => findCluster(config, environment, clock));
    const since = clock.now();
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return await find();
      } catch (error) {
        this.#publish({ kind: "stale", since, error: error instanceof Error ? error : new Error(String(error)) });
        await pause(clock, pauseMs(failures, { firstPauseMs: 1000, mostPauseMs: 15_000 }), signal);
      }
    }
    return null;
  }

  #context(): BuildContext {
    const { config, ownPorts } = this.#deps;
    const owner = config.owner === undefined ? this.#deps.owner : parseUser(config.owner, this.#deps.owner.realm);
    const rights = new RightsBook(config.rights, owner);
    const ownAddresses = interfaceAddresses();
    return {
      provider: config.name,
      rights,
      refuseTarget: (ip, port) =>
        refuseTarget(ip, port, { allowLoopback: false, ownPorts: ownPorts?.() ?? new Set(), ownAddresses }),
    };
  }
}

function interfaceAddresses(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(addresses.map(({ address }) => address.split("%")[0] ?? ""));
}
