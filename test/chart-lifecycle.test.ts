import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { TASKGATE_IMAGE } from "../testbed/kubernetes/images.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { askAt, askOn, CHART, openAt, Release, valueOptions, type Values, type Visitor } from "./support/chart.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";

const NAMESPACE = "chart";
const TEAM = "chart-team";
const PORT = 7080;
const TEXT = { type: "string" };
const WAIT = { timeout: 40_000, interval: 100 };
const VALUES = {
  replicas: 1,
  "drain.preStopSeconds": 2,
  "drain.seconds": 20,
  // The machine of a test is small, and shared.
  "resources.requests": { cpu: "10m" },
};
const UPGRADED = { ...VALUES, replicas: 2, "config.log.level": "debug" };

/** What an installation may also be. */
const ALSO: Readonly<Record<string, Values>> = {
  "a balancer, with certificates by cert-manager": {
    domain: "apps.example.com",
    "service.type": "LoadBalancer",
    "service.externalTrafficPolicy": "Local",
    "service.loadBalancerClass": "example.com/internal",
    "service.loadBalancerSourceRanges": ["192.0.2.0/24"],
    "service.tcpPorts": "20000-20009",
    "service.annotations": { "example.com/a": "b" },
    "tls.certManager": { enabled: true, issuerRef: { name: "own" }, duration: "2160h", dnsNames: ["more.example.com"] },
  },
  "a node's port, one gate with a store of its own, and no rights": {
    replicas: 1,
    "service.type": "NodePort",
    "service.port": 30443,
    "tls.allowPlain": true,
    "config.store.type": "embedded",
    "config.providers": [],
    "serviceAccount.create": false,
    "rbac.create": false,
  },
  "all that a pod may have": {
    "image.digest": `sha256:${"0".repeat(64)}`,
    imagePullSecrets: [{ name: "regcred" }],
    podAnnotations: { "example.com/a": "b" },
    podLabels: { team: "platform" },
    annotations: { "example.com/c": "d" },
    nodeSelector: { "kubernetes.io/os": "linux" },
    affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
    tolerations: [{ key: "a", operator: "Exists" }],
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { a: "b" } },
      },
    ],
    priorityClassName: "system-cluster-critical",
    podSecurityContext: { runAsUser: 20001 },
    containerSecurityContext: { runAsGroup: 20001 },
    extraEnv: [{ name: "NODE_OPTIONS", value: "--max-old-space-size=512" }],
    extraEnvFrom: [{ secretRef: { name: "more", optional: true } }],
    extraVolumes: [{ name: "more", emptyDir: {} }],
    extraVolumeMounts: [{ name: "more", mountPath: "/more" }],
    extraInitContainers: [{ name: "first", image: "first:1" }],
    extraContainers: [{ name: "beside", image: "beside:1" }],
    readinessProbe: { periodSeconds: 5 },
    fullnameOverride: "taskgate",
    "service.ipFamilyPolicy": "SingleStack",
    "config.providers": [{ type: "kubernetes", namespaces: [NAMESPACE], owners: true, rightsFromNamespaces: true }],
  },
};

/** What cert-manager.io/v1 says of the fields that are used here: the API server refuses others. */
const CERTIFICATES = {
  ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
  metadata: { name: "certificates.cert-manager.io" },
  spec: {
    group: "cert-manager.io",
    names: { kind: "Certificate", listKind: "CertificateList", plural: "certificates", singular: "certificate" },
    scope: "Namespaced",
    versions: [
      {
        ...{ name: "v1", served: true, storage: true },
        schema: {
          openAPIV3Schema: object({
            spec: object(
              {
                secretName: TEXT,
                dnsNames: { type: "array", items: TEXT },
                issuerRef: object({ name: TEXT, kind: TEXT, group: TEXT }, ["name"]),
                duration: TEXT,
                renewBefore: TEXT,
                privateKey: object({ rotationPolicy: { type: "string", enum: ["Never", "Always"] } }),
              },
              ["secretName", "issuerRef"],
            ),
          }),
        },
      },
    ],
  },
};

/** One installation from the first to the last day, by real Helm: each test goes on where the one before it ended. */
describe.skipIf(NO_OWN_CLUSTER !== null)("taskgate in a cluster, by Helm", () => {
  let cluster: Cluster;
  let release: Release;
  /** All that was there before. */
  let before: readonly string[];
  let address: string;
  let token: string;

  beforeAll(async () => {
    // Its gates look at all namespaces, and write on what they find: other tests' pods are none of theirs.
    cluster = await ownCluster("k", { with: ["dns"] });
    release = new Release(cluster, { name: "taskgate", namespace: NAMESPACE });
    await cluster.apply([
      namespace(NAMESPACE, { "pod-security.kubernetes.io/enforce": "restricted" }),
      namespace(TEAM, {}),
    ]);
    await vi.waitFor(async () => expect(await objects()).toContain("serviceaccount/default"), WAIT);
    before = await objects();
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  /** What is in the namespace, but for what is told of it, and what is of this chart in the whole cluster. */
  async function objects(): Promise<readonly string[]> {
    const list = ["api-resources", "--verbs=list", "--output=name"];
    const kinds = (await cluster.kubectl([...list, "--namespaced=true"])).trim().split("\n");
    const inAll = (await cluster.kubectl([...list, "--namespaced=false"])).trim().split("\n");
    const told = /^(events|pods\.metrics|endpoints$)/;
    const named = ["--output=name", "--ignore-not-found"];
    const here = await release.kubectl("get", kinds.filter((kind) => !told.test(kind)).join(","), ...named);
    const label = "--selector=app.kubernetes.io/part-of=taskgate,app.kubernetes.io/instance=taskgate";
    const everywhere = await cluster.kubectl(["get", inAll.join(","), label, ...named]);
    return `${here}${everywhere}`.trim().split("\n").sort();
  }

  function visitor(isKnown = true): Visitor {
    return { address, port: PORT, token: isKnown ? token : undefined };
  }

  test.each(Object.entries(ALSO))("is what the API server takes: %s", async (_name, values) => {
    await cluster.apply([CERTIFICATES]);
    await cluster.kubectl(["wait", "--for=condition=Established", `crd/${CERTIFICATES.metadata.name}`]);
    const made = await release.helm("template", CHART, ...valueOptions(values));
    const said = await cluster.kubectl(
      ["apply", "--dry-run=server", "--validate=strict", "-n", NAMESPACE, "-f", "-"],
      made,
    );
    expect(said).toContain("deployment.apps/taskgate created (server dry run)");
    await cluster.kubectl(["delete", "crd", CERTIFICATES.metadata.name]);
  });

  test("is installed where only restricted pods may run, with its own tests passed", async () => {
    const said = await release.put("install", { ...VALUES, keepState: true });
    expect(said).toContain("kubectl exec deployment/taskgate --namespace chart -- taskgate open --print");
    expect(await release.cli("open", "--print")).toMatch(/^http:\/\/taskgate\.localhost:7080\/\.taskgate\/login#code=/);
    const log = await release.kubectl("logs", "deployment/taskgate");
    expect(log).not.toContain("code=");
    expect(log).not.toContain("warning");
    address = await release.address();
    token = await release.cli("token", "create", "test");
    await release.kubectl("create", "secret", "generic", "taskgate-test", `--from-literal=token=${token}`);
    expect(await release.helm("test", "--timeout=90s")).toContain("Succeeded");
    await release.kubectl("delete", "secret", "taskgate-test");
  });

  test("publishes a newcomer's pod that has one annotation, to who is logged in", async () => {
    await cluster.apply([pod()]);
    await cluster.kubectl(["annotate", "pod", "first", "taskgate.dev/enabled=true", "-n", TEAM]);
    await vi.waitFor(async () => expect(await askAt(visitor(), "first.localhost")).toEqual({ status: 200, body: "first" }), WAIT); // prettier-ignore
    expect(await askAt(visitor(false), "first.localhost")).toMatchObject({ status: 401 });
  });

  test("may do in the cluster what it needs, and no more", async () => {
    const subject = `--as=system:serviceaccount:${NAMESPACE}:taskgate`;
    const may = (verb: string, what: string, where: string): Promise<string> =>
      cluster.kubectl(["auth", "can-i", verb, what, "-n", where, subject]).then(
        () => "yes",
        () => "no",
      );
    const asked = [
      ["watch", "pods", TEAM, "yes"],
      ["patch", "pods", TEAM, "yes"],
      ["list", "services", TEAM, "yes"],
      ["get", "secrets", NAMESPACE, "yes"],
      ["update", "leases.coordination.k8s.io", NAMESPACE, "yes"],
      ["get", "secrets", TEAM, "no"],
      ["create", "pods", NAMESPACE, "no"],
      ["delete", "pods", TEAM, "no"],
      ["create", "pods/exec", TEAM, "no"],
      ["list", "namespaces", TEAM, "no"],
      ["list", "nodes", TEAM, "no"],
      ["list", "configmaps", NAMESPACE, "no"],
    ] as const;
    const found = await Promise.all(asked.map(async ([verb, what, where]) => [verb, what, where, await may(verb, what, where)])); // prettier-ignore
    expect(found).toEqual(asked);
  });

  test("is upgraded, from one gate to two, without a request lost or a stream cut", async () => {
    const stream = await openAt(visitor(), "first.localhost", "/stream");
    const asking = askOn(visitor(), "first.localhost");
    const [former] = await release.gates();
    await release.put("upgrade", { ...UPGRADED, keepState: true });
    await vi.waitFor(async () => expect(await release.gates()).not.toContain(former), WAIT);
    const counts = await asking.stop();
    expect(Object.keys(counts)).toEqual(["200"]);
    expect(counts["200"]).toBeGreaterThan(100);
    // What was open in the former gate goes on while it ends: its pod is there until then.
    await release.kubectl("get", "pod", former!);
    expect((await askAt(visitor(), "first.localhost", "/finish")).status).toBe(200);
    expect(await text(stream)).toBe("begun, finished");
    expect(await release.gates()).toHaveLength(2);
  });

  test("goes on as it is where an upgrade fails, says why, and is rolled back", async () => {
    const asking = askOn(visitor(), "first.localhost");
    const gates = await release.gates();
    const bad = { ...UPGRADED, keepState: true, "config.limits.trys": 5 };
    await expect(release.put("upgrade", bad, 6)).rejects.toThrow(/deadline|timed out/);
    const messages = "jsonpath={.items[*].status.containerStatuses[*]['state','lastState'].terminated.message}";
    await vi.waitFor(async () => {
      const said = await release.kubectl("get", "pods", "--output", messages);
      expect(said).toContain("limits.trys: unknown key");
    }, WAIT);
    expect(await release.gates()).toEqual(expect.arrayContaining([...gates]));
    await release.helm("rollback", "--wait", "--timeout=60s");
    expect(await release.gates()).toEqual(gates);
    expect(Object.keys(await asking.stop())).toEqual(["200"]);
  });

  test("keeps its state where it is to, and takes it up again, with TLS at 443; in the end it leaves nothing", async () => {
    await release.helm("uninstall", "--wait", "--timeout=60s");
    await vi.waitFor(async () => {
      const left = (await objects()).filter((name) => !before.includes(name));
      expect(left).toContain("configmap/taskgate-state");
      expect(left.filter((name) => !/^(secret|lease\.coordination\.k8s\.io|configmap)\/taskgate-/.test(name))).toEqual(
        [],
      );
    }, WAIT);
    const { certificate, key } = selfSigned(["*.apps.example.com"]);
    await release.kubectl("create", "secret", "generic", "taskgate-test", `--from-literal=token=${token}`);
    const pair = [`--from-literal=tls.crt=${certificate}`, `--from-literal=tls.key=${key}`];
    await release.kubectl("create", "secret", "generic", "apps", "--type=kubernetes.io/tls", ...pair);
    await release.put("install", { ...VALUES, domain: "apps.example.com", "tls.secretName": "apps" });
    expect(await release.cli("open", "--print")).toMatch(/^https:\/\/taskgate\.apps\.example\.com\/\.taskgate\/login#/);
    expect(await release.helm("test", "--timeout=90s")).toContain("Succeeded");
    await release.kubectl("delete", "secret", "taskgate-test", "apps");
    await release.helm("uninstall", "--wait", "--timeout=60s");
    await vi.waitFor(async () => expect(await objects()).toEqual(before), WAIT);
  });
});

function namespace(name: string, labels: Readonly<Record<string, string>>): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

/** `/stream` does not end until somebody asks for `/finish`. */
const SERVER = `
const open = new Set();
require("node:http").createServer((request, response) => {
  if (request.url === "/stream") return void open.add(response.on("close", () => open.delete(response)).writeHead(200) && response.write("begun, ") && response);
  if (request.url === "/finish") for (const stream of open) stream.end("finished");
  response.end("first");
}).listen(8080);
process.on("SIGTERM", () => process.exit());
`;

function pod(): object {
  const container = {
    ...{ name: "web", image: TASKGATE_IMAGE, imagePullPolicy: "Never", command: ["node", "-e", SERVER] },
    ports: [{ name: "web", containerPort: 8080 }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  };
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "first", namespace: TEAM } },
    spec: { terminationGracePeriodSeconds: 1, containers: [container] },
  };
}

function object(properties: object, required: readonly string[] = []): object {
  return { type: "object", properties, ...(required.length > 0 && { required }) };
}
