import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { TaskView } from "../src/api/wire.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { kubectlProgram } from "../testbed/kubernetes/programs.ts";
import { PodWriter } from "../testbed/kubernetes/written-pods.ts";
import { startBrowser } from "./support/browser.ts";
import { ApiRelay } from "./support/api-relay.ts";
import { answers, startClusterGate, WAIT } from "./support/cluster-gate.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import type { TestGate } from "./support/gate.ts";
import { OpenFlows } from "./support/open-flows.ts";
import { startLoad, WrittenJob } from "./support/written-jobs.ts";

const NAMESPACE = "team";
const RELAYED = "relayed";
const LONG = { timeout: 90_000, interval: 200 };

/** A gate of two real API servers, one of which is killed, paused and compacted, and the other cut off, while people use what they know. */
describe.skipIf(NO_OWN_CLUSTER !== null)("clusters that are away", () => {
  const scope = new AsyncDisposableStack();
  let near: Cluster;
  let far: Cluster;
  let nearPods: PodWriter;
  let farPods: PodWriter;
  /** One more provider of the near cluster, which reaches it through a relay. */
  let relay: ApiRelay;
  let relayedPods: PodWriter;
  let gate: TestGate;
  let job: WrittenJob;
  let farJob: WrittenJob;

  beforeAll(async () => {
    near = scope.use(await ownCluster("m", { kind: "api" }));
    far = scope.use(await ownCluster("n", { kind: "api" }));
    nearPods = scope.use(await PodWriter.open(near.kubeconfig, NAMESPACE));
    farPods = scope.use(await PodWriter.open(far.kubeconfig, NAMESPACE));
    // Both are at the address that stays when the other cluster is cut off.
    job = scope.use(await WrittenJob.start("near", near.plan.hostAddress));
    farJob = scope.use(await WrittenJob.start("far", near.plan.hostAddress));
    relay = scope.use(await ApiRelay.start(near.plan.server));
    relayedPods = scope.use(await PodWriter.open(near.kubeconfig, RELAYED));
    const relayed = join(scope.adopt(mkdtempSync(join(tmpdir(), "tg-relayed-")), rmFolder), "kubeconfig");
    const direct = readFileSync(near.kubeconfig, "utf8");
    writeFileSync(relayed, direct.replaceAll(near.plan.server, `https://127.0.0.1:${String(relay.port)}`));
    gate = scope.use(
      await startClusterGate([
        { name: "near", kubeconfig: near.kubeconfig, namespaces: [NAMESPACE] },
        { name: "far", kubeconfig: far.kubeconfig, namespaces: [NAMESPACE] },
        { name: "relayed", kubeconfig: relayed, namespaces: [RELAYED] },
      ]),
    );
    for (const name of ["one", "two"]) await job.create(nearPods, name);
    for (const name of ["three", "gone"]) await job.create(relayedPods, name);
    for (const name of ["four", "five"]) await farJob.create(farPods, name);
    for (const name of ["one", "two", "three", "gone"]) await answers(gate, name, { status: 200, body: "near" });
    for (const name of ["four", "five"]) await answers(gate, name, { status: 200, body: "far" });
  });
  afterAll(() => scope.disposeAsync());

  const token = () => ({ "x-taskgate-authorization": `Bearer ${gate.token()}` });
  /** Names of providers whose tasks are told to be stale. */
  const stale = async () => {
    const tasks = await gate.json<TaskView[]>("ps");
    return [...new Set(tasks.filter(({ staleSince }) => staleSince !== null).map(({ provider }) => provider))];
  };

  test("a name that two clusters have is the incumbent's, also after a restart, and who waits has its other names", async () => {
    await job.create(nearPods, "same");
    await answers(gate, "same", { status: 200, body: "near" });
    await farJob.create(farPods, "same");
    const taken = { subject: "far/team.same/web", code: "name_taken" };
    const own = async (provider: string) =>
      (await gate.json<TaskView[]>("ps")).find((task) => task.id === `${provider}/team.same`);
    await vi.waitFor(async () => expect((await own("far"))?.problems).toMatchObject([taken]), WAIT);
    const url = (await own("far"))!.services[0]!.url!;
    expect((await gate.ask(new URL(url).hostname, "/")).body).toBe("far");
    // "far" comes before "near" where nobody has it yet.
    await gate.kill("SIGKILL");
    await gate.up();
    await vi.waitFor(async () => expect((await own("far"))?.problems).toMatchObject([taken]), WAIT);
    await answers(gate, "same", { status: 200, body: "near" });
    await nearPods.remove("same");
    await answers(gate, "same", { status: 200, body: "far" });
    expect((await own("far"))?.problems).toEqual([]);
    await job.create(nearPods, "same");
    await vi.waitFor(async () => expect((await own("near"))?.problems).toMatchObject([{ code: "name_taken" }]), WAIT);
    expect((await gate.ask("same.localhost", "/")).body).toBe("far");
  });

  test("no route, request or connection is lost when the API server is killed, compacted and paused", async () => {
    await using load = startLoad(gate, ["one", "two", "three"], "near");
    using socket = await new OpenFlows(gate, "one").webSocket(token());
    // Its watches stay open and say nothing, until all that they knew is compacted.
    relay.hold();
    await near.stopPart("kube-apiserver");
    await vi.waitFor(async () => expect(await stale()).toEqual(["near"]), WAIT);
    await sleep(1000);
    const { stdout } = await gate.cli("ps");
    expect(stdout).toMatch(/^one .* running \(stale \d+s\)/m);
    expect(stdout).toMatch(/^four .* running {2}/m);
    expect(stdout).toMatch(/^problem near \(for [1-9]\d*s\): It has failed since .*ECONNREFUSED/m);

    const page = await openPage();
    const card = page.locator('[data-id="near/team.one"]');
    await card.getByText(/^Stale since .+ ago: its provider does not answer/).waitFor();
    await page.locator("#problems").getByText("ECONNREFUSED").first().waitFor();
    expect(await page.locator('[data-id="far/team.four"]').getByText("Stale").count()).toBe(0);

    await near.startPart("kube-apiserver");
    await ready(near);
    await job.create(nearPods, "late");
    await answers(gate, "late", { status: 200, body: "near" });
    await relayedPods.remove("gone");
    await job.create(relayedPods, "new");
    expect((await gate.ask("gone.localhost", "/")).body).toBe("near");
    await near.compact();
    relay.release();
    await answers(gate, "new", { status: 200, body: "near" });
    await answers(gate, "gone", { status: 404 });
    expect(readFileSync(join(gate.home, "gate.log"), "utf8")).toContain("watch was left behind; listing anew");
    expect(await stale()).toEqual([]);
    await card.getByText("Stale").waitFor({ state: "detached" });
    expect((await gate.cli("ps")).stdout).not.toContain("problem near ");

    near.pausePart("kube-apiserver");
    await sleep(3000);
    near.resumePart("kube-apiserver");
    await nearPods.tell("late", { ip: job.ip, isReady: false });
    await answers(gate, "late", { status: 502 });
    expect(load.faults).toEqual([]);
    expect(load.answered).toBeGreaterThan(100);
    expect(socket.open).toBe(true);
  });

  test("a cluster that is cut off is stale and keeps its last good routes, the other's changes go on, and all is made up for", async () => {
    await using load = startLoad(gate, ["four", "five"], "far");
    using socket = await new OpenFlows(gate, "four").webSocket(token());
    await far.cutOff();
    const began = performance.now();
    await vi.waitFor(async () => expect(await stale()).toEqual(["far"]), LONG);
    // A connection that nobody answers on is found dead in 25 s, another is given up after 10 s.
    expect(performance.now() - began).toBeLessThan(60_000);
    const changed = performance.now();
    await job.create(nearPods, "meanwhile");
    await answers(gate, "meanwhile", { status: 200, body: "near" });
    expect(performance.now() - changed).toBeLessThan(5000);
    expect((await gate.cli("ps")).stdout).toMatch(/^problem far \(for \d+s\): It has failed since /m);
    await onNode(far, ["delete", "pod", "five", "--namespace", NAMESPACE, "--now"]);
    expect((await gate.ask("five.localhost", "/")).status).toBe(200);
    expect(load.faults).toEqual([]);
    await far.reconnect();
    await answers(gate, "five", { status: 404 });
    await vi.waitFor(async () => expect(await stale()).toEqual([]), WAIT);
    // A route that goes ends what is under way on it.
    expect(load.faults.filter((fault) => !fault.startsWith("five: "))).toEqual([]);
    expect(socket.open).toBe(true);
  });

  /** The gate's own, by its owner. */
  async function openPage(): Promise<Page> {
    const browser = await startBrowser();
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    await page.goto((await gate.json<{ url: string }>("open", "--print")).url);
    return page;
  }

  function rmFolder(folder: string): void {
    rmSync(folder, { recursive: true });
  }

  /** The API server answers again. */
  async function ready(cluster: Cluster): Promise<void> {
    await vi.waitFor(() => cluster.kubectl(["get", "--raw", "/readyz"]), WAIT);
  }

  /** kubectl where the API server is, which can be reached from nowhere else. */
  async function onNode(cluster: Cluster, args: readonly string[]): Promise<void> {
    const there = ["--kubeconfig", cluster.kubeconfig, "--server=https://127.0.0.1:6443", "--insecure-skip-tls-verify"];
    await cluster.run([await kubectlProgram(), ...there, ...args]);
  }
});
