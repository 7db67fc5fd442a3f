import { beforeAll, describe, expect, test } from "vitest";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { ENVOY_GATEWAY_CLASS } from "../testbed/kubernetes/envoy-gateway.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { get, startWebServer } from "./support/cluster-web.ts";

const GATEWAY_API = "gateway.networking.k8s.io/v1";
const BACKEND = { name: "web", port: 80 };
/** Controllers act when they have heard of it. */
const SOON = { timeout: 60_000 };

/** Where routes hang: Gateway `name` of the namespace, at its listener. */
function parent(name: string, namespace: string, sectionName: string): object {
  return { name, namespace, sectionName };
}

function httpRoute(name: string, hostname: string, parentRef: object): object {
  return {
    ...{ apiVersion: GATEWAY_API, kind: "HTTPRoute", metadata: { name, namespace: "default" } },
    spec: { parentRefs: [parentRef], hostnames: [hostname], rules: [{ backendRefs: [BACKEND] }] },
  };
}

function tcpRoute(name: string, version: "v1" | "v1alpha2", parentRef: object): object {
  return {
    ...{
      apiVersion: `gateway.networking.k8s.io/${version}`,
      kind: "TCPRoute",
      metadata: { name, namespace: "default" },
    },
    spec: { parentRefs: [parentRef], rules: [{ backendRefs: [BACKEND] }] },
  };
}

function gateway(name: string, namespace: string, className: string): object {
  const allowedRoutes = { namespaces: { from: "All" } };
  return {
    ...{ apiVersion: GATEWAY_API, kind: "Gateway", metadata: { name, namespace } },
    spec: {
      gatewayClassName: className,
      listeners: [
        { name: "http", protocol: "HTTP", port: 80, allowedRoutes },
        { name: "det-26000", protocol: "TCP", port: 26000, allowedRoutes },
      ],
    },
  };
}

describe.skipIf(NO_OWN_CLUSTER !== null)("what the testbed puts on top of Kubernetes (Linux, as root)", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster("g", { with: ["dns", "envoy-gateway", "contour", "traefik"] });
    await startWebServer(cluster, "web", "hello");
  });

  test("Envoy Gateway serves an HTTPRoute and a TCPRoute by an Envoy of the Gateway's own", async () => {
    await cluster.apply([
      gateway("own", "default", ENVOY_GATEWAY_CLASS),
      httpRoute("eg-http", "eg.example", parent("own", "default", "http")),
      tcpRoute("eg-tcp", "v1", parent("own", "default", "det-26000")),
    ]);
    await cluster.kubectl(["wait", "--for=condition=Programmed", "gateway/own", "--timeout=90s"]);
    const address = await cluster.kubectl(["get", "gateway", "own", "-o", "jsonpath={.status.addresses[0].value}"]);
    await expect.poll(() => get(address, { host: "eg.example" }).catch(String), SOON).toBe("hello");
    await expect.poll(() => get(address, { port: 26000 }).catch(String), SOON).toBe("hello");
  });

  test("Contour serves its own HTTPProxy, an HTTPRoute and a TCPRoute, whose port is 8000 higher", async () => {
    await cluster.apply([
      gateway("contour", "projectcontour", "contour"),
      httpRoute("contour-http", "contour.example", parent("contour", "projectcontour", "http")),
      tcpRoute("contour-tcp", "v1alpha2", parent("contour", "projectcontour", "det-26000")),
      {
        ...{ apiVersion: "projectcontour.io/v1", kind: "HTTPProxy", metadata: { name: "proxy", namespace: "default" } },
        spec: { virtualhost: { fqdn: "proxy.example" }, routes: [{ services: [BACKEND] }] },
      },
    ]);
    const { nodeAddress } = cluster.plan;
    await expect.poll(() => get(nodeAddress, { host: "contour.example" }).catch(String), SOON).toBe("hello");
    await expect.poll(() => get(nodeAddress, { host: "proxy.example" }).catch(String), SOON).toBe("hello");
    const envoy = ["-n", "projectcontour", "get", "pod", "-l", "app=envoy", "-o", "jsonpath={.items[0].status.podIP}"];
    const address = await cluster.kubectl(envoy);
    await expect.poll(() => get(address, { port: 34000 }).catch(String), SOON).toBe("hello");
  });

  test("Traefik serves an Ingress and its own IngressRoute", async () => {
    const match = "Host(`route.example`)";
    const [port, path] = [{ number: 80 }, { path: "/", pathType: "Prefix" }];
    await cluster.apply([
      {
        ...{ apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "web", namespace: "default" } },
        spec: {
          ingressClassName: "traefik",
          rules: [
            { host: "ingress.example", http: { paths: [{ ...path, backend: { service: { name: "web", port } } }] } },
          ],
        },
      },
      {
        ...{ apiVersion: "traefik.io/v1alpha1", kind: "IngressRoute", metadata: { name: "web", namespace: "default" } },
        spec: { entryPoints: ["web"], routes: [{ kind: "Rule", match, services: [BACKEND] }] },
      },
    ]);
    const address = await cluster.kubectl([
      "-n",
      "traefik",
      "get",
      "service",
      "traefik",
      "-o",
      "jsonpath={.spec.clusterIP}",
    ]);
    await expect.poll(() => get(address, { host: "ingress.example" }).catch(String), SOON).toBe("hello");
    await expect.poll(() => get(address, { host: "route.example" }).catch(String), SOON).toBe("hello");
  });
});
