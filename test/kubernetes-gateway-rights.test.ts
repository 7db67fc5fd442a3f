import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Task } from "../src/model/index.ts";
import { GATEWAY_GROUP, listenerSets, tcpRoutes } from "../src/platform/kubernetes/gateway-objects.ts";
import type { NetworkPolicy } from "../src/platform/kubernetes/network-policy-objects.ts";
import { mayReach } from "../src/reach/gateway-api/testing/evaluate-policies.ts";
import { ScriptedController, statusWriter } from "../src/reach/gateway-api/testing/scripted-controller.ts";
import { podTask } from "../src/reach/gateway-api/testing/scripted-provider.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { installGatewayApi } from "../testbed/kubernetes/gateway-api.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { ROOT } from "./support/gate.ts";
import { change, clientOf, eventually, gatewayOf, startReach, whole, type TestReach } from "./support/gateway-stand.ts";
import { type Asked, type RecordingProxy, startRecordingProxy } from "./support/recording-proxy.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const MANIFEST = join(ROOT, "examples/kubernetes/gateway-reach.yaml");
const PLACE = "task-gateway";
const INSTALLATION = "rights0001";
const LABELS = { "gateway.networking.k8s.io/gateway-name": "tasks" };

/** A task that has pods of its own: a Job's. */
function jobTask(id: string, port: number, ip = "10.9.0.1"): Task {
  const task = podTask(id, "team", [{ pod: `${id}-0`, ip, port }]);
  const ref = { cluster: "far", kind: "Job", name: id, uid: "u", pods: { "job-name": [id] } };
  return {
    ...task,
    ref,
    services: task.services.map((each) => ({ ...each, protocol: "http" as const, guard: "gate" as const })),
  };
}

/** A real API server that decides by its own rules; a scripted controller; a gate that is the account of the example. */
describe.skipIf(NO_OWN_CLUSTER !== null)("rights of a gate outside of the cluster", () => {
  let cluster: Cluster;
  let proxy: RecordingProxy;
  let folder: string;
  let kubeconfig: string;
  const scope = new AsyncDisposableStack();

  beforeAll(async () => {
    cluster = scope.use(await ownCluster("u", { kind: "api" }));
    await installGatewayApi(cluster);
    for (const name of [PLACE, "team"]) await cluster.kubectl(["create", "namespace", name]);
    await cluster.applyFiles([MANIFEST]);
    await cluster.apply(proxyOfGateway());
    const client = scope.use(await clientOf(cluster.kubeconfig));
    const sets = listenerSets(GATEWAY_GROUP, "v1");
    scope.use(new ScriptedController({ client, routes: tcpRoutes("v1"), sets, writeStatus: statusWriter(client) }));
    const token = (await cluster.kubectl(["create", "token", "gate", "-n", "taskgate"])).trim();
    proxy = scope.use(await startRecordingProxy(cluster.kubeconfig, token));
    folder = mkdtempSync(join(tmpdir(), "taskgate-rights-"));
    scope.defer(() => rmSync(folder, { recursive: true, force: true }));
    kubeconfig = join(folder, "kubeconfig");
    const named = { name: "c" };
    const view = {
      clusters: [{ ...named, cluster: { server: proxy.url } }],
      contexts: [{ ...named, context: { cluster: "c" } }],
      "current-context": "c",
    };
    writeFileSync(kubeconfig, JSON.stringify(view));
  }, 180_000);
  afterAll(() => scope.disposeAsync());

  const start = (gateway: object, rights = kubeconfig): Promise<TestReach> =>
    startReach({
      ...{ kubeconfig: rights, installation: INSTALLATION },
      gateway: {
        gateways: [{ name: "tasks", namespace: PLACE, address: "127.0.0.1" }],
        ...{ networkPolicy: true, tls: "terminate", ...gateway },
      },
    });
  const own = (what: string) =>
    cluster.kubectl(["get", what, "-A", "-l", `taskgate.dev/gate=${INSTALLATION}-far`, "-o", "json"]);
  const items = async <T>(what: string): Promise<readonly T[]> =>
    (JSON.parse(await own(what)) as { readonly items: readonly T[] }).items;

  test("are enough for all that it does, and none is one too many", async () => {
    for (const sets of ["never", "only"] as const) {
      await using reach = await start({ listenerSets: sets });
      reach.say(whole(jobTask("one", 8080), jobTask("two", 8081)));
      await eventually(() => expect(reach.places).toHaveLength(2));
      await eventually(async () => expect(await items("networkpolicies")).toHaveLength(2));
      // Another pod at another port: what was made is changed.
      for (const made of MADE) proxy.conflictOnce("update", made);
      reach.say(change([jobTask("one", 9090, "10.9.0.2"), jobTask("three", 8082)]));
      await eventually(async () => expect(JSON.stringify(await items("networkpolicies"))).toContain('"port":9090'));
      await eventually(() => expect(reach.places).toHaveLength(3));
      const [certificate] = await items<{ readonly metadata: { readonly name: string } }>("secrets");
      expect(certificate?.metadata.name).toBe("taskgate-tunnel-far");
      await cluster.kubectl([
        "patch",
        "secret",
        "taskgate-tunnel-far",
        "-n",
        PLACE,
        "-p",
        '{"data":{"tls.crt":"bm9uZQ=="}}',
      ]);
      proxy.conflictOnce("delete", "listenersets");
      reach.say(whole());
      await eventually(async () =>
        expect(await items("services,endpointslices,tcproutes,networkpolicies")).toEqual([]),
      );
      expect(reach.problems).toEqual([]);
      expect(reach.reached.report?.().advice.filter(({ level }) => level !== "ok")).toEqual([]);
    }
    expect(proxy.asked.filter(({ status }) => status === 401 || status === 403)).toEqual([]);
    expect(unused(proxy.asked)).toEqual(OF_THE_PROVIDER);
  });

  test("a policy that is written lets in the Gateway's pods, and stays as it was written", async () => {
    await using reach = await start({ listenerSets: "never", tls: "off" });
    reach.say(whole(jobTask("one", 8080), podTask("bare", "team", [{ pod: "bare", ip: "10.9.0.9" }])));
    await eventually(async () => expect(await items("networkpolicies")).toHaveLength(1));
    const policies = await items<NetworkPolicy>("networkpolicies");
    const named = (namespace: string, labels: Readonly<Record<string, string>>) =>
      ({ namespace, labels, namespaceLabels: { "kubernetes.io/metadata.name": namespace } }) as const;
    const to = named("team", { "job-name": "one" });
    const may = (from: ReturnType<typeof named>, port: number) =>
      mayReach(policies, { from, to, protocol: "TCP", port });
    expect([may(named(PLACE, LABELS), 8080), may(named("team", {}), 8080), may(named("team", {}), 8081)]).toEqual([true, false, true]); // prettier-ignore
    const written = () =>
      proxy.asked.filter(({ verb, resource }) => verb === "update" && resource === "networkpolicies").length;
    const before = written();
    reach.say(change([jobTask("one", 8080)]));
    const codes = () =>
      reach.reached
        .report?.()
        .advice.filter(({ level }) => level === "warn")
        .map(({ code }) => code);
    await eventually(() => expect(codes()).toEqual(["gateway_plain_text", "task_unguarded"]));
    // Somebody closes the namespace: ours would open it.
    const deny = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "deny", namespace: "team" },
    };
    await cluster.apply([{ ...deny, spec: { podSelector: {}, policyTypes: ["Ingress"] } }]);
    await eventually(async () => expect(await items("networkpolicies")).toEqual([]));
    await cluster.kubectl(["delete", "networkpolicy", "deny", "-n", "team"]);
    await eventually(async () => expect(await items("networkpolicies")).toHaveLength(1));
    expect(written()).toBe(before);
    reach.say(whole());
    await eventually(async () => expect(await items("networkpolicies")).toEqual([]));
  });

  test("without those for policies and Secrets it says so, and what needs none of these is reached", async () => {
    const [tasks, gateway] = ["clusterrole/taskgate-tasks", "role/taskgate-gateway"];
    const without = async (role: string, resource: string): Promise<void> => {
      const shown = JSON.parse(await cluster.kubectl(["get", role, "-n", PLACE, "-o", "json"])) as { rules: Rule[] };
      await cluster.apply([{ ...shown, rules: shown.rules.filter(({ resources }) => !resources.includes(resource)) }]);
    };
    try {
      await without(tasks, "networkpolicies");
      await without(gateway, "secrets");
      await using reach = await start({ listenerSets: "never" });
      const shell = podTask("shell", "team", [{ pod: "shell", ip: "10.9.0.8" }]);
      reach.say(whole(shell, jobTask("one", 8080)));
      await eventually(() => expect(reach.places).toContainEqual(expect.stringContaining("shell 127.0.0.1")));
      const advice = () => reach.reached.report?.().advice ?? [];
      await eventually(() => expect(advice().map(({ code }) => code)).toEqual(expect.arrayContaining(["network_policy_refused", "gateway_certificate"]))); // prettier-ignore
      expect(advice().find(({ code }) => code === "gateway_certificate")?.remedy).toContain("taskgate-tunnel-far");
      reach.say(whole());
      await eventually(async () => expect(await items("services,tcproutes")).toEqual([]));
    } finally {
      await cluster.applyFiles([MANIFEST]);
    }
  });
});

/** What stands in for the pods of a Gateway's proxy, which no kubelet runs here. */
function proxyOfGateway(): readonly object[] {
  const metadata = { name: "envoy-tasks", namespace: PLACE };
  const gateway = gatewayOf("tasks", { allowedListeners: { namespaces: { from: "Same" } } }) as {
    readonly metadata: object;
  };
  return [
    { ...gateway, metadata: { ...gateway.metadata, namespace: PLACE } },
    {
      ...{ apiVersion: "gateway.networking.k8s.io/v1", kind: "GatewayClass", metadata: { name: "scripted" } },
      spec: { controllerName: "example.com/scripted" },
    },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: PLACE } },
    {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { ...metadata, labels: LABELS } },
      spec: { automountServiceAccountToken: false, containers: [{ name: "envoy", image: "example.com/envoy" }] },
    },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: LABELS, ports: [{ port: 1024 }] } },
  ];
}

/** Of which somebody else may write one meanwhile. */
const MADE = ["gateways", "services", "endpointslices", "tcproutes"];
/** What its provider alone asks for. */
const OF_THE_PROVIDER = ["list pods of taskgate-tasks", "watch pods of taskgate-tasks"];

/** Rights of the example that none of these needed. */
function unused(asked: readonly Asked[]): readonly string[] {
  const roles = parseAllDocuments(readFileSync(MANIFEST, "utf8")).flatMap((document) => {
    const object = document.toJS() as { metadata: { name: string; namespace?: string }; rules?: readonly Rule[] };
    return (object.rules ?? []).map((rule) => ({ rule, ...object.metadata }));
  });
  return roles.flatMap(({ rule, name, namespace }) =>
    rule.resources.flatMap((resource) =>
      rule.verbs.flatMap((verb) => {
        const isUsed = asked.some(
          (each) =>
            each.verb === verb &&
            each.resource === resource &&
            rule.apiGroups.includes(each.group) &&
            (namespace === undefined ? each.namespace !== PLACE : each.namespace === namespace) &&
            (rule.resourceNames === undefined || rule.resourceNames.includes(each.name ?? "")),
        );
        return isUsed ? [] : [`${verb} ${resource} of ${name}`];
      }),
    ),
  );
}
