import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock as clock } from "../../platform/clock.ts";
import { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { answer, FakeApiServer, refuse } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { discover, listenerBounds } from "./discover.ts";

const GROUP = "gateway.networking.k8s.io";
const { signal } = new AbortController();

describe("what a cluster serves of the Gateway API", () => {
  let scope: AsyncDisposableStack;
  let api: FakeApiServer;
  let client: KubernetesClient;
  beforeEach(async () => {
    scope = new AsyncDisposableStack();
    api = scope.use(await FakeApiServer.start());
    client = scope.use(new KubernetesClient({ cluster: api.cluster(), clock, bounds: { tries: 1 } }));
  });
  afterEach(() => scope.disposeAsync());

  function serve(versions: Readonly<Record<string, readonly string[]>>): void {
    api.intercept = ({ path }, response) => {
      const plurals = versions[path.replace("/apis/", "")];
      if (plurals === undefined) return false;
      answer(response, 200, { resources: plurals.map((name) => ({ name })) });
      return true;
    };
  }

  test("the newest TCPRoute, and ListenerSets of the standard channel before the others", async () => {
    serve({
      [`${GROUP}/v1`]: ["gateways", "tcproutes", "listenersets"],
      [`${GROUP}/v1alpha2`]: ["tcproutes"],
      "gateway.networking.x-k8s.io/v1alpha1": ["xlistenersets"],
    });
    expect(await discover(client, signal)).toMatchObject({
      served: {
        tcpRoutes: { apiVersion: `${GROUP}/v1`, kind: "TCPRoute" },
        listenerSets: { apiVersion: `${GROUP}/v1`, kind: "ListenerSet", plural: "listenersets" },
        gatewayListeners: { least: 1, most: 64 },
        setListeners: 64,
      },
    });
  });

  test("what older clusters have in place of these", async () => {
    serve({
      [`${GROUP}/v1`]: ["gateways"],
      [`${GROUP}/v1alpha2`]: ["tcproutes"],
      "gateway.networking.x-k8s.io/v1alpha1": ["xlistenersets"],
    });
    expect(await discover(client, signal)).toMatchObject({
      served: {
        tcpRoutes: { apiVersion: `${GROUP}/v1alpha2` },
        listenerSets: { apiVersion: "gateway.networking.x-k8s.io/v1alpha1", kind: "XListenerSet" },
      },
    });
  });

  test("that there are none", async () => {
    expect(await discover(client, signal)).toEqual({ missing: expect.stringContaining("Gateways") as string });
    serve({ [`${GROUP}/v1`]: ["gateways", "httproutes"] });
    expect(await discover(client, signal)).toEqual({ missing: expect.stringContaining("TCPRoutes") as string });
  });

  test("how many listeners its definitions allow, or what is usual where these may not be read", async () => {
    serve({ [`${GROUP}/v1`]: ["gateways", "tcproutes"] });
    const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    api.put(definitions, definition({ maxItems: 200 }));
    expect(await discover(client, signal)).toMatchObject({ served: { gatewayListeners: { least: 0, most: 200 } } });
    api.intercept = ({ path }, response) => {
      if (!path.startsWith(definitions)) return false;
      refuse(response, 403, "Forbidden");
      return true;
    };
    const served = api.intercept;
    serve({ [`${GROUP}/v1`]: ["gateways", "tcproutes"] });
    const versions = api.intercept;
    api.intercept = (request, response) => served(request, response) || versions(request, response);
    expect(await discover(client, signal)).toMatchObject({ served: { gatewayListeners: { least: 1, most: 64 } } });
  });

  test("bounds are those of the version that is used, and none where the definition has none", () => {
    expect(listenerBounds(definition({ minItems: 1, maxItems: 90 }), "v1")).toEqual({ least: 1, most: 90 });
    expect(listenerBounds(definition({}), "v1")).toEqual({ least: 0, most: Number.MAX_SAFE_INTEGER });
    expect(listenerBounds(definition({ maxItems: 90 }), "v2")).toEqual({ least: 1, most: 64 });
  });

  function definition(listeners: object) {
    const openAPIV3Schema = { properties: { spec: { properties: { listeners } } } };
    return {
      metadata: { name: `gateways.${GROUP}` },
      spec: {
        group: GROUP,
        versions: [{ name: "v1beta1" }, { name: "v1", served: true, schema: { openAPIV3Schema } }],
      },
    };
  }
});
