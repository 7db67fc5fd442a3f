import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { GatewayConfig } from "../config/gateway-config.ts";
import type { KubernetesProviderConfig } from "../config/provider-config.ts";
import { isCode } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { findCluster } from "../platform/kubernetes/find-cluster.ts";
import type { Logger } from "../platform/logger.ts";
import type { Provider } from "../providers/provider.ts";
import { gatewayApi, type ReachRecord } from "../reach/gateway-api/gateway-api.ts";
import { gatewayKey, type GatewayRef } from "../reach/gateway-api/unit.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";
import { keepInstallationId } from "./installation-id.ts";

/** Of the store: by provider, where its reach may have made something. */
const KIND = "reach";

/** What it takes to find again what was made for a provider. */
const Reached = z.object({
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  namespaces: z.array(z.string()),
  gateways: z.array(z.object({ namespace: z.string(), name: z.string(), address: z.string() })),
});
type Reached = Readonly<z.output<typeof Reached>>;

/** Of a provider as it is configured now. Gateways of another cluster than today's are not looked for. */
export function recordReach(store: Store, config: KubernetesProviderConfig): ReachRecord {
  const { name } = config;
  const now = reachedBy(config);
  return {
    async begin() {
      for (;;) {
        const held = await store.get<unknown>(KIND, name);
        const former = formerOf(readReached(held?.value), now);
        const value = { ...now, gateways: [...now.gateways, ...former] };
        try {
          const isKnown = isDeepStrictEqual(held?.value, value);
          if (!isKnown) await store.put(KIND, name, value, { version: held?.version ?? null });
          return former.length === 0 ? null : former;
        } catch (error) {
          if (!isCode(error, "conflict")) throw error; // another gate that starts was first
        }
      }
    },
    async cleared() {
      const held = await store.get<unknown>(KIND, name);
      if (held !== null) await store.put(KIND, name, now, { version: held.version });
    },
  };
}

export interface FormerReachesDeps {
  readonly config: { readonly providers: readonly KubernetesProviderConfig[] };
  readonly store: Store;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Takes away what was made for providers that are not reached through Gateways any more, or are not there: whichever gate leads, as soon as their
 * cluster is found. Throws `unavailable` where the store cannot be read. Disposing ends it; a next gate goes on.
 */
export async function clearFormerReaches(deps: FormerReachesDeps): Promise<AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const { signal } = scope.adopt(new AbortController(), (controller) => controller.abort());
  const present = new Set(deps.config.providers.flatMap(({ name, reach }) => (reach === "gateway-api" ? [name] : [])));
  for (const [name, { value }] of await deps.store.list<unknown>(KIND)) {
    const reached = readReached(value);
    if (present.has(name) || reached === null) continue;
    scope.use(await emptied(name, reached, deps).start(() => undefined, signal));
  }
  return scope.move();
}

/** Without any task, so that nothing stays. */
function emptied(name: string, reached: Reached, deps: FormerReachesDeps): Provider {
  const { store, clock } = deps;
  const logger = deps.logger.child({ provider: name });
  const nothing: Provider = {
    name,
    start(publish) {
      publish({ kind: "whole", tasks: [], problems: [] });
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  };
  const record: ReachRecord = {
    begin: () => Promise.resolve([]),
    async cleared() {
      const held = await store.get(KIND, name);
      if (held !== null) await store.remove(KIND, name, held.version);
      logger.info("what was made at Gateways for a former provider is gone");
    },
  };
  const reach = gatewayApi({
    ...{ namespaces: reached.namespaces, record, clock, logger },
    gateway: { ...ANY_PORT, gateways: [...reached.gateways] },
    cluster: () => findCluster(reached, process.env, clock),
    installation: () => keepInstallationId(store),
  });
  return reach(nothing, deps);
}

const ANY_PORT: Omit<GatewayConfig, "gateways"> = {
  ports: { from: 1025, to: 65_535 },
  ...{ listenerSets: "auto", networkPolicy: false, tls: "off" },
};

/** Gateways of the same cluster that are configured no more. */
function formerOf(before: Reached | null, now: Reached): readonly GatewayRef[] {
  if (before === null || before.kubeconfig !== now.kubeconfig || before.context !== now.context) return [];
  const present = new Set(now.gateways.map(gatewayKey));
  return before.gateways.filter((ref) => !present.has(gatewayKey(ref)));
}

function reachedBy({ kubeconfig, context, namespaces, gateway }: KubernetesProviderConfig): Reached {
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    namespaces,
    gateways: (gateway?.gateways ?? []).map((each) => ({
      namespace: each.namespace,
      name: each.name,
      address: each.address,
    })),
  };
}

// One of another version of the gate may say what this one does not know.
function readReached(value: unknown): Reached | null {
  return Reached.safeParse(value).data ?? null;
}
