import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import type { Gateway, Listener, ListenerSet, TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type { KubernetesObject, KubernetesService } from "../../platform/kubernetes/objects.ts";
import { isMarked, readPortMarks } from "./marks.ts";
import type { Plan } from "./plan-input.ts";
import { determinedUnit, gateway, podUnit } from "./testing/make-units.ts";
import { ModelCluster } from "./testing/model-cluster.ts";
import { ModelGate } from "./testing/model-gate.ts";
import type { Unit } from "./unit.ts";

// Small enough that units run into each other, into others and into every bound.
const PORTS = { from: 32_768, to: 32_777 };
const POOL: readonly Unit[] = [
  ...["a", "b", "c", "d", "e"].map((task) => podUnit(task)),
  podUnit("v6", { backing: { by: "pod", pod: "v6-0", ip: "fd00::1" } }),
  podUnit("moved-a", { id: "a/web/0", objectName: "taskgate-a", backing: { by: "pod", pod: "a-1", ip: "10.1.0.2" } }),
  podUnit("tls", { tunnel: { certificate: "gate" } }),
  determinedUnit("one"),
  determinedUnit("one", { objectName: "det-one-ranks-0", backing: { by: "pod", pod: "one-x", ip: "10.1.0.3" } }),
  determinedUnit("two"),
];
const GATEWAYS = ["main", "spare"].map((name) => ({ namespace: "gw", name, address: `${name}.example` }));

type Act = (world: World) => void;

interface World {
  readonly cluster: ModelCluster;
  readonly gates: readonly ModelGate[];
}

const index = fc.nat(1000);
const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];
const port = fc.integer({ min: PORTS.from, max: PORTS.to });
const gatewayName = fc.constantFrom("main", "spare");

/** What gates do. */
const gateAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.nat(1), fc.subarray([...POOL])).map(want) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(1), fc.nat(6)).map(
      ([which, most]): Act =>
        ({ gates }) =>
          void gates[which]?.look(most),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(1).map(
      (which): Act =>
        ({ gates }) =>
          void gates[which]?.look(),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(1).map(
      (which): Act =>
        ({ gates }) =>
          gates[which]?.restart(),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(1), fc.boolean()).map(
      ([which, isWhole]): Act =>
        ({ gates }) =>
          void (gates[which]!.isWhole = isWhole),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.nat(1), fc.constantFrom("auto", "never", "only")).map(setting("listenerSets")) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.nat(1),
        port.map((from) => ({ from, to: PORTS.to })),
      )
      .map(setting("ports")),
  },
  { weight: 1, arbitrary: fc.tuple(fc.nat(1), fc.subarray(GATEWAYS, { minLength: 1 })).map(setting("gateways")) },
  {
    weight: 1,
    arbitrary: fc.nat(100_000).map((ms): Act => ({ gates }) => {
      for (const gate of gates) gate.now += ms;
    }),
  },
);

function want([which, units]: [number, readonly Unit[]]): Act {
  return ({ gates }) => void gates[which]?.want(...units);
}

function setting<K extends "listenerSets" | "ports" | "gateways">(key: K) {
  return ([which, value]: [number, ModelGate["settings"][K]]): Act =>
    ({ gates }) => {
      const gate = gates[which];
      if (gate !== undefined) gate.settings = { ...gate.settings, [key]: value };
    };
}

/** What people and other programs do to the same cluster, ours included. */
const strangerAct: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(gatewayName, port, fc.constantFrom("web", "det-32768", "det-32770"), fc.constantFrom("TCP", "HTTP")).map(
    ([name, number, listener, protocol]): Act =>
      ({ cluster }) =>
        editListeners(cluster, name, (list) => [...list, { name: listener, port: number, protocol }]),
  ),
  fc.tuple(gatewayName, index).map(
    ([name, at]): Act =>
      ({ cluster }) =>
        editListeners(cluster, name, (list) => list.filter((_, i) => i === 0 || i !== at % list.length)),
  ),
  fc.tuple(gatewayName, index).map(
    ([name, at]): Act =>
      ({ cluster }) =>
        editListeners(cluster, name, (list) =>
          list.map((one, i) => (i === at % list.length && i > 0 ? { ...one, protocol: "HTTP" } : one)),
        ),
  ),
  // Somebody applies the Gateway as it was written once: no listener and no annotation of ours is left.
  gatewayName.map(
    (name): Act =>
      ({ cluster }) =>
        cluster.put("Gateway", gateway(name)),
  ),
  gatewayName.map(
    (name): Act =>
      ({ cluster }) =>
        cluster.remove("Gateway", `gw/${name}`),
  ),
  gatewayName.map((name): Act => ({ cluster }) => {
    const live = cluster.gateways.get(`gw/${name}`);
    if (live !== undefined) cluster.put("Gateway", { ...live, metadata: { ...live.metadata, annotations: {} } });
  }),
  gatewayName.map((name): Act => ({ cluster }) => {
    const live = cluster.gateways.get(`gw/${name}`);
    if (live === undefined) return;
    const closed: Gateway = { ...live, spec: { ...live.spec, allowedListeners: {} } };
    cluster.put("Gateway", closed);
  }),
  fc
    .tuple(fc.constantFrom("Service", "TCPRoute", "EndpointSlice", "ListenerSet"), index)
    .map(([kind, at]): Act => ({ cluster }) => {
      const found = pick(
        [...cluster.all()].filter(([key]) => key.startsWith(`${kind} `)),
        at,
      );
      if (found !== undefined) cluster.remove(kind, found[0].slice(kind.length + 1));
    }),
  index.map((at): Act => ({ cluster }) => {
    const found = pick([...cluster.services.values()], at);
    if (found !== undefined)
      cluster.put("Service", { ...found, spec: { ...found.spec, selector: { app: "other" } } } as KubernetesService);
  }),
  fc.tuple(index, port).map(([at, number]): Act => ({ cluster }) => {
    const found = pick([...cluster.routes.values()], at);
    if (found === undefined) return;
    const parentRefs = (found.spec?.parentRefs ?? []).map((parent) => ({
      ...parent,
      port: number,
      sectionName: `det-${String(number)}`,
    }));
    cluster.put("TCPRoute", { ...found, spec: { ...found.spec, parentRefs } } as TcpRoute);
  }),
  fc
    .tuple(fc.constantFrom("Service", "TCPRoute", "EndpointSlice"), fc.constantFrom(...POOL))
    .map(([kind, unit]): Act => ({ cluster }) => {
      if (cluster.all().has(`${kind} ${unit.namespace}/${unit.objectName}`)) return;
      cluster.put(kind, theirs(unit));
    }),
  fc.tuple(port, gatewayName).map(
    ([number, name]): Act =>
      ({ cluster }) =>
        cluster.put("ListenerSet", {
          metadata: { name: "theirs", namespace: "gw" },
          spec: { parentRef: { name }, listeners: [{ name: "x", port: number, protocol: "TCP" }] },
        } as ListenerSet),
  ),
);

function theirs({ objectName, namespace }: Unit): KubernetesObject {
  return { metadata: { name: objectName, namespace } };
}

function editListeners(
  cluster: ModelCluster,
  name: string,
  edit: (list: readonly Listener[]) => readonly Listener[],
): void {
  const live = cluster.gateways.get(`gw/${name}`);
  if (live === undefined) return;
  try {
    cluster.put("Gateway", { ...live, spec: { ...live.spec, listeners: edit(live.spec?.listeners ?? []) } } as Gateway);
  } catch {
    // The API server refuses it: nothing has happened.
  }
}

const history = fc.array(fc.oneof({ weight: 3, arbitrary: gateAct }, { weight: 2, arbitrary: strangerAct }), {
  maxLength: 40,
});

function makeWorld(): World {
  const cluster = new ModelCluster();
  cluster.most = { gateway: 4, set: 2 };
  for (const { name } of GATEWAYS) cluster.put("Gateway", gateway(name));
  const gates = ["aaaaaaaaaa-one", "bbbbbbbbbb-two"].map(
    (mark) => new ModelGate(cluster, { mark, ports: PORTS, gateways: GATEWAYS }),
  );
  return { cluster, gates };
}

/** What others have, as far as this mark's gate may not touch it. */
function foreign(cluster: ModelCluster, mark: string): unknown {
  return [...cluster.all()].flatMap(([key, object]) => {
    const isHost = key.startsWith("Gateway ") || (key.startsWith("ListenerSet ") && isMarked(object, mark));
    if (!isHost) return isMarked(object, mark) ? [] : [[key, object]];
    const marks = readPortMarks(object, mark).own;
    const theirs = ((object as Gateway).spec?.listeners ?? []).filter(
      ({ port, name }) => !marks.has(port) || name !== `det-${String(port)}`,
    );
    const annotations = Object.entries(object.metadata.annotations ?? {}).filter(
      ([name, value]) => !value.startsWith(`${mark}/`) && !name.endsWith(mark) && !name.startsWith("determined.ai/"),
    );
    const isEmpty = isMarked(object, mark) && theirs.length === 0;
    return isEmpty ? [] : [[key, theirs, annotations, withoutListeners(object)]];
  });
}

function withoutListeners({ spec }: KubernetesObject & { readonly spec?: object }): object {
  return { ...spec, listeners: [] };
}

function checkHeld({ held, refused }: Plan): void {
  const places = [...held.values()].map(({ allotment }) => `${allotment.gateway.name} ${String(allotment.port)}`);
  expect(new Set(places).size).toBe(places.length);
  for (const id of refused.keys()) expect(held.has(id)).toBe(false);
}

test("whatever was done before, to ours and by others: nothing of others is touched, all is reached that there is room for, nothing is left", () => {
  fc.assert(
    fc.property(history, (acts) => {
      const world = makeWorld();
      const { cluster, gates } = world;
      for (const act of acts) act(world);
      for (const gate of gates) gate.isWhole = true;
      // Two gates that see the same take turns.
      let looks = 0;
      for (let idle = 0; idle < gates.length; looks++) {
        expect(looks).toBeLessThan(24);
        const gate = gates[looks % gates.length]!;
        const { mark } = gate.settings;
        const before = foreign(cluster, mark);
        const planned = gate.look();
        checkHeld(planned);
        if (!isDeepStrictEqual(foreign(cluster, mark), before)) expect(foreign(cluster, mark)).toEqual(before);
        idle = planned.steps.length === 0 ? idle + 1 : 0;
      }
      for (const gate of gates) checkEnd(gate);
    }),
    { numRuns: 500 },
  );
});

/** All that carries the mark is of a unit that is reached by it. */
function checkEnd(gate: ModelGate): void {
  const { cluster, units, settings } = gate;
  const { held, refused } = gate.plan();
  expect([...held.keys(), ...refused.keys()].sort()).toEqual([...units.keys()].sort());
  for (const { route } of held.values()) expect(route).not.toBeNull();
  const own = [...cluster.all()]
    .filter(([, object]) => isMarked(object, settings.mark))
    .map(([key]) => key.split(" ")[0]);
  const isMissing = [...refused.values()].some(({ code }) => code === "gateway_missing");
  if (isMissing) return;
  const pods = [...held.values()].filter(({ unit }) => unit.backing.by === "pod");
  expect(own.filter((kind) => kind === "Service")).toHaveLength(held.size);
  expect(own.filter((kind) => kind === "TCPRoute")).toHaveLength(held.size);
  expect(own.filter((kind) => kind === "EndpointSlice")).toHaveLength(pods.length);
  const marks = [...cluster.gateways.values(), ...cluster.listenerSets.values()].flatMap((object) => [
    ...readPortMarks(object, settings.mark).own.values(),
  ]);
  expect(marks.filter((id) => id !== "").sort()).toEqual([...held.keys()].sort());
}

/** No listener leads anywhere else than to the unit that it is marked for. */
function checkTargets({ cluster, settings }: ModelGate): void {
  for (const { metadata, spec } of cluster.routes.values()) {
    const [parent] = spec?.parentRefs ?? [];
    const host = parent?.kind === "ListenerSet" ? cluster.listenerSets : cluster.gateways;
    const at = host.get(`${parent?.namespace ?? ""}/${parent?.name ?? ""}`);
    if (at?.spec?.listeners?.some(({ port }) => port === parent?.port) !== true) continue;
    const unit = readPortMarks(at, settings.mark).own.get(parent?.port ?? 0);
    expect(metadata.annotations?.["taskgate.dev/unit"]).toBe(unit);
    const service = cluster.services.get(`team/${spec?.rules?.[0]?.backendRefs?.[0]?.name ?? ""}`);
    if (service !== undefined) expect(service.metadata.annotations?.["taskgate.dev/unit"]).toBe(unit);
  }
}

test("killed after any of its steps, a gate comes to the same end when it starts again", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(2, 4, 9),
      fc.subarray([...POOL]),
      fc.subarray([...POOL]),
      fc.array(fc.nat(8), { maxLength: 12 }),
      (width, before, after, stops) => {
        const { gates } = makeWorld();
        const gate = gates[0]!;
        gate.settings = { ...gate.settings, ports: { from: PORTS.from, to: PORTS.from + width } };
        gate.want(...before).settle();
        const kept = gate.plan().held;
        gate.want(...after);
        for (const most of stops) {
          gate.look(most, () => {
            checkTargets(gate);
          });
          gate.restart();
          checkHeld(gate.plan());
        }
        const { held } = gate.settle();
        checkEnd(gate);
        for (const [id, { allotment }] of kept)
          if (gate.units.has(id)) expect(held.get(id)?.allotment).toEqual(allotment);
      },
    ),
    { numRuns: 200 },
  );
});
