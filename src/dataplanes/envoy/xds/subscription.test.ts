import { expect, test } from "vitest";
import type { AdsRequest } from "./read-request.ts";
import { Rejections } from "./rejections.ts";
import { ResourceStore } from "./resource-store.ts";
import { Subscription } from "./subscription.ts";
import { cluster, set } from "./testing/resources.ts";
import { TYPES } from "./testing/simulated-envoy.ts";

const COUNT = 20_000;
const nothing: AdsRequest = {
  ...{ node: undefined, typeUrl: TYPES.cluster, nonce: "", errorDetail: undefined },
  ...{ subscribe: [], unsubscribe: [], versions: new Map<string, string>() },
};

function start() {
  const store = new ResourceStore();
  store.apply(set(...Array.from({ length: COUNT }, (_, at) => cluster(`c${at}`))), 1, true);
  store.settled();
  const type = store.askedType(TYPES.cluster);
  const rejections = new Rejections(() => undefined);
  return { type, subscription: new Subscription(type, { store, rejections, fleet: "local", node: "e1" }) };
}

/** In how many parts it is taken. */
function hear(subscription: Subscription, request: Partial<AdsRequest>): number {
  const hearing = subscription.hear({ ...nothing, ...request });
  let parts = 1;
  while (hearing.next().done !== true) parts += 1;
  return parts;
}

test("whoever asks for all of 20,000, or has them, or names them, is heard by parts; an answer is one", () => {
  const cold = start();
  expect(hear(cold.subscription, {})).toBeGreaterThanOrEqual(9);
  expect(cold.subscription.oldest("set")).toBe(1);
  const part = cold.subscription.nextComing(1000) ?? expect.fail("there is nothing to send");
  cold.subscription.sent(part, "1", 0);
  expect(hear(cold.subscription, { nonce: "1" })).toBe(1);

  const { type, subscription } = start();
  const versions = new Map(
    [...type.idsFor("local")].map((id) => [type.nameOf(id), type.find(id, "local")?.version ?? ""]),
  );
  expect(hear(subscription, { versions })).toBeGreaterThanOrEqual(18);
  expect([subscription.oldest("set"), subscription.loaded]).toEqual([Infinity, true]);

  const named = start().subscription;
  expect(hear(named, { subscribe: [...versions.keys()] })).toBeGreaterThanOrEqual(9);
  expect(hear(named, { unsubscribe: [...versions.keys()] })).toBeGreaterThanOrEqual(9);
  expect(named.nextComing(1000)).toBeNull();
});
