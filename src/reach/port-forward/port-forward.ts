import type { Duplex } from "node:stream";
import type { Endpoint, GatewayError, Problem, ReachReport, SourceUpdate, Task } from "../../model/index.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Reach } from "../reach.ts";
import { Forwards, type ForwardsDeps, type PodPort } from "./forwards.ts";

/** What connects to pods. Both throw GatewayError. */
export interface PodDials {
  connect(target: PodPort, signal: AbortSignal): Promise<Duplex>;
  /** Which rights to connect are missing in a namespace; null: none. */
  missing(namespace: string, signal: AbortSignal): Promise<string | null>;
}

export interface PortForwardDeps {
  /** What connects to pods; disposed of when the provider stops. `connect` throws GatewayError: `denied` without the right to it. */
  readonly dialler: () => Disposable & PodDials;
  /** Folder of sockets, of this reach alone. Made when the provider starts, and removed when it stops. */
  readonly folder: string;
  readonly logger: Logger;
}

/**
 * Pods by their API server, as kubectl port-forward does: from where pods have no addresses, such as a laptop. Each port of a pod is a socket of
 * this machine. Makes nothing in the cluster.
 */
export function portForward(deps: PortForwardDeps): Reach {
  return (inner) => {
    const running: { reached: ReachedTasks | null } = { reached: null };
    return {
      name: inner.name,
      ...(inner.control === undefined ? {} : { control: inner.control }),
      ...(inner.tell === undefined ? {} : { tell: inner.tell.bind(inner) }),
      report: () => running.reached?.report ?? reportOf(inner.name, { wanted: 0, ready: 0, problems: [] }),
      async start(publish, signal) {
        await using scope = new AsyncDisposableStack();
        const dials = scope.use(deps.dialler());
        const reached = scope.use(new ReachedTasks(inner.name, { ...deps, dials }, publish));
        scope.use(await inner.start((update) => reached.take(update), signal));
        running.reached = reached;
        return scope.move();
      },
    };
  };
}

function reportOf(
  provider: string,
  { wanted, ready, problems }: Pick<ReachReport, "wanted" | "ready"> & { readonly problems: readonly Problem[] },
): ReachReport {
  const advice = problems.map(({ code, message }) => ({ level: "fail" as const, code, message, remedy: null }));
  return { ...{ provider, reach: "port-forward", wanted, ready, advice }, gateways: [] };
}

/** A provider's tasks, as they can be dialled from here. */
class ReachedTasks implements Disposable {
  readonly #provider: string;
  readonly #publish: (update: SourceUpdate) => void;
  readonly #forwards: Forwards;
  /** What each task holds, by its id. */
  readonly #held = new Map<string, readonly PodPort[]>();
  /** Ids of tasks for which there are no more sockets. */
  readonly #beyond = new Set<string>();
  /** Namespaces whose pods may not be reached, and why. */
  readonly #denied = new Map<string, string>();
  /** Namespaces of which it was asked whether pods may be reached. */
  readonly #asked = new Set<string>();
  readonly #dials: PodDials;
  readonly #stop = new AbortController();
  #innerProblems: readonly Problem[] = [];
  #isStale = true;

  constructor(
    provider: string,
    { dials, folder, logger }: Pick<ForwardsDeps, "folder" | "logger"> & { readonly dials: PodDials },
    publish: (update: SourceUpdate) => void,
  ) {
    this.#provider = provider;
    this.#publish = publish;
    const tried = (target: PodPort, failure: GatewayError | null): void => this.#tried(target, failure);
    const connect: ForwardsDeps["connect"] = (target, asked) => dials.connect(target, asked);
    this.#dials = dials;
    this.#forwards = new Forwards({ connect, folder, logger, tried });
  }

  get report(): ReachReport {
    const held = [...this.#held.values()].flat();
    const ready = held.filter(({ namespace }) => !this.#denied.has(namespace)).length;
    const wanted = held.length + this.#beyond.size;
    return reportOf(this.#provider, { wanted, ready, problems: this.#own() });
  }

  take(update: SourceUpdate): void {
    this.#isStale = update.kind === "stale";
    if (update.kind === "stale") {
      this.#publish(update);
      return;
    }
    this.#innerProblems = update.problems;
    if (update.kind === "change") {
      const set = update.set.map((task) => this.#reach(task));
      for (const id of update.removed) this.#forget(id);
      this.#publish({ ...update, set, problems: this.#problems() });
      return;
    }
    const tasks = update.tasks.map((task) => this.#reach(task));
    const present = new Set(tasks.map(({ id }) => id));
    for (const id of this.#held.keys()) if (!present.has(id)) this.#forget(id);
    this.#publish({ ...update, tasks, problems: this.#problems() });
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#forwards[Symbol.dispose]();
  }

  #reach(task: Task): Task {
    void this.#ask(task.namespace);
    const before = this.#held.get(task.id) ?? [];
    const held: PodPort[] = [];
    this.#beyond.delete(task.id);
    const reach = (endpoint: Endpoint): readonly Endpoint[] => {
      if (endpoint.pod === undefined || "unix" in endpoint.address) return [endpoint];
      const target = { namespace: task.namespace, pod: endpoint.pod, port: endpoint.address.port };
      const unix = this.#forwards.hold(target);
      if (unix === null) {
        this.#beyond.add(task.id);
        return [];
      }
      held.push(target);
      return [{ ...endpoint, address: { unix } }];
    };
    const endpoints = Object.entries(task.endpoints).map(([name, list]) => [name, list.flatMap(reach)] as const);
    this.#held.set(task.id, held);
    // After the new ones are held, so that a port which stays keeps its socket.
    for (const target of before) this.#forwards.release(target);
    return { ...task, endpoints: Object.fromEntries(endpoints) };
  }

  #forget(id: string): void {
    for (const target of this.#held.get(id) ?? []) this.#forwards.release(target);
    this.#held.delete(id);
    this.#beyond.delete(id);
  }

  /** Once for each namespace, so that a right that is missing is told before a visitor meets it. */
  async #ask(namespace: string): Promise<void> {
    if (this.#asked.has(namespace)) return;
    this.#asked.add(namespace);
    const { signal } = this.#stop;
    // A server that does not say so is asked by whoever comes first.
    const why = await this.#dials.missing(namespace, signal).catch(() => null);
    if (why !== null && !signal.aborted) this.#deny(namespace, why);
  }

  #tried({ namespace }: PodPort, failure: GatewayError | null): void {
    const why = failure?.code === "denied" ? failure.message : undefined;
    if (failure === null || why !== undefined) this.#deny(namespace, why);
  }

  /** `why` undefined: they may be reached. */
  #deny(namespace: string, why: string | undefined): void {
    if (this.#denied.get(namespace) === why) return;
    if (why === undefined) this.#denied.delete(namespace);
    else this.#denied.set(namespace, why);
    // What is stale is told by what ends that.
    if (!this.#isStale) this.#publish({ kind: "change", set: [], removed: [], problems: this.#problems() });
  }

  #problems(): readonly Problem[] {
    return [...this.#innerProblems, ...this.#own()];
  }

  #own(): readonly Problem[] {
    const denied = Array.from(this.#denied, ([namespace, why]) => ({
      subject: this.#provider,
      code: "forward_denied",
      message: `Pods of ${namespace} cannot be reached: ${why}. Give the gate's user get and create of pods/portforward there.`,
    }));
    const beyond = Array.from(this.#beyond, (id) => ({
      subject: `${this.#provider}/${id}`,
      code: "forward_limit",
      message:
        "Some ports of its pods cannot be reached: reach port-forward has as many as it can. Narrow the provider by namespaces or selector.",
    }));
    return [...denied, ...beyond];
  }
}
