import { describe, expect, test } from "vitest";
import type { Gateway, ListenerSet, TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type { KubernetesService } from "../../platform/kubernetes/objects.ts";
import { plan } from "./plan.ts";
import { PortMemory } from "./ports.ts";
import { determinedUnit, gateway, PLACEHOLDER, podUnit } from "./testing/make-units.ts";
import { ModelCluster } from "./testing/model-cluster.ts";
import { ModelGate } from "./testing/model-gate.ts";
import type { Unit } from "./unit.ts";

function stand(...gateways: readonly Gateway[]): ModelGate {
  const cluster = new ModelCluster();
  for (const one of gateways.length === 0 ? [gateway()] : gateways) cluster.put("Gateway", one);
  return new ModelGate(cluster);
}

describe("what is made", () => {
  test("is for a port of Determined what its master would make, and our marks", () => {
    const gate = stand().want(determinedUnit("cmd-1"));
    const { held } = gate.settle();
    const { cluster } = gate;
    const live = cluster.gateways.get("gw/main");
    expect(live?.spec?.listeners?.[1]).toEqual({
      ...{ name: "det-61000", port: 61_000, protocol: "TCP", allowedRoutes: { namespaces: { from: "All" } } },
    });
    expect(live?.metadata.annotations).toEqual({
      "determined.ai/det-gateway-port-61000": "cmd-1",
      "taskgate.dev/port-61000": "abcdefghij-cluster/cmd-1/notebook/0",
      "taskgate.dev/fence-abcdefghij-cluster": "1",
    });
    const metadata = {
      name: "det-12345678-cmd-cmd-1-0",
      namespace: "team",
      labels: { determined: "cmd-1", "taskgate.dev/gate": "abcdefghij-cluster" },
      annotations: {
        "determined.ai/job-name": "det-12345678-cmd-cmd-1",
        "taskgate.dev/unit": "cmd-1/notebook/0",
      },
    };
    expect([...cluster.services.values()]).toMatchObject([
      {
        metadata,
        spec: { type: "ClusterIP", selector: { determined: "cmd-1" }, ports: [{ protocol: "TCP", port: 2900 }] },
      },
    ]);
    expect([...cluster.routes.values()]).toMatchObject([
      {
        metadata,
        spec: {
          parentRefs: [{ namespace: "gw", name: "main", port: 61_000, sectionName: "det-61000" }],
          rules: [{ backendRefs: [{ kind: "Service", name: "det-12345678-cmd-cmd-1-0", port: 2900 }] }],
        },
      },
    ]);
    expect(cluster.slices.size).toBe(0);
    expect(held.get("cmd-1/notebook/0")).toMatchObject({
      allotment: { port: 61_000, listenerSet: null, gateway: { address: "10.0.0.5" } },
      route: { metadata: { name: "det-12345678-cmd-cmd-1-0" } },
    });
  });

  test("is for a pod a Service that selects nothing, and a slice that names the pod", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    const [service] = gate.cluster.services.values();
    expect(service?.spec?.selector).toBeUndefined();
    expect([...gate.cluster.slices.values()]).toMatchObject([
      {
        metadata: { name: "taskgate-a", labels: { "kubernetes.io/service-name": "taskgate-a" } },
        addressType: "IPv4",
        ports: [{ name: "", port: 8000, protocol: "TCP" }],
        endpoints: [{ addresses: ["10.1.0.1"], targetRef: { kind: "Pod", name: "a-0", namespace: "team" } }],
      },
    ]);
  });

  test("takes one write of the Gateway for many ports, and two looks", () => {
    const gate = stand().want(...Array.from({ length: 40 }, (_, index) => podUnit(`t${String(index)}`)));
    const first = gate.look();
    expect(first.steps.filter(({ resource }) => resource.kind === "Gateway")).toHaveLength(1);
    expect(first.steps).toHaveLength(1 + 40 + 40);
    expect(gate.look().steps.map(({ resource }) => resource.kind)).toEqual(
      Array.from({ length: 40 }, () => "TCPRoute"),
    );
    expect(gate.plan().steps).toEqual([]);
  });
});

describe("what is found", () => {
  test("by a gate that starts is left as it is", () => {
    const gate = stand().want(podUnit("a"), determinedUnit("b"));
    const { held } = gate.settle();
    gate.restart();
    expect(gate.plan()).toMatchObject({ steps: [], held });
  });

  test("of a Gateway that was deleted and made again is made again with the same ports", () => {
    const gate = stand().want(podUnit("a"), podUnit("b"), podUnit("c"));
    gate.settle();
    gate.want(podUnit("b"), podUnit("c")).settle();
    const before = ports(gate);
    gate.cluster.remove("Gateway", "gw/main");
    expect(gate.settle()).toMatchObject({ held: new Map() });
    expect(gate.plan().refused.get("b/web/0")).toEqual({
      code: "gateway_missing",
      message: "Gateway gw/main is not there. Make it, or name another one in the config.",
    });
    gate.restart();
    gate.cluster.put("Gateway", gateway());
    gate.settle();
    expect(ports(gate)).toEqual(before);
    expect([...before.values()]).toEqual([61_001, 61_002]);
  });

  test("of annotations whose listeners somebody took away is the unit's again, or goes with the unit", () => {
    const gate = stand().want(podUnit("a"), podUnit("b"), podUnit("c"));
    gate.settle();
    const live = gate.cluster.gateways.get("gw/main");
    gate.cluster.put("Gateway", { ...live, spec: gateway().spec } as Gateway);
    for (const route of gate.cluster.routes.keys()) gate.cluster.remove("TCPRoute", route);
    gate.want(podUnit("b"), podUnit("c")).settle();
    expect(ports(gate)).toEqual(
      new Map([
        ["b/web/0", 61_001],
        ["c/web/0", 61_002],
      ]),
    );
    expect(Object.keys(gate.cluster.gateways.get("gw/main")?.metadata.annotations ?? {})).toEqual([
      "taskgate.dev/port-61001",
      "taskgate.dev/port-61002",
      "taskgate.dev/fence-abcdefghij-cluster",
    ]);
  });

  test("of others is passed over: listeners on a port, by our names, without annotation or by another gate's", () => {
    const theirs = [
      PLACEHOLDER,
      { name: "det-61000", port: 61_000, protocol: "TCP" },
      { name: "web", port: 61_001, protocol: "HTTP" },
      { name: "det-61002", port: 5000, protocol: "TCP" },
    ];
    const annotations = {
      "determined.ai/det-gateway-port-61000": "theirs",
      "taskgate.dev/port-61003": "zzzzzzzzzz-x/u",
    };
    const made = gateway("main", theirs);
    const gate = stand({ ...made, metadata: { ...made.metadata, annotations } }).want(determinedUnit("a"));
    gate.settle();
    expect(ports(gate)).toEqual(new Map([["a/notebook/0", 61_004]]));
    gate.want().settle();
    expect(gate.cluster.gateways.get("gw/main")).toMatchObject({
      metadata: { annotations },
      spec: { listeners: theirs },
    });
    expect(gate.cluster.gateways.get("gw/main")?.metadata.annotations).toEqual(annotations);
  });

  test("of an allotment twice is one: that which the route leads from", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    const live = gate.cluster.gateways.get("gw/main");
    const [placeholder, first] = live?.spec?.listeners ?? [];
    const second = { ...first, name: "det-60999", port: 60_999 };
    gate.settings = { ...gate.settings, ports: { from: 60_000, to: 62_000 } };
    gate.cluster.put("Gateway", {
      ...live,
      metadata: {
        ...live?.metadata,
        annotations: { ...live?.metadata.annotations, "taskgate.dev/port-60999": "abcdefghij-cluster/a/web/0" },
      },
      spec: { ...live?.spec, listeners: [placeholder, second, first] },
    } as Gateway);
    expect(gate.settle().held.get("a/web/0")?.allotment.port).toBe(61_000);
    expect(gate.cluster.gateways.get("gw/main")?.spec?.listeners?.map(({ port }) => port)).toEqual([1024, 61_000]);
  });

  test("on a Gateway that is not configured any more is removed there", () => {
    const gate = stand(gateway("main"), gateway("old"));
    const { gateways } = gate.settings;
    gate.settings = { ...gate.settings, gateways: [{ namespace: "gw", name: "old", address: "old.example" }] };
    gate.want(podUnit("a")).settle();
    gate.settings = { ...gate.settings, gateways };
    expect(gate.settle().held.get("a/web/0")?.allotment.gateway.name).toBe("main");
    expect(gate.cluster.gateways.get("gw/old")?.spec?.listeners).toEqual([PLACEHOLDER]);
    expect(gate.cluster.gateways.get("gw/old")?.metadata.annotations).toEqual({});
  });

  test("of units that are not known to be all is left, and new ones are made", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    gate.isWhole = false;
    gate.want(podUnit("b")).settle();
    expect(gate.cluster.services.size).toBe(2);
    gate.isWhole = true;
    gate.settle();
    expect([...gate.cluster.services.keys()]).toEqual(["team/taskgate-b"]);
  });

  test("waits where a Gateway is not known yet: it may have what units have", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    const { settings, units } = gate;
    const observed = { ...gate.cluster.observe(settings.mark), gateways: new Map() };
    const planned = plan({ settings, units, observed, isWhole: true, ports: new PortMemory() });
    expect(planned).toMatchObject({ steps: [], held: new Map(), refused: new Map() });
  });
});

describe("what somebody changed", () => {
  test("of ours is put right", () => {
    const gate = stand().want(podUnit("a"), determinedUnit("b"));
    const { held } = gate.settle();
    const { cluster } = gate;
    const before = [...cluster.all()].map(([key, { metadata }]) => [key, metadata.labels, metadata.annotations]);
    const service = cluster.services.get("team/det-12345678-cmd-b-0");
    cluster.put("Service", { ...service, spec: { ...service?.spec, selector: { app: "x" } } } as KubernetesService);
    const route = cluster.routes.get("team/taskgate-a");
    cluster.put("TCPRoute", {
      ...route,
      spec: { ...route?.spec, rules: [{ backendRefs: [{ name: "x", port: 1 }] }] },
    } as TcpRoute);
    cluster.remove("EndpointSlice", "team/taskgate-a");
    expect(gate.plan().held.get("a/web/0")?.route).toBeNull();
    const after = gate.settle();
    expect([...after.held].map(([id, { allotment }]) => [id, allotment])).toEqual(
      [...held].map(([id, { allotment }]) => [id, allotment]),
    );
    expect(cluster.services.get("team/det-12345678-cmd-b-0")?.spec?.selector).toEqual({ determined: "b" });
    expect(cluster.routes.get("team/taskgate-a")?.spec?.rules?.[0]?.backendRefs?.[0]).toMatchObject({
      name: "taskgate-a",
      port: 8000,
    });
    expect([...cluster.all()].map(([key, { metadata }]) => [key, metadata.labels, metadata.annotations])).toEqual(
      before,
    );
  });

  test("that makes a Service of one pod select others has it made anew: what was selected would stay", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    const service = gate.cluster.services.get("team/taskgate-a");
    gate.cluster.put("Service", {
      ...service,
      spec: { ...service?.spec, selector: { app: "x" } },
    } as KubernetesService);
    expect(gate.look().steps).toMatchObject([{ action: "remove", resource: { kind: "Service" } }]);
    gate.settle();
    expect(gate.cluster.services.get("team/taskgate-a")?.spec?.selector).toBeUndefined();
  });

  test("by taking the port between look and write is a conflict, and the next look takes another one", () => {
    const gate = stand().want(podUnit("a"));
    const [step] = gate.plan().steps;
    gate.cluster.put("Gateway", gateway("main", [PLACEHOLDER, { name: "mine", port: 61_000, protocol: "TCP" }]));
    expect(step && gate.cluster.apply(step, gate.settings.mark)).toBe("conflict");
    gate.settle();
    expect(ports(gate)).toEqual(new Map([["a/web/0", 61_001]]));
  });

  test("by making a Service of the same name first keeps his, and no route leads to it", () => {
    const gate = stand().want(podUnit("a"));
    const theirs = { metadata: { name: "taskgate-a", namespace: "team" }, spec: { selector: { app: "x" }, ports: [] } };
    gate.cluster.put("Service", theirs);
    const outcomes: string[] = [];
    gate.settle(8, (step, outcome) => outcomes.push(`${step.resource.kind} ${outcome}`));
    expect(outcomes).toContain("Service taken");
    const [backend] = [...gate.cluster.routes.values()][0]?.spec?.rules?.[0]?.backendRefs ?? [];
    expect(backend?.name).toMatch(/^taskgate-a-h[0-9a-z]{9}$/);
    gate.restart();
    expect(gate.plan().steps).toEqual([]);
    gate.want().settle();
    expect([...gate.cluster.services.keys()]).toEqual(["team/taskgate-a"]);
  });

  test("in the config as to ports moves units whose port is no longer meant, however full it is", () => {
    const gate = stand();
    gate.cluster.most = { gateway: 3, set: 64 };
    gate.settings = { ...gate.settings, listenerSets: "never" };
    gate.want(podUnit("a"), podUnit("b")).settle();
    gate.settings = { ...gate.settings, ports: { from: 40_000, to: 40_001 } };
    gate.settle();
    expect([...ports(gate).values()]).toEqual([40_000, 40_001]);
  });
});

describe("nothing leads anywhere else", () => {
  test("where a Service of ours was replaced by somebody's: no route is made until ours is there", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    gate.cluster.remove("Service", "team/taskgate-a");
    gate.cluster.remove("TCPRoute", "team/taskgate-a");
    const theirs: KubernetesService = { metadata: { name: "taskgate-a", namespace: "team" }, spec: { ports: [] } };
    gate.cluster.put("Service", theirs);
    expect(gate.look().steps.map(({ resource }) => resource.kind)).toEqual(["Service"]);
    expect(gate.settle().held.get("a/web/0")?.route?.spec?.rules?.[0]?.backendRefs?.[0]?.name).not.toBe("taskgate-a");
  });

  test("while it goes: the listener goes after the route, and so does the Service", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    gate.want();
    const kinds = (): readonly string[] => gate.look().steps.map(({ resource }) => resource.kind);
    expect(kinds()).toEqual(["TCPRoute"]);
    expect(kinds()).toEqual(["Gateway", "Service", "EndpointSlice"]);
    expect(kinds()).toEqual([]);
  });

  test("where a listener is somebody's by now: he has put one by another name in its place", () => {
    const gate = stand().want(determinedUnit("a"));
    gate.settle();
    const live = gate.cluster.gateways.get("gw/main");
    const listeners = [PLACEHOLDER, { name: "mine", port: 61_000, protocol: "TCP" }];
    const annotations = { ...live?.metadata.annotations, "determined.ai/det-gateway-port-61000": "mine" };
    gate.cluster.put("Gateway", {
      ...live,
      metadata: { ...live?.metadata, annotations },
      spec: { ...live?.spec, listeners },
    } as Gateway);
    gate.settle();
    expect(ports(gate)).toEqual(new Map([["a/notebook/0", 61_001]]));
    const { metadata, spec } = gate.cluster.gateways.get("gw/main") ?? gateway();
    expect(spec?.listeners?.slice(0, 2)).toEqual(listeners);
    expect(metadata.annotations).toMatchObject({
      "determined.ai/det-gateway-port-61000": "mine",
      "determined.ai/det-gateway-port-61001": "a",
    });
    expect(metadata.annotations).not.toHaveProperty("taskgate.dev/port-61000");
  });

  test("where two listen on one port: the Gateway's own has it, and what was in a ListenerSet moves", () => {
    const gate = stand();
    gate.settings = { ...gate.settings, listenerSets: "only" };
    gate.want(podUnit("a")).settle();
    const theirs = { name: "mine", port: 61_000, protocol: "TCP" };
    gate.cluster.put("Gateway", gateway("main", [PLACEHOLDER, theirs]));
    gate.settle();
    expect(ports(gate)).toEqual(new Map([["a/web/0", 61_001]]));
    expect(gate.cluster.gateways.get("gw/main")?.spec?.listeners).toEqual([PLACEHOLDER, theirs]);
  });

  test("where Contour has another listener in place of one: that moves, while whoever refuses all is not tried port by port", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    const conditions = [{ type: "Accepted", status: "False", reason: "PortUnavailable" }];
    const live = gate.cluster.gateways.get("gw/main") ?? gateway();
    gate.cluster.put("Gateway", { ...live, status: { listeners: [{ name: "det-61000", conditions }] } } as Gateway);
    expect(gate.plan().steps).toEqual([]);
    gate.cluster.controller = "projectcontour.io/gateway-controller";
    gate.settle();
    expect(ports(gate)).toEqual(new Map([["a/web/0", 53_000]]));
  });

  test("while a Gateway or a ListenerSet is going away: nothing is written there, and it counts for nothing", () => {
    const gate = stand();
    gate.cluster.most = { gateway: 2, set: 1 };
    gate.want(podUnit("a"), podUnit("b")).settle();
    const [set] = gate.cluster.listenerSets.values();
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    const going: ListenerSet = {
      ...set,
      metadata: { ...set?.metadata, name: set?.metadata.name ?? "", deletionTimestamp },
    };
    gate.cluster.put("ListenerSet", going);
    expect([...gate.plan().held.keys()]).toEqual(["a/web/0"]);
    const { held } = gate.settle();
    expect(held.get("b/web/0")?.allotment).toMatchObject({ port: 61_002 });
    expect(held.get("b/web/0")?.allotment.listenerSet).not.toBe(set?.metadata.name);
    const live = gate.cluster.gateways.get("gw/main") ?? gateway();
    gate.cluster.put("Gateway", { ...live, metadata: { ...live.metadata, deletionTimestamp } });
    expect(gate.plan()).toMatchObject({ held: new Map() });
    expect(gate.plan().steps.filter(({ resource }) => resource.kind === "Gateway")).toEqual([]);
  });
});

describe("who writes", () => {
  test("stops once a later lead has written", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    gate.settings = { ...gate.settings, fence: 3 };
    gate.want(podUnit("a"), podUnit("b")).settle();
    gate.settings = { ...gate.settings, fence: 2 };
    gate.want();
    expect(gate.plan()).toMatchObject({ isSuperseded: true, steps: [] });
  });

  test("leaves a Gateway its last listener, for nobody, and takes it away when there is another one", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    const live = gate.cluster.gateways.get("gw/main");
    const listeners = live?.spec?.listeners?.slice(1);
    gate.cluster.put("Gateway", { ...live, spec: { ...live?.spec, listeners } } as Gateway);
    gate.want().settle();
    const left = gate.cluster.gateways.get("gw/main");
    expect(left?.spec?.listeners).toHaveLength(1);
    expect(left?.metadata.annotations).toMatchObject({ "taskgate.dev/port-61000": "abcdefghij-cluster/" });
    gate.want(podUnit("b")).settle();
    expect(ports(gate)).toEqual(new Map([["b/web/0", 61_001]]));
    expect(gate.cluster.gateways.get("gw/main")?.spec?.listeners).toHaveLength(1);
  });

  test("leaves no trace once nothing is wanted", () => {
    const gate = stand().want(podUnit("a"), determinedUnit("b"));
    gate.settle();
    gate.want().settle();
    expect([...gate.cluster.all().keys()]).toEqual(["Gateway gw/main"]);
    expect(gate.cluster.gateways.get("gw/main")?.metadata.annotations).toEqual({});
  });

  test("does not give a port that was just given up to another unit, until a minute is over or nothing else is free", () => {
    const gate = stand();
    gate.settings = { ...gate.settings, ports: { from: 61_000, to: 61_002 } };
    gate.want(podUnit("a"), podUnit("b")).settle();
    gate.want(podUnit("b")).settle();
    gate.want(podUnit("b"), podUnit("c")).settle();
    expect(ports(gate).get("c/web/0")).toBe(61_002);
    gate.want(podUnit("b"), podUnit("c"), podUnit("d")).settle();
    expect(ports(gate).get("d/web/0")).toBe(61_000);
    gate.want(podUnit("d")).settle();
    gate.now += 60_000;
    gate.want(podUnit("d"), podUnit("e")).settle();
    expect(ports(gate).get("e/web/0")).toBe(61_001);
  });

  test("follows a pod that comes again under another address, and holds its route back until then", () => {
    const gate = stand().want(podUnit("a"));
    gate.settle();
    gate.want(podUnit("a", { backing: { by: "pod", pod: "a-0", ip: "10.1.0.77" } }));
    expect(gate.plan().held.get("a/web/0")?.route).toBeNull();
    expect(gate.look().steps).toMatchObject([{ action: "replace", resource: { kind: "EndpointSlice" } }]);
    expect(gate.plan().held.get("a/web/0")?.route).not.toBeNull();
  });
});

describe("past what a Gateway has room for", () => {
  const many = (count: number): Unit[] =>
    Array.from({ length: count }, (_, index) => podUnit(`t${String(index).padStart(3, "0")}`));

  test("come as many ListenerSets as are needed, each up to its own bound, and they go again", () => {
    const gate = stand().want(...many(150));
    gate.settle();
    expect([...gate.cluster.listenerSets.values()].map(({ spec }) => spec?.listeners?.length)).toEqual([64, 23]);
    const [set] = gate.cluster.listenerSets.values();
    expect(set).toMatchObject({
      metadata: { namespace: "gw", labels: { "taskgate.dev/gate": "abcdefghij-cluster" } },
      spec: { parentRef: { group: "gateway.networking.k8s.io", kind: "Gateway", namespace: "gw", name: "main" } },
    });
    const { allotment, route } = gate.plan().held.get("t100/web/0") ?? {};
    expect(allotment).toEqual({ gateway: gate.settings.gateways[0], port: 61_100, listenerSet: set?.metadata.name });
    expect(route?.spec?.parentRefs).toEqual([
      {
        ...{ group: "gateway.networking.k8s.io", kind: "ListenerSet", namespace: "gw", name: set?.metadata.name },
        ...{ sectionName: "det-61100", port: 61_100 },
      },
    ]);
    expect(new Set(ports(gate).values()).size).toBe(150);
    gate.restart();
    expect(gate.plan().steps).toEqual([]);
    gate.want().settle();
    expect([...gate.cluster.all().keys()]).toEqual(["Gateway gw/main"]);
  });

  test("comes the next Gateway, else a refusal that names what ran out and what to do", () => {
    const closed = { ...gateway().spec, allowedListeners: {} };
    const gate = stand({ ...gateway(), spec: closed }, gateway("spare"));
    gate.cluster.most = { gateway: 3, set: 64 };
    const [main] = gate.settings.gateways;
    gate.settings = {
      ...gate.settings,
      gateways: [main!, { namespace: "gw", name: "spare", address: "spare.example" }],
    };
    gate.want(...many(4)).settle();
    const names = [...gate.plan().held.values()].map(({ allotment }) => [
      allotment.gateway.name,
      allotment.listenerSet === null,
    ]);
    expect(names).toEqual([
      ["main", true],
      ["main", true],
      ["spare", true],
      ["spare", true],
    ]);
    gate.settings = { ...gate.settings, gateways: [main!] };
    const { refused, held } = gate.settle();
    expect(held.size).toBe(2);
    expect(refused.get("t003/web/0")).toEqual({
      code: "gateway_full",
      message:
        "There is no room for one more port: Gateway gw/main has all 3 listeners that it may have, 1 of them somebody else's, and ListenerSets are no way out: the Gateway's `allowedListeners` lets none attach (`namespaces: {from: Same}` would). Stop what is not needed, let ListenerSets attach, widen the range of ports, or name one more Gateway in the config.",
    });
  });

  test("of the range comes a refusal that says so", () => {
    const gate = stand();
    gate.settings = { ...gate.settings, ports: { from: 40_000, to: 40_001 } };
    const { refused } = gate.want(...many(3)).settle();
    expect([...refused]).toEqual([
      [
        "t002/web/0",
        {
          code: "gateway_full",
          message: expect.stringContaining("of Gateway gw/main no port of 40000-40001 is free") as string,
        },
      ],
    ]);
  });

  test("a controller's own ports and pairs are passed over", () => {
    const gate = stand();
    gate.cluster.controller = "projectcontour.io/gateway-controller";
    gate.settings = { ...gate.settings, ports: { from: 58_558, to: 58_560 } };
    gate.want(...many(1)).settle();
    gate.settings = { ...gate.settings, ports: { from: 58_558, to: 59_582 } };
    gate.cluster.most = { gateway: 2000, set: 64 };
    gate.want(...many(1100)).settle();
    const held = new Set(ports(gate).values());
    expect(held.has(59_581)).toBe(false);
    expect(held.size).toBe(1024);
    gate.cluster.controller = "gateway.envoyproxy.io/gatewayclass-controller";
    gate.settings = { ...gate.settings, ports: { from: 19_000, to: 19_004 } };
    gate.want(podUnit("a")).settle();
    expect(ports(gate)).toEqual(new Map([["a/web/0", 19_002]]));
  });
});

function ports(gate: ModelGate): ReadonlyMap<string, number> {
  return new Map([...gate.plan().held].map(([id, { allotment }]) => [id, allotment.port]));
}
