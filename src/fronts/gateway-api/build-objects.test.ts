import { describe, expect, test } from "vitest";
import { FrontConfig } from "../../config/front-config.ts";
import { buildObjects, type BuildInput } from "./build-objects.ts";

const CONFIG = {
  type: "gateway-api",
  gateway: { name: "visitors", namespace: "ingress" },
  listeners: { https: "https", http: "http", grpc: "grpc", tls: "tls" },
  service: { name: "taskgate", namespace: "gates", port: 80 },
};
const OWNER = { apiVersion: "v1", kind: "Service", name: "taskgate", uid: "1" };

function build(more: object = {}, input: Partial<BuildInput> = {}) {
  const config = FrontConfig.parse({ ...CONFIG, ...more });
  return buildObjects({
    config,
    site: { domain: "example.com", gateHost: "taskgate.example.com", pathHost: "paths.elsewhere.net" },
    wanted: {
      hosts: new Map([
        ["nb.example.com", "a/nb/web"],
        ["paths.elsewhere.net", "a/nb/web"],
        ["12345678.cluster.net", "a/op/web"],
      ]),
      serverNames: new Map([
        ["db.tls.example.com", "a/db/sql"],
        ["daskgateway-x.net", "a/x/scheduler"],
      ]),
      ports: new Map([
        [20_000, "a/e/raw"],
        [20_100, "a/f/raw"],
      ]),
      isWhole: true,
    },
    mark: "abcdefghij-front",
    owner: null,
    portListeners: new Map([[20_000, "taskgate-20000"]]),
    ...input,
  });
}

const specOf = (object: object): unknown => (object as { readonly spec?: unknown }).spec;

describe("routes of a front", () => {
  test("lead the gate's own names by one each, and names elsewhere by their own", () => {
    const built = build();
    expect(built.map(({ plural, service, what }) => [plural, service, what])).toEqual([
      ["httproutes", null, "*.example.com, paths.elsewhere.net"],
      ["httproutes", "a/op/web", "12345678.cluster.net"],
      ["grpcroutes", null, "*.example.com, paths.elsewhere.net"],
      ["grpcroutes", "a/op/web", "12345678.cluster.net"],
      ["tlsroutes", null, "*.tls.example.com"],
      ["tlsroutes", "a/x/scheduler", "daskgateway-x.net"],
    ]);
    const names = built.map(({ object }) => object.metadata.name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("are as the API server has them, so that they are held against what is read", () => {
    const [first] = build({}, { owner: OWNER });
    expect(first?.object).toEqual({
      metadata: {
        name: "taskgate-abcdefghij-front-http",
        namespace: "gates",
        labels: { "taskgate.dev/gate": "abcdefghij-front", "app.kubernetes.io/managed-by": "taskgate" },
        ownerReferences: [OWNER],
      },
      spec: {
        parentRefs: ["https", "http"].map((sectionName) => ({
          ...{ group: "gateway.networking.k8s.io", kind: "Gateway", namespace: "ingress", name: "visitors" },
          sectionName,
        })),
        hostnames: ["*.example.com", "paths.elsewhere.net"],
        rules: [
          {
            matches: [{ path: { type: "PathPrefix", value: "/" } }],
            timeouts: { request: "0s" },
            backendRefs: [{ group: "", kind: "Service", name: "taskgate", namespace: "gates", port: 80, weight: 1 }],
          },
        ],
      },
    });
  });

  test("lead raw ports by listeners that are there, and by no others", () => {
    const built = build({ tcp: "listeners", listeners: { https: "https" } }).filter(
      ({ plural }) => plural === "tcproutes",
    );
    expect(built.map(({ service, what }) => [service, what])).toEqual([["a/e/raw", "port 20000"]]);
    expect(specOf(built[0]?.object ?? {})).toMatchObject({
      parentRefs: [{ kind: "Gateway", sectionName: "taskgate-20000" }],
      rules: [{ backendRefs: [{ port: 20_000 }] }],
    });
  });

  test("lead raw ports by ListenerSets, a set to a block of numbers", () => {
    const built = build({ tcp: "listenerSets" });
    const sets = built.filter(({ plural }) => plural === "listenersets").map(({ object }) => object);
    expect(sets.map(({ metadata }) => metadata.name)).toEqual([
      "taskgate-abcdefghij-front-tcp-set-312",
      "taskgate-abcdefghij-front-tcp-set-314",
    ]);
    const routes = built.filter(({ plural }) => plural === "tcproutes").map(({ object }) => specOf(object));
    expect(routes).toMatchObject([
      { parentRefs: [{ kind: "ListenerSet", name: sets[0]?.metadata.name, sectionName: "taskgate-20000" }] },
      { parentRefs: [{ kind: "ListenerSet", name: sets[1]?.metadata.name, sectionName: "taskgate-20100" }] },
    ]);
  });

  test("are let lead to a Service elsewhere, and are then nobody's", () => {
    const built = build({ namespace: "routes" });
    expect(built.slice(0, -1).every(({ object }) => object.metadata.namespace === "routes")).toBe(true);
    expect(built.at(-1)?.object).toMatchObject({
      metadata: { namespace: "gates" },
      spec: {
        from: ["HTTPRoute", "GRPCRoute", "TLSRoute"].map((kind) => ({ kind, namespace: "routes" })),
        to: [{ group: "", kind: "Service", name: "taskgate" }],
      },
    });
  });
});

test.each([
  [{ listeners: { grpc: "grpc" } }, "listeners.https"],
  [{ tcp: "always" }, "tcp"],
  [{ service: { name: "taskgate", namespace: "gates", port: 0 } }, "service.port"],
  [{ type: "traefik" }, "type"],
])("%j is no configuration of a front", (more, key) => {
  const { error } = FrontConfig.safeParse({ ...CONFIG, ...more });
  expect(error?.issues.map(({ path }) => path.join("."))).toContain(key);
});
