import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { ProblemsView } from "../src/api/wire.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { inParallel, PodWriter } from "../testbed/kubernetes/written-pods.ts";
import { answers, startClusterGate, WAIT } from "./support/cluster-gate.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import type { TestGate } from "./support/gate.ts";
import { writeHostile, type Written } from "./support/hostile-pods.ts";
import { OpenFlows } from "./support/open-flows.ts";
import { startLoad, WrittenJob } from "./support/written-jobs.ts";

const HOSTILE = 1000;
const HEALTHY = Array.from({ length: 20 }, (_, at) => `healthy-${String(at)}`);
const MOST_GROWTH_MIB = 250;

/** Objects that a real API server takes, and that nobody should have written. */
describe.skipIf(NO_OWN_CLUSTER !== null)("hostile and broken objects in a cluster", () => {
  const scope = new AsyncDisposableStack();
  let cluster: Cluster;
  let good: PodWriter;
  let bad: PodWriter;
  let gate: TestGate;
  let job: WrittenJob;

  beforeAll(async () => {
    cluster = scope.use(await ownCluster("m", { kind: "api" }));
    good = scope.use(await PodWriter.open(cluster.kubeconfig, "good"));
    bad = scope.use(await PodWriter.open(cluster.kubeconfig, "bad"));
    job = scope.use(await WrittenJob.start("well", cluster.plan.hostAddress));
    const provider = { name: "prod", kubeconfig: cluster.kubeconfig, namespaces: ["good", "bad"] };
    gate = scope.use(await startClusterGate([provider]));
    for (const name of HEALTHY) await job.create(good, name);
    for (const name of HEALTHY) await answers(gate, name, { status: 200, body: "well" });
  });
  afterAll(() => scope.disposeAsync());

  async function problems(): Promise<ProblemsView["problems"]> {
    const { gateHost } = gate.file();
    const { body } = await gate.ask(gateHost, "/.taskgate/api/v1/problems", {
      headers: { authorization: `Bearer ${gate.token()}` },
    });
    return (JSON.parse(body) as ProblemsView).problems;
  }

  function memoryMiB(): number {
    const status = readFileSync(`/proc/${String(gate.file().pid)}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  }

  test("a thousand of them are each a problem of their own, and hurt no neighbour", async () => {
    await using load = startLoad(gate, HEALTHY, "well");
    const headers = { "x-taskgate-authorization": `Bearer ${gate.token()}` };
    using socket = await new OpenFlows(gate, HEALTHY[0]!).webSocket(headers);
    const before = memoryMiB();
    const victims = { names: HEALTHY, ip: job.ip, port: job.port, gatePort: gate.file().port };
    const written: Written[] = [];
    await inParallel(HOSTILE, async (number) => {
      written.push(await writeHostile(bad, number, victims));
    });
    await vi.waitFor(
      async () => {
        const subjects = new Set((await problems()).map(({ subject }) => subject.split("/").slice(1).join("/")));
        const silent = written.filter(({ name, as }) => {
          const own = [`bad/Pod/${name}`, `bad/Service/${name}`, ...[name, as].flatMap((task) => [`bad.${task}`])];
          return ![...subjects].some((subject) => own.some((one) => subject === one || subject.startsWith(`${one}/`)));
        });
        expect(silent).toEqual([]);
      },
      { timeout: 60_000, interval: 500 },
    );
    const others = (await problems()).filter(({ subject }) => /^prod\/good[./]/.test(subject));
    expect(others).toEqual([]);
    for (const name of HEALTHY) await answers(gate, name, { status: 200, body: "well" });
    expect(load.faults).toEqual([]);
    expect(load.answered).toBeGreaterThan(100);
    expect(socket.open).toBe(true);
    expect(memoryMiB() - before).toBeLessThan(MOST_GROWTH_MIB);

    for (const resource of ["pods", "services"]) {
      await cluster.kubectl(["delete", "--raw", `/api/v1/namespaces/bad/${resource}`]);
    }
    await vi.waitFor(async () => expect(await problems()).toEqual([]), WAIT);
    expect(load.faults).toEqual([]);
    expect(socket.open).toBe(true);
  });
});
