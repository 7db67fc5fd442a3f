import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../clock.ts";
import { KubernetesClient } from "./client.ts";
import { LeaseCandidate } from "./lease.ts";
import type { Lease } from "./objects.ts";
import { FakeApiServer } from "./testing/fake-api-server.ts";

const PATH = "/apis/coordination.k8s.io/v1/namespaces/a/leases";
const { signal } = new AbortController();

async function stand() {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const client = new KubernetesClient({ cluster: server.cluster(), clock: systemClock });
  onTestFinished(() => client[Symbol.dispose]());
  let elapsed = 0;
  const candidate = (holder: string, now = 1_800_000_000_000) =>
    new LeaseCandidate({
      client,
      namespace: "a",
      name: "writer",
      holder,
      durationS: 15,
      now: () => now,
      elapsed: () => elapsed,
    });
  const lease = () => server.get(PATH, "writer") as Lease | undefined;
  return { server, candidate, lease, pass: (ms: number) => (elapsed += ms) };
}

describe("lease", () => {
  test("is taken, renewed, and given to nobody else meanwhile", async () => {
    const { candidate, lease, pass } = await stand();
    const [one, two] = [candidate("one"), candidate("two")];
    expect(await one.attempt(signal)).toEqual({ isHeld: true, fence: 1, until: 15_000 });
    for (let time = 0; time < 5; time += 1) {
      pass(10_000);
      expect(await one.attempt(signal)).toMatchObject({ isHeld: true, fence: 1 });
      expect(await two.attempt(signal)).toEqual({ isHeld: false, holder: "one" });
    }
    expect(lease()?.spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  test("is taken by another once it was seen unchanged for as long as it lasts, with a higher fence", async () => {
    const { candidate, pass } = await stand();
    const [one, two] = [candidate("one"), candidate("two")];
    await one.attempt(signal);
    expect(await two.attempt(signal)).toMatchObject({ isHeld: false });
    pass(15_000);
    expect(await two.attempt(signal)).toMatchObject({ isHeld: false });
    pass(1);
    expect(await two.attempt(signal)).toMatchObject({ isHeld: true, fence: 2 });
    expect(await one.attempt(signal)).toEqual({ isHeld: false, holder: "two" });
  });

  test.each([
    ["ahead", 3_600_000],
    ["behind", -3_600_000],
  ])("is not taken because a clock is an hour %s", async (_what, skew) => {
    const { candidate } = await stand();
    await candidate("one").attempt(signal);
    expect(await candidate("two", 1_800_000_000_000 + skew).attempt(signal)).toMatchObject({ isHeld: false });
  });

  test("is had by one of two that find it free at the same time", async () => {
    const { candidate } = await stand();
    const candidates = ["one", "two", "three", "four"].map((name) => candidate(name));
    const attempts = await Promise.all(candidates.map((each) => each.attempt(signal)));
    expect(attempts.filter((attempt) => attempt.isHeld).length).toBe(1);
  });

  test("is free at once when it is given up, and the fence rises even for who had it", async () => {
    const { candidate } = await stand();
    const [one, two] = [candidate("one"), candidate("two")];
    await one.attempt(signal);
    await two.release(signal);
    expect(await two.attempt(signal)).toMatchObject({ isHeld: false });
    await one.release(signal);
    expect(await one.attempt(signal)).toMatchObject({ isHeld: true, fence: 2 });
    await one.release(signal);
    expect(await two.attempt(signal)).toMatchObject({ isHeld: true, fence: 3 });
  });
});
