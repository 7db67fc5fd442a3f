import { systemClock } from "../../src/platform/clock.ts";
import { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../../src/platform/kubernetes/kubeconfig.ts";
import type { KubernetesObject, Pod } from "../../src/platform/kubernetes/objects.ts";
import { NAMESPACES, PODS, type Resource } from "../../src/platform/kubernetes/resource.ts";

const ACCOUNTS: Resource<KubernetesObject> = {
  ...{ apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts", namespaced: true },
};
/** Of those at once that write objects: the server takes no more without making them wait. */
const WRITERS = 16;
const FOREVER = new AbortController().signal;

/** What a kubelet says of a pod. */
export interface PodState {
  readonly ip: string;
  readonly isReady: boolean;
}

/** What is written of a pod. */
export interface WrittenPod extends PodState {
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Declared as `web`. */
  readonly port: number;
}

/** Writes the pods of one namespace, and what a kubelet would say of them, where there is none. Disposing ends the connections alone. */
export class PodWriter implements Disposable {
  readonly client: KubernetesClient;
  readonly namespace: string;

  private constructor(client: KubernetesClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
  }

  /** Makes the namespace, where it is not there, and what pods in it need to be taken. */
  static async open(kubeconfig: string, namespace: string): Promise<PodWriter> {
    const cluster = await loadKubeconfig([kubeconfig], null, systemClock);
    const client = new KubernetesClient({ cluster, clock: systemClock });
    const by = { fieldManager: "pod-writer", force: true, signal: FOREVER };
    await client.apply(NAMESPACES, { metadata: { name: namespace } }, by);
    await client.apply(ACCOUNTS, { metadata: { name: "default", namespace } }, by);
    return new PodWriter(client, namespace);
  }

  /** Throws where the server refuses it, or has one of that name. */
  async create(name: string, { annotations, labels = {}, port, ...state }: WrittenPod): Promise<void> {
    const metadata = { namespace: this.namespace, name, annotations, labels };
    const container = { name: "main", image: "example/notebook:1", ports: [{ name: "web", containerPort: port }] };
    // Where there is a scheduler, it leaves these alone.
    const spec = { schedulerName: "pod-writer", containers: [container] };
    await this.client.create(PODS, { metadata, spec }, FOREVER);
    await this.tell(name, state);
  }

  /** Says how it is now. */
  async tell(name: string, { ip, isReady }: PodState): Promise<void> {
    const status: NonNullable<Pod["status"]> = {
      phase: "Running",
      startTime: "2026-01-01T00:00:00Z",
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
    };
    const metadata = { namespace: this.namespace, name };
    const by = { fieldManager: "pod-writer", force: true, subresource: "status", signal: FOREVER };
    await this.client.apply(PODS, { metadata, status }, by);
  }

  async remove(name: string): Promise<void> {
    await this.client.remove(PODS, { namespace: this.namespace, name }, FOREVER);
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]();
  }
}

/** Does `work` for 0 to `count` - 1, as many at once as the server likes. */
export async function inParallel(count: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: WRITERS }, worker));
}
