import { afterEach, beforeEach, expect, test } from "vitest";
import type { Proxy } from "../dataplanes/dataplane.ts";
import { startTestGate, type TestGate } from "./testing/start-gate.ts";

const EDGE: Proxy = {
  ...{ fleet: "edge", version: "1.40.0", address: "10.0.0.9:4711", since: 1000, heardAt: 2000 },
  ...{ streams: 1, refused: 2, stuckSince: null },
};

let gate: TestGate;
beforeEach(async () => {
  gate = await startTestGate();
});
afterEach(() => gate[Symbol.asyncDispose]());

test("says of each Envoy what it has, by fleet and id, and how far it is behind", async () => {
  gate.setPlane({
    instances: new Map([
      ["edge-2", { applied: -1, connected: false, proxy: { ...EDGE, since: null } }],
      ["edge-1", { applied: 0, connected: true, proxy: EDGE }],
      ["own", { applied: 1, connected: true, proxy: { ...EDGE, fleet: "batch", address: null } }],
      ["a worker", { applied: 1, connected: true }],
    ]),
  });
  const { status, json } = await gate.ask("/envoys");
  expect(status).toBe(200);
  expect(json()).toEqual({
    revision: 1,
    envoys: [
      { id: "own", ...EDGE, fleet: "batch", address: null, applied: 1, behind: 0 },
      { id: "edge-1", ...EDGE, applied: 0, behind: 1 },
      { id: "edge-2", ...EDGE, since: null, applied: -1, behind: null },
    ],
  });
});

test("is for administrators, and says what to do where the gate has no Envoys", async () => {
  const token = await gate.tokenOf({ realm: "corp", name: "bob", groups: [], admin: false });
  expect((await gate.ask("/envoys", { token })).status).toBe(403);
  const { status, body } = await gate.ask("/envoys");
  expect([status, body]).toEqual([404, expect.stringContaining("taskgate up --data-plane envoy")]);
});
