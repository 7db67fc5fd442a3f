import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { startTestGate, type TestGate } from "./gate.ts";

/** For what a cluster takes its time for. */
export const WAIT = { timeout: 30_000, interval: 50 };

/** What is configured of a provider of type `kubernetes`. */
interface OfCluster {
  readonly name: string;
  readonly kubeconfig: string;
  readonly namespaces: readonly string[];
  readonly rights?: readonly object[];
  readonly kinds?: readonly string[];
  readonly owners?: boolean;
  readonly reach?: string;
  readonly gateway?: object;
}

/** A gate of these clusters alone. */
export function startClusterGate(clusters: readonly OfCluster[]): Promise<TestGate> {
  return startConfiguredGate({ providers: clusters.map((cluster) => ({ type: "kubernetes", ...cluster })) });
}

/** A gate by this configuration, without tasks of this machine. */
export async function startConfiguredGate(configuration: object): Promise<TestGate> {
  const folder = mkdtempSync(join(tmpdir(), "taskgate-cluster-gate-"));
  const config = join(folder, "config.yaml");
  writeFileSync(config, JSON.stringify({ ...configuration, local: { enabled: false } }));
  const gate = await startTestGate({ config });
  const dispose = gate[Symbol.asyncDispose].bind(gate);
  gate[Symbol.asyncDispose] = async () => {
    await dispose();
    rmSync(folder, { recursive: true, force: true });
  };
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
