import { expect, test } from "vitest";
import type { Gateway } from "../../platform/kubernetes/gateway-objects.ts";
import { reportCapacity } from "./capacity.ts";
import { PortMemory } from "./ports.ts";
import { gateway, PLACEHOLDER, podUnit } from "./testing/make-units.ts";
import { ModelCluster } from "./testing/model-cluster.ts";
import { ModelGate } from "./testing/model-gate.ts";

function report(gate: ModelGate): ReturnType<typeof reportCapacity> {
  const { settings, isWhole } = gate;
  const observed = gate.cluster.observe(settings.mark, ["gw/main"]);
  return reportCapacity({ settings, observed, isWhole, ports: new PortMemory() });
}

function stand(...gateways: readonly Gateway[]): ModelGate {
  const gate = new ModelGate(new ModelCluster());
  for (const one of gateways) gate.cluster.put("Gateway", one);
  return gate;
}

test("says what is held by whom, and that ports are what runs out where ListenerSets attach", () => {
  const gate = stand(gateway("main", [PLACEHOLDER, { name: "web", port: 40_000, protocol: "HTTP" }]));
  gate.settings = { ...gate.settings, ports: { from: 40_000, to: 40_099 } };
  gate.want(...Array.from({ length: 70 }, (_, index) => podUnit(`t${String(index)}`))).settle();
  expect(report(gate)).toEqual([
    {
      ...{ gateway: "gw/main", address: "10.0.0.5", state: "ready", controller: "example.com/gateway-controller" },
      listeners: { own: 62, others: 2, most: 64 },
      listenerSets: { sets: 1, own: 8, others: 0 },
      whyNoListenerSets: null,
      ports: { from: 40_000, to: 40_099, own: 70, others: 1 },
      room: 29,
      bound: "ports",
    },
  ]);
});

test("says why there are no ListenerSets, and that listeners are what runs out without them", () => {
  const closed = { ...gateway(), spec: { ...gateway().spec, allowedListeners: {} } };
  const [one] = report(stand(closed));
  expect(one).toMatchObject({ room: 63, bound: "listeners", listenerSets: null });
  expect(one?.whyNoListenerSets).toContain("allowedListeners");
});

test("says that the controller is the bound where it takes fewer ports than are free", () => {
  const gate = stand(gateway());
  gate.cluster.controller = "gateway.envoyproxy.io/gatewayclass-controller";
  gate.settings = { ...gate.settings, ports: { from: 19_000, to: 19_009 } };
  expect(report(gate)).toMatchObject([{ room: 7, bound: "controller" }]);
});

test("says that a Gateway is not there, or is refused", () => {
  expect(report(stand())).toMatchObject([{ state: "missing", room: 0 }]);
  const conditions = [{ type: "Accepted", status: "False", reason: "InvalidParameters" }];
  expect(report(stand({ ...gateway(), status: { conditions } }))).toMatchObject([{ state: "refused" }]);
});

test.each([
  ["All", {}, 1],
  ["None", {}, 0],
  ["Selector", { matchLabels: { a: "1" } }, 1],
  ["Selector", { matchLabels: { a: "2" } }, 0],
  ["Selector", { matchExpressions: [{ key: "a", operator: "In", values: ["1", "3"] }] }, 1],
  ["Selector", { matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] }, 0],
  ["Selector", { matchExpressions: [{ key: "b", operator: "Exists" }] }, 0],
  ["Selector", { matchExpressions: [{ key: "b", operator: "DoesNotExist" }] }, 1],
])("attaches ListenerSets as the Gateway allows: from %s %j", (from, selector, expected) => {
  const gate = stand({
    ...gateway(),
    spec: { ...gateway().spec, allowedListeners: { namespaces: { from, selector } } },
  });
  const { settings } = gate;
  const observed = { ...gate.cluster.observe(settings.mark), namespaces: new Map([["gw", { a: "1" }]]) };
  const [one] = reportCapacity({ settings, observed, isWhole: true, ports: new PortMemory() });
  expect(one?.listenerSets === null ? 0 : 1).toBe(expected);
});
