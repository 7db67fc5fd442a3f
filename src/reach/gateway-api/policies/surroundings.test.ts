import { describe, expect, test } from "vitest";
import type { KubernetesClient } from "../../../platform/kubernetes/client.ts";
import { KubernetesError } from "../../../platform/kubernetes/kubernetes-error.ts";
import type { KubernetesObject } from "../../../platform/kubernetes/objects.ts";
import { adviseOnPods, adviseOnUnguarded } from "./policy-advice.ts";
import { lookAround, type LookAt } from "./surroundings.ts";

const GATEWAY = { namespace: "edge", name: "tasks", address: "192.0.2.7" };
const AT: LookAt = { gateway: GATEWAY, controller: "example.com/c", pods: undefined };
const STANDARD = { "gateway.networking.k8s.io/gateway-name": "tasks" };
const OF_ENVOY = {
  "gateway.envoyproxy.io/owning-gateway-name": "tasks",
  "gateway.envoyproxy.io/owning-gateway-namespace": "edge",
};

/** Lists as an API server does; of a namespace that is `closed` it says that nobody may. */
function clientOf(
  objects: Readonly<Record<string, readonly KubernetesObject[]>>,
  closed = "",
): Pick<KubernetesClient, "list"> {
  const has = ({ metadata }: KubernetesObject, selector = ""): boolean =>
    selector === "" ||
    selector.split(",").every((pair) => metadata.labels?.[pair.slice(0, pair.indexOf("="))] === pair.slice(pair.indexOf("=") + 1)); // prettier-ignore
  const list = async function* (resource: { plural: string }, scope: { namespace?: string; labelSelector?: string }) {
    await Promise.resolve();
    if (scope.namespace === closed)
      throw new KubernetesError({ asked: "", status: 403, reason: "Forbidden", message: "cannot list resource pods" });
    const items = (objects[`${resource.plural} ${scope.namespace ?? ""}`] ?? []).filter((each) => has(each, scope.labelSelector)); // prettier-ignore
    yield { items, resourceVersion: "1" };
  };
  return { list: list as unknown as KubernetesClient["list"] };
}

const pod = (labels: Readonly<Record<string, string>>, spec: object = {}) => ({
  metadata: { name: "p", labels },
  spec,
});
const { signal } = new AbortController();

describe("pods of a Gateway", () => {
  test("are found by what the Gateway API says, with the Services that lead to them", async () => {
    const leads = { metadata: { name: "envoy" }, spec: { selector: STANDARD } };
    const services = [leads, { metadata: { name: "other" }, spec: { selector: { app: "x" } } }, { metadata: { name: "none" } }]; // prettier-ignore
    const client = clientOf({ "pods edge": [pod({ ...STANDARD, app: "envoy" })], "services edge": services });
    const around = await lookAround(client, AT, signal);
    expect(around).toEqual({
      pods: { namespace: "edge", labels: STANDARD },
      ...{ isOnHostNetwork: false, services: [leads], unread: null },
    });
    expect(adviseOnPods(GATEWAY, around)).toEqual([]);
  });

  test("of Envoy Gateway are in its own namespace, or beside their Gateway", async () => {
    const at = { ...AT, controller: "gateway.envoyproxy.io/gatewayclass-controller" };
    for (const namespace of ["envoy-gateway-system", "edge"]) {
      const { pods } = await lookAround(clientOf({ [`pods ${namespace}`]: [pod(OF_ENVOY)] }), at, signal);
      expect(pods).toEqual({ namespace, labels: OF_ENVOY });
    }
    // Who calls his pods a Gateway's elsewhere is not believed.
    const { pods } = await lookAround(clientOf({ "pods team": [pod(OF_ENVOY)] }), at, signal);
    expect(pods).toBeNull();
  });

  test("are those that are configured, found or not", async () => {
    const pods = { namespace: "traefik", labels: { app: "traefik" } };
    expect((await lookAround(clientOf({}), { ...AT, pods }, signal)).pods).toEqual(pods);
  });

  test("that have their nodes' addresses, or may not be seen, are no pods for a policy", async () => {
    const onHost = await lookAround(clientOf({ "pods edge": [pod(STANDARD, { hostNetwork: true })] }), AT, signal);
    expect(adviseOnPods(GATEWAY, onHost)[0]?.message).toContain("have their nodes' addresses");
    const unread = await lookAround(clientOf({}, "edge"), AT, signal);
    expect(unread).toMatchObject({ pods: null, services: null, unread: "pods of namespace edge" });
    expect(adviseOnPods(GATEWAY, unread)).toMatchObject([
      {
        code: "gateway_pods_unknown",
        message: expect.stringContaining("without the right to list pods of namespace edge") as string,
        remedy: expect.stringContaining("pods: {namespace: NAMESPACE, labels: {LABEL: VALUE}}") as string,
      },
    ]);
  });
});

test("tasks without a policy are named by why they have none", () => {
  const many = Array.from({ length: 11 }, (_, at) => [`t${String(at)}`, "selector"] as const);
  const advice = adviseOnUnguarded(new Map([...many, ["nb", "policies"]]), new Map([["nb", "notebook"]]));
  expect(advice.map(({ level, code, message }) => `${level} ${code} ${/.*: (.*)$/.exec(message)?.[1] ?? ""}`)).toEqual([
    "warn task_unguarded t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, and 1 more",
    "ok task_policies_of_others notebook",
  ]);
  expect(adviseOnUnguarded(new Map(), new Map())).toEqual([]);
});
