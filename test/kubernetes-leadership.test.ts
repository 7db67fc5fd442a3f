import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Clock, systemClock } from "../src/platform/clock.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { describeLeadership } from "../src/store/leadership.contract.ts";
import type { Leadership } from "../src/store/leadership.ts";
import { startLeaseLeadership } from "../src/store/kubernetes/lease-leadership.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { ApiRelay } from "./support/api-relay.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { NAMESPACE, openStoreGate, storeGate, type StoreGate, storeName } from "./support/store-cluster.ts";

const HEEDLESS_LEADER = fileURLToPath(new URL("support/heedless-leader.ts", import.meta.url));
const WAIT = { timeout: 60_000, interval: 20 };
const DURATION_S = 3;

/** On a real API server and etcd, which these tests kill. */
describe.skipIf(NO_OWN_CLUSTER !== null)("on Kubernetes", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster("h", { kind: "api" });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  const lease = (gate: StoreGate, name: string, holder: string, clock: Clock = systemClock): Leadership => {
    const { client } = gate;
    return startLeaseLeadership({ client, namespace: NAMESPACE, name, holder, clock, logger: silentLogger, durationS: DURATION_S }); // prettier-ignore
  };

  describeLeadership("kubernetes", () => {
    const name = storeName();
    let gates = 0;
    return Promise.resolve({
      async open() {
        gates += 1;
        const gate = await openStoreGate({ kubeconfig: cluster.kubeconfig, name });
        const leadership = lease(gate, name, `gate-${String(gates)}`);
        return { leadership, store: gate.store, [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose]() };
      },
      async [Symbol.asyncDispose]() {
        await cluster.kubectl(["delete", "secrets", "--selector", `taskgate.dev/store=${name}`]);
      },
    });
  });

  /** Gates that lead "writer" in turn; `terms` has who led from when to when, by one clock. */
  function contend() {
    const terms: { readonly holder: string; readonly fence: number; readonly from: number; until: number | null }[] =
      [];
    const enter = (leadership: Leadership, holder: string): AsyncDisposable => {
      const lead = leadership.lead("writer", async (signal, fence) => {
        const term = { holder, fence, from: performance.now(), until: null as number | null };
        terms.push(term);
        if (!signal.aborted) await once(signal, "abort");
        term.until = performance.now();
      });
      onTestFinished(() => lead[Symbol.asyncDispose]());
      return lead;
    };
    const expectOneAtATime = (): void => {
      for (const [index, term] of terms.entries()) {
        const before = terms[index - 1];
        if (before === undefined) continue;
        expect(before.until).not.toBeNull();
        expect(term.from).toBeGreaterThanOrEqual(before.until ?? Infinity);
        expect(term.fence).toBeGreaterThan(before.fence);
      }
    };
    return { terms, enter, expectOneAtATime };
  }

  test("has one lead at a time, though clocks differ by hours and the API server is killed and started", async () => {
    const name = storeName();
    const { terms, enter, expectOneAtATime } = contend();
    for (const [index, holder] of ["one", "two", "three"].entries()) {
      const clock = { ...systemClock, now: () => Date.now() + (index - 1) * 3 * 3_600_000 };
      enter(lease(await storeGate({ kubeconfig: cluster.kubeconfig, name }), name, holder, clock), holder);
    }
    await vi.waitFor(() => expect(terms).toHaveLength(1), WAIT);
    await sleep(2 * DURATION_S * 1000);
    expect(terms, "clocks that differ take no lead away").toHaveLength(1);
    await cluster.stopPart("kube-apiserver");
    await vi.waitFor(() => expect(terms[0]?.until).not.toBeNull(), WAIT);
    await cluster.startPart("kube-apiserver");
    await ready();
    await vi.waitFor(() => expect(terms.length).toBeGreaterThan(1), WAIT);
    await sleep(DURATION_S * 1000);
    expectOneAtATime();
  });

  test("goes to another at once when it is given up", async () => {
    const name = storeName();
    const { terms, enter, expectOneAtATime } = contend();
    const open = () => storeGate({ kubeconfig: cluster.kubeconfig, name });
    const first = enter(lease(await open(), name, "first"), "first");
    await vi.waitFor(() => expect(terms).toHaveLength(1), WAIT);
    enter(lease(await open(), name, "second"), "second");
    const asked = performance.now();
    await first[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(terms.at(-1)?.holder).toBe("second"), WAIT);
    expect(terms.at(-1)!.from - asked).toBeLessThan(DURATION_S * 1000);
    expectOneAtATime();
  });

  test("ends the work of a leader that is cut off before another leads", async () => {
    const name = storeName();
    const { terms, enter, expectOneAtATime } = contend();
    const relay = await ApiRelay.start(cluster.plan.server);
    onTestFinished(() => relay[Symbol.dispose]());
    const cut = await storeGate({ kubeconfig: cluster.kubeconfig, name, relay: relay.port });
    enter(lease(cut, name, "cut"), "cut");
    await vi.waitFor(() => expect(terms).toHaveLength(1), WAIT);
    enter(lease(await storeGate({ kubeconfig: cluster.kubeconfig, name }), name, "other"), "other");
    relay[Symbol.dispose]();
    await vi.waitFor(() => expect(terms.at(-1)?.holder).toBe("other"), WAIT);
    expectOneAtATime();
  });

  test("refuses what a leader writes that was paused and goes on as if it led", async () => {
    const name = storeName();
    const { terms, enter } = contend();
    const leader = startHeedless(name);
    await vi.waitFor(() => expect(leader.said.length).toBeGreaterThan(3), WAIT);
    leader.process.kill("SIGSTOP");
    const gate = await storeGate({ kubeconfig: cluster.kubeconfig, name });
    enter(lease(gate, name, "next"), "next");
    await vi.waitFor(() => expect(terms).toHaveLength(1), WAIT);
    const before = await gate.store.get("task", "state");
    leader.process.kill("SIGCONT");
    await vi.waitFor(() => expect(leader.said.at(-1)).toHaveProperty("refused"), WAIT);
    expect(leader.said.at(-1)).toMatchObject({ refused: "conflict" });
    expect(terms[0]?.fence).toBeGreaterThan(leader.said.at(-1)?.fence ?? Infinity);
    expect(await gate.store.get("task", "state")).toEqual(before);
  });

  function startHeedless(name: string) {
    const argv = [HEEDLESS_LEADER, cluster.kubeconfig, NAMESPACE, name];
    const child: ChildProcess = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const said: { readonly fence: number; readonly n?: number; readonly refused?: string }[] = [];
    createInterface(child.stdout!).on("line", (line) => said.push(JSON.parse(line) as (typeof said)[number]));
    return { process: child, said };
  }

  /** The API server answers again. */
  async function ready(): Promise<void> {
    await vi.waitFor(() => cluster.kubectl(["get", "--raw", "/readyz"]), { timeout: 60_000, interval: 200 });
  }
});
