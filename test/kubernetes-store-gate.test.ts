import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { startTestGate, type TestGate } from "./support/gate.ts";

const GATE_HOST = "taskgate.localhost";

/** Gates as users start them, which keep what outlives them in a real API server. */
describe.skipIf(NO_OWN_CLUSTER !== null)("a gate whose store is a cluster", () => {
  let cluster: Cluster;
  let folder: string;
  beforeAll(async () => {
    cluster = await ownCluster("i", { kind: "api" });
    folder = mkdtempSync(join(tmpdir(), "tg-store-"));
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await cluster[Symbol.asyncDispose]();
  });

  async function startGate(name: string): Promise<TestGate> {
    const config = join(folder, `${name}.yaml`);
    writeFileSync(config, `store: { type: kubernetes, name: ${name}, kubeconfig: ${cluster.kubeconfig} }\n`);
    const gate = await startTestGate({ config });
    onTestFinished(() => gate[Symbol.asyncDispose]());
    return gate;
  }

  async function isTaken(gate: TestGate, token: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${token}` };
    return (await gate.ask(GATE_HOST, "/.taskgate/api/v1/tasks", { anonymous: true, headers })).status === 200;
  }

  async function makeToken(gate: TestGate): Promise<{ readonly id: string; readonly token: string }> {
    return await gate.json("token", "create", "kept");
  }

  test("takes a token of before it was started with an empty home folder", async () => {
    const before = await startGate("restarted");
    const { token } = await makeToken(before);
    expect(await isTaken(before, token)).toBe(true);
    await before[Symbol.asyncDispose]();
    const after = await startGate("restarted");
    expect(after.home).not.toBe(before.home);
    expect(await isTaken(after, token)).toBe(true);
    expect(await isTaken(after, `${token}x`)).toBe(false);
    expect(await cluster.kubectl(["get", "leases", "--output", "name"])).toContain(
      "lease.coordination.k8s.io/restarted-tell",
    );
  });

  test("is one of two that share it: what one gives and takes back, the other knows", async () => {
    const [one, two] = [await startGate("shared"), await startGate("shared")];
    const { id, token } = await makeToken(one);
    expect(await isTaken(two, token)).toBe(true);
    expect((await one.cli("token", "revoke", id)).code).toBe(0);
    await vi.waitFor(async () => expect(await isTaken(two, token)).toBe(false), { timeout: 10_000, interval: 50 });
    expect(await isTaken(one, token)).toBe(false);
  });
});
