import { GatewayError } from "../../model/index.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { KubernetesError } from "../../platform/kubernetes/kubernetes-error.ts";
import { LEASES } from "../../platform/kubernetes/resource.ts";
import type { Fence } from "../store.ts";
import { type Draft, type KeptEntry, readSecret, SECRETS, type StorePlaceName, toSecret } from "./entry-secret.ts";
import { leaseName } from "./lease-name.ts";

/** A store's entries as the API server has them. Calls throw `unavailable` for whatever the server says but what is written here. */
export class EntryCluster {
  readonly #client: KubernetesClient;
  readonly #place: StorePlaceName;
  /** By lead: what is being read in this turn of the event loop. */
  readonly #fences = new Map<string, Promise<number | undefined>>();

  constructor(client: KubernetesClient, place: StorePlaceName) {
    this.#client = client;
    this.#place = place;
  }

  /** null: there is none. Expired and removed ones are there. */
  async get(name: string, signal: AbortSignal): Promise<KeptEntry | null> {
    const { namespace } = this.#place;
    const secret = await translated(this.#client.get(SECRETS, { namespace, name }, signal));
    if (secret === null) return null;
    const entry = readSecret(this.#place, secret);
    if (entry !== null) return entry;
    throw new GatewayError("unavailable", `Secret ${namespace}/${name} is not what the gate wrote; remove it`);
  }

  /** Writes it in place of `before` (null: makes it). null: something else is there. */
  async write(draft: Draft, before: KeptEntry | null, signal: AbortSignal): Promise<KeptEntry | null> {
    const secret = toSecret(this.#place, draft, before?.version ?? null);
    try {
      const call =
        before === null ? this.#client.create(SECRETS, secret, signal) : this.#client.replace(SECRETS, secret, signal);
      return readSecret(this.#place, await call);
    } catch (error) {
      if (error instanceof KubernetesError && (error.status === 409 || error.status === 404)) return null;
      throw toUnavailable(error);
    }
  }

  /** Takes that very version of it away, if it is still there. */
  async erase({ name, version }: KeptEntry, signal: AbortSignal): Promise<void> {
    const { namespace } = this.#place;
    try {
      await this.#client.remove(SECRETS, { namespace, name, resourceVersion: String(version) }, signal);
    } catch (error) {
      if (!(error instanceof KubernetesError && error.status === 409)) throw toUnavailable(error);
    }
  }

  /**
   * Throws `conflict` if another was elected since. Those who ask in one turn of the event loop share one read: it begins after all that
   * any of them can know.
   */
  async checkFence({ lead, fence }: Fence, signal: AbortSignal): Promise<void> {
    let reading = this.#fences.get(lead);
    if (reading === undefined) {
      reading = this.#readFence(lead, signal);
      this.#fences.set(lead, reading);
      setImmediate(() => this.#fences.delete(lead));
    }
    if ((await reading) !== fence) throw new GatewayError("conflict", `who writes leads ${lead} no longer`);
  }

  async #readFence(lead: string, signal: AbortSignal): Promise<number | undefined> {
    const { namespace, store } = this.#place;
    const lease = await translated(this.#client.get(LEASES, { namespace, name: leaseName(store, lead) }, signal));
    return lease?.spec?.leaseTransitions;
  }
}

async function translated<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toUnavailable(error);
  }
}

/** That the gate may not write is no reason to tell a visitor that he may not come in: to who uses the store it is all the same. */
export function toUnavailable(error: unknown): GatewayError {
  if (error instanceof GatewayError && !(error instanceof KubernetesError)) return error;
  return new GatewayError("unavailable", "the cluster that keeps the gate's state does not do what it is asked for", {
    cause: error,
  });
}
