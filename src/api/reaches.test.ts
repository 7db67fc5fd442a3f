import { afterEach, beforeEach, expect, test } from "vitest";
import type { ReachReport } from "../model/index.ts";
import { startTestGate, type TestGate } from "./testing/start-gate.ts";

const FAR: ReachReport = {
  ...{ provider: "far", reach: "gateway-api", wanted: 2, ready: 1 },
  gateways: [
    {
      ...{ gateway: "gw/edge", address: "192.0.2.7", state: "ready", controller: "example.com/controller" },
      listeners: { own: 2, others: 1, most: 64 },
      listenerSets: null,
      whyNoListenerSets: "the Gateway does not allow them",
      ports: { from: 32_768, to: 65_535, own: 2, others: 0 },
      ...{ room: 61, bound: "listeners" },
    },
  ],
  advice: [{ level: "warn", code: "gateway_plain_text", message: "far/tb speaks plain text", remedy: "gateway.tls" }],
};

let gate: TestGate;
beforeEach(async () => {
  gate = await startTestGate();
});
afterEach(() => gate[Symbol.asyncDispose]());

test("tells of each provider how it is reached, and what there is room for", async () => {
  expect((await gate.ask("/reaches")).json()).toEqual({ reaches: [] });
  const near: ReachReport = { ...FAR, provider: "edge", reach: "port-forward", gateways: [], advice: [] };
  gate.setReaches([FAR, near]);
  expect((await gate.ask("/reaches")).json()).toEqual({ reaches: [near, FAR] });
});

test("is for administrators", async () => {
  const token = await gate.tokenOf({ realm: "corp", name: "bob", groups: [], admin: false });
  expect((await gate.ask("/reaches", { token })).status).toBe(403);
});
