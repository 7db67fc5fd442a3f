import { openClaimsBook } from "../src/app/claims-book.ts";
import { createTableState } from "../src/core/create-table-state.ts";
import { makeTask, OPTIONS, whole, change } from "../src/core/testing/make.ts";
import { startReconcile } from "../src/core/reconcile.ts";
import { systemClock } from "../src/platform/clock.ts";
import { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../src/platform/kubernetes/kubeconfig.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { startKubernetesStore, STORE_BOUNDS } from "../src/store/kubernetes/kubernetes-store.ts";
import { startLeaseLeadership } from "../src/store/kubernetes/lease-leadership.ts";
import { startCluster } from "../testbed/kubernetes/start-cluster.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

const SIZES = [5000, 100_000];
const CHANGES = 50;
const LEASE_S = 15;
const NAMESPACE = "default";
const SOURCE = "prod";

/**
 * What it takes until names are decided that all gates of a store are to have: of many services that come at once, and of one more; written
 * to a real API server by the table and the book of a gate that leads.
 */
export const benchClaims: Suite = async (say, { rounds = CHANGES }) => {
  await using cluster = await startCluster({ name: "claims", kind: "api", owner: process.pid });
  const rows: Row[] = [];
  for (const services of SIZES) {
    say(`${String(services)} services come at once, then ${String(rounds)} one by one …`);
    rows.push(...(await measure(cluster.kubeconfig, { services, rounds })));
  }
  return rows;
};

async function measure(
  kubeconfig: string,
  { services, rounds }: { readonly services: number; readonly rounds: number },
): Promise<readonly Row[]> {
  await using gate = await startGate(kubeconfig, `claims-${String(services)}`);
  const tasks = Array.from({ length: services }, (_none, at) => makeTask(`team-a.nb-${String(at)}`));
  await gate.list(whole(...tasks.slice(0, 1)), 1); // elected
  const all = await cost(() => gate.list(whole(...tasks), services));
  const each: number[] = [];
  const one = await cost(async () => {
    for (let at = 0; at < rounds; at += 1) {
      const more = makeTask(`team-a.more-${String(at)}`);
      each.push((await cost(() => gate.list(change([more]), services + at + 1))).ms);
    }
  });
  const of = (name: string, value: number, unit: string): Row => ({ name: `${String(services)} services, ${name}`, value, unit, ratio: null }); // prettier-ignore
  return [
    of("all decided", all.ms, "ms"),
    of("all, processor", all.cpuMs, "ms"),
    of("one more, p50", median(each), "ms"),
    of("one more, p99", quantile(each, 0.99), "ms"),
    of("one more, processor", one.cpuMs / rounds, "ms"),
  ];
}

/** Its table and its part of the store; it leads. */
async function startGate(kubeconfig: string, name: string) {
  await using scope = new AsyncDisposableStack();
  // What a gate waits for keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  scope.defer(() => clearInterval(alive));
  const base = { clock: systemClock, logger: silentLogger };
  const cluster = await loadKubeconfig([kubeconfig], null, systemClock);
  const client = scope.use(new KubernetesClient({ cluster, clock: systemClock, bounds: STORE_BOUNDS }));
  const place = { client, namespace: NAMESPACE, name };
  const store = scope.use(await startKubernetesStore({ ...place, networkClock: systemClock, ...base }));
  const leadership = startLeaseLeadership({ ...place, holder: name, durationS: LEASE_S, ...base });
  const book = scope.use(await openClaimsBook({ store, leadership, isShared: true, ...base }));
  const state = createTableState({ ...OPTIONS, claims: "elsewhere" }, book.first);
  state.addSource(SOURCE);
  let wanted: { readonly claims: number; readonly done: () => void } | null = null;
  let decided = 0;
  const reconcile = scope.use(
    startReconcile({
      ...{ state, clock: systemClock, settleMs: 5, maxWaitMs: 50 },
      published(built) {
        decided += built.claims.set.length - built.claims.removed.length;
        if (wanted !== null && decided >= wanted.claims) wanted.done();
        book.published(built);
      },
      onError(error) {
        throw error;
      },
    }),
  );
  book.follow(state, reconcile);
  const kept = scope.move();
  return {
    /** Resolves once so many services have their names in all. */
    list(update: Parameters<typeof state.update>[1], claims: number): Promise<void> {
      return new Promise((resolve) => {
        wanted = { claims, done: resolve };
        state.update(SOURCE, update);
        reconcile.touch();
      });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function cost(work: () => Promise<void>): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const [since, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return { ms: performance.now() - since, cpuMs: (user + system) / 1000 };
}
