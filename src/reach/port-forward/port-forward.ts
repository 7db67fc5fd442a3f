import type { Duplex } from "node:stream";
import type { Endpoint, GatewayError, Problem, SourceUpdate, Task } from "../../model/index.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Reach } from "../reach.ts";
import { Forwards, type ForwardsDeps, type PodPort } from "./forwards.ts";

export interface PortForwardDeps {
  /** What connects to pods; disposed of when the provider stops. `connect` throws GatewayError: `denied` without the right to it. */
  readonly dialler: () => Disposable & {
    connect(target: PodPort, signal: AbortSignal): Promise<Duplex>;
  };
  /** Folder of sockets, of this reach alone. Made when the provider starts, and removed when it stops. */
  readonly folder: string;
  readonly logger: Logger;
}

/**
 * Pods by their API server, as kubectl port-forward does: from where pods have no addresses, such as a laptop. Each port of a pod is a socket of
 * this machine. Makes nothing in the cluster.
 */
export function portForward(deps: PortForwardDeps): Reach {
  return (inner) => ({
    name: inner.name,
    ...(inner.control === undefined ? {} : { control: inner.control }),
    ...(inner.tell === undefined ? {} : { tell: inner.tell.bind(inner) }),
    start: (publish, signal) => startForwarding(inner, deps, { publish, signal }),
  });
}

async function startForwarding(
  inner: Provider,
  deps: PortForwardDeps,
  { publish, signal }: { readonly publish: (update: SourceUpdate) => void; readonly signal: AbortSignal },
): Promise<AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const dialler = scope.use(deps.dialler());
  const connect: ForwardsDeps["connect"] = (target, asked) => dialler.connect(target, asked);
  const reached = scope.use(new ReachedTasks(inner.name, { ...deps, connect }, publish));
  scope.use(await inner.start((update) => reached.take(update), signal));
  return scope.move();
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
  #innerProblems: readonly Problem[] = [];
  #isStale = true;

  constructor(
    provider: string,
    { connect, folder, logger }: Omit<ForwardsDeps, "tried">,
    publish: (update: SourceUpdate) => void,
  ) {
    this.#provider = provider;
    this.#publish = publish;
    const tried = (target: PodPort, failure: GatewayError | null): void => this.#tried(target, failure);
    this.#forwards = new Forwards({ connect, folder, logger, tried });
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
    this.#forwards[Symbol.dispose]();
  }

  #reach(task: Task): Task {
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

  #tried({ namespace }: PodPort, failure: GatewayError | null): void {
    const why = failure?.code === "denied" ? failure.message : undefined;
    if (this.#denied.get(namespace) === why || (failure !== null && why === undefined)) return;
    if (why === undefined) this.#denied.delete(namespace);
    else this.#denied.set(namespace, why);
    // What is stale is told by what ends that.
    if (!this.#isStale) this.#publish({ kind: "change", set: [], removed: [], problems: this.#problems() });
  }

  #problems(): readonly Problem[] {
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
    return [...this.#innerProblems, ...denied, ...beyond];
  }
}
