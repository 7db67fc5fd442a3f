import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { startTestGate, type TestGate } from "./gate.ts";

/** For what a cluster takes its time for. */
export const WAIT = { timeout: 90_000, interval: 50 };

/** A gate of these clusters: provider names with kubeconfigs, and `more` of each one's configuration. It ends with the test, or by disposing. */
export async function startClusterGate(
  kubeconfigs: Readonly<Record<string, string>>,
  more: Readonly<Record<string, unknown>>,
): Promise<TestGate> {
  const folder = mkdtempSync(join(tmpdir(), "taskgate-cluster-gate-"));
  const config = join(folder, "config.yaml");
  const providers = Object.entries(kubeconfigs).map(([name, kubeconfig]) => ({
    ...{ type: "kubernetes", name, kubeconfig },
    ...more,
  }));
  writeFileSync(config, JSON.stringify({ providers, local: { enabled: false } }));
  const gate = await startTestGate({ config });
  const dispose = gate[Symbol.asyncDispose].bind(gate);
  gate[Symbol.asyncDispose] = async () => {
    await dispose();
    rmSync(folder, { recursive: true, force: true });
  };
  return gate;
}

/** The same, until the test has finished. */
export async function testClusterGate(...args: Parameters<typeof startClusterGate>): Promise<TestGate> {
  const gate = await startClusterGate(...args);
  onTestFinished(() => gate[Symbol.asyncDispose]());
  return gate;
}

/** Waits until a task answers so, by a connection of its own. */
export async function answers(
  gate: TestGate,
  task: string,
  expected: { readonly status: number; readonly body?: string },
  path = "/",
): Promise<void> {
  await vi.waitFor(async () => {
    const { status, body } = await gate.ask(`${task}.localhost`, path);
    const said = expected.body === undefined ? { status } : { status, body: body.trim() };
    if (JSON.stringify(said) !== JSON.stringify(expected)) throw new Error(`${task}: ${JSON.stringify(said)}`);
  }, WAIT);
}
