import { describe, expect, test } from "vitest";
import type { EndpointSlice, KubernetesService } from "../../platform/kubernetes/objects.ts";
import { tcpRoutes, type TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import {
  buildListener,
  buildRoute,
  buildService,
  buildSlice,
  isListenerAsWanted,
  isRouteAsWanted,
  isServiceAsWanted,
  isSliceAsWanted,
  mended,
} from "./objects.ts";
import { determinedUnit, podUnit } from "./testing/make-units.ts";

const of = { unit: podUnit("a"), mark: "abcdefghij-x", name: "taskgate-a" };
const selected = { unit: determinedUnit("b"), mark: "abcdefghij-x", name: "b-0" };
const routeOf = {
  ...{ ...of, service: "taskgate-a", resource: tcpRoutes("v1alpha2") },
  parent: { namespace: "gw", name: "main", sectionName: "det-40000", port: 40_000 },
};

describe("a listener", () => {
  test("of a tunnel ends TLS with the certificate", () => {
    const unit = podUnit("a", { tunnel: { certificate: "gate" } });
    const wanted = buildListener(unit, 40_000);
    expect(wanted).toMatchObject({
      ...{ name: "det-40000", port: 40_000, protocol: "TLS" },
      tls: { mode: "Terminate", certificateRefs: [{ name: "gate" }] },
    });
    const filled = {
      ...wanted,
      tls: { mode: "Terminate", certificateRefs: [{ group: "", kind: "Secret", name: "gate" }] },
    };
    expect(isListenerAsWanted(filled, wanted)).toBe(true);
    expect(isListenerAsWanted({ ...wanted, tls: { mode: "Passthrough" } }, wanted)).toBe(false);
    expect(isListenerAsWanted(wanted, buildListener(podUnit("a"), 40_000))).toBe(false);
  });

  test.each([
    { protocol: "HTTP" },
    { hostname: "x.example" },
    { allowedRoutes: { namespaces: { from: "Same" } } },
    { allowedRoutes: { namespaces: { from: "All" } } },
    { allowedRoutes: { namespaces: { from: "Selector", selector: {} } } },
    { allowedRoutes: { namespaces: { from: "All" }, kinds: [{ kind: "UDPRoute" }] } },
  ])("that somebody made %j is not as wanted", (edit) => {
    const wanted = buildListener(podUnit("a"), 40_000);
    expect(isListenerAsWanted({ ...wanted, ...edit }, wanted)).toBe(false);
  });
});

test("routes of the unit's own namespace attach to its listener, of Determined as its master has it", () => {
  expect(buildListener(podUnit("a"), 40_000).allowedRoutes).toEqual({
    namespaces: { from: "Selector", selector: { matchLabels: { "kubernetes.io/metadata.name": "team" } } },
  });
  expect(buildListener(determinedUnit("b"), 40_000).allowedRoutes).toEqual({ namespaces: { from: "All" } });
});

describe("a Service", () => {
  test("with what a server fills in is as wanted", () => {
    const { spec } = buildService(of);
    const filled = { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"], ipFamilies: ["IPv4"], sessionAffinity: "None" };
    expect(isServiceAsWanted({ ...buildService(of), spec: { ...spec, ...filled } }, of)).toBe(true);
  });

  test.each([
    [{ type: "NodePort" }],
    [{ ports: [] }],
    [{ ports: [{ port: 8001 }] }],
    [{ ports: [{ port: 8000, targetPort: 9 }] }],
    [{ ports: [{ port: 8000, name: "x" }] }],
    [{ ports: [{ port: 8000, protocol: "UDP" }] }],
  ])("that somebody made %j is put right, and keeps what is not ours", (edit) => {
    const wanted = buildService(of);
    const metadata = { ...wanted.metadata, labels: { ...wanted.metadata.labels, team: "x" }, resourceVersion: "7" };
    const spec: object = { ...wanted.spec, clusterIP: "10.96.0.1", ...edit };
    const live: KubernetesService = { ...wanted, metadata, spec };
    expect(isServiceAsWanted(live, of)).toBe(false);
    const right = mended(live, wanted);
    expect(isServiceAsWanted(right, of)).toBe(true);
    expect(right).toMatchObject({
      metadata: { resourceVersion: "7", labels: { team: "x" } },
      spec: { clusterIP: "10.96.0.1" },
    });
  });

  test("that selects where it should not, or the other way round, has to be made anew", () => {
    const live = buildService(of);
    expect(isServiceAsWanted({ ...live, spec: { ...live.spec, selector: { a: "b" } } }, of)).toBeNull();
    expect(
      isServiceAsWanted(buildService({ ...selected, unit: { ...selected.unit, backing: of.unit.backing } }), selected),
    ).toBeNull();
    const other = buildService(selected);
    expect(isServiceAsWanted({ ...other, spec: { ...other.spec, selector: { a: "b" } } }, selected)).toBe(false);
  });
});

test.each<[string, Partial<EndpointSlice>, boolean | null]>([
  ["nothing else", {}, true],
  ["another pod's address", { endpoints: [{ addresses: ["10.9.9.9"], targetRef: { name: "a-0" } }] }, false],
  ["a second address", { endpoints: [{ addresses: ["10.1.0.1"] }, { addresses: ["10.9.9.9"] }] }, false],
  [
    "not ready",
    { endpoints: [{ addresses: ["10.1.0.1"], targetRef: { name: "a-0" }, conditions: { ready: false } }] },
    false,
  ],
  ["another port", { ports: [{ name: "", port: 1 }] }, false],
  ["another kind of address", { addressType: "IPv6" }, null],
])("a slice with %s: as wanted %#", (_, edit, expected) => {
  expect(isSliceAsWanted({ ...buildSlice(of, "taskgate-a"), ...edit }, of, "taskgate-a")).toBe(expected);
});

test.each<[string, TcpRoute["spec"], boolean]>([
  ["nothing else", {}, true],
  [
    "what a server fills in",
    { parentRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", ...routeOf.parent }] },
    true,
  ],
  ["a further parent", { parentRefs: [routeOf.parent, { name: "x" }] }, false],
  ["another port", { parentRefs: [{ ...routeOf.parent, port: 1 }] }, false],
  ["another kind of parent", { parentRefs: [{ ...routeOf.parent, kind: "ListenerSet" }] }, false],
  ["a further rule", { rules: [{ backendRefs: [{ name: "taskgate-a", port: 8000 }] }, {}] }, false],
  ["a further backend", { rules: [{ backendRefs: [{ name: "taskgate-a", port: 8000 }, { name: "x" }] }] }, false],
  ["a backend elsewhere", { rules: [{ backendRefs: [{ name: "taskgate-a", port: 8000, namespace: "x" }] }] }, false],
  ["no weight", { rules: [{ backendRefs: [{ name: "taskgate-a", port: 8000, weight: 0 }] }] }, false],
])("a route with %s", (_, edit, expected) => {
  const wanted = buildRoute(routeOf);
  expect(wanted.apiVersion).toBe("gateway.networking.k8s.io/v1alpha2");
  expect(isRouteAsWanted({ ...wanted, spec: { ...wanted.spec, ...edit } }, routeOf)).toBe(expected);
});

test("an object without our labels and annotations any more is not as wanted", () => {
  const live = buildService(of);
  expect(isServiceAsWanted({ ...live, metadata: { ...live.metadata, annotations: {} } }, of)).toBe(false);
});
