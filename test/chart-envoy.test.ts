import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { EnvoysView } from "../src/api/wire-envoys.ts";
import { METRICS } from "../src/app/metric-table.ts";
import { makeAuthority } from "../src/dataplanes/testing/make-authority.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { TASKGATE_IMAGE } from "../testbed/kubernetes/images.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { WAIT } from "./support/cluster-gate.ts";
import { enter, openSocket } from "./support/enter.ts";
import { ROOT } from "./support/gate.ts";
import { InstalledGate } from "./support/installed-gate.ts";

const CHART = join(ROOT, "charts/taskgate");
const NAMESPACE = "chart-envoy";
const IMAGES = ["image", "envoy.image"].flatMap((key) => [
  ...["--set", `${key}.repository=testbed.local/${key === "image" ? "taskgate" : "envoy"}`],
  ...["--set-string", `${key}.tag=1`, "--set", `${key}.pullPolicy=Never`],
]);
const PROVIDER = `{"providers":[{"type":"kubernetes","name":"kubernetes","namespaces":["${NAMESPACE}"]}]}`;
const VALUES = [
  ...["--namespace", NAMESPACE, "--set", "dataPlane=envoy", ...IMAGES, "--set-json", `config=${PROVIDER}`],
  ...["--set", "envoy.replicas=1,envoy.threads=1,drain.preStopSeconds=2,drain.seconds=20"],
];
const EVERYTHING = [
  ...["--set", "networkPolicy.enabled=true,metrics.serviceMonitor.enabled=true,metrics.dashboard.enabled=true"],
  ...["--set", "metrics.rules.enabled=true,service.tcpPorts=20000-20003"],
];
const VISITORS = 7080;

/** The chart with Envoys that take the visitors, in a namespace that lets no pod do more than it must. */
describe.skipIf(NO_OWN_CLUSTER !== null)("Envoys in a cluster", () => {
  let cluster: Cluster;
  let gate: InstalledGate;
  const inNamespace = (...args: readonly string[]): Promise<string> => cluster.kubectl(["-n", NAMESPACE, ...args]);
  const valuesOf = async (kind: string, component: string, path: string): Promise<readonly string[]> => {
    const chosen = ["-l", `app.kubernetes.io/component=${component}`, "--field-selector=status.phase=Running"];
    const said = await inNamespace("get", kind, ...chosen, "-o", `jsonpath={range .items[*]}{${path}}{"\\n"}{end}`);
    return said.split("\n").filter((line) => line !== "");
  };
  const inGate = (pod: string, ...words: readonly string[]): Promise<string> =>
    inNamespace("exec", pod, "-c", "gate", "--", "taskgate", ...words);
  /** By pod: a gate knows those that are connected to it. */
  const connected = async (): Promise<readonly string[]> => {
    const told = await Promise.all(
      (await valuesOf("pods", "gate", ".metadata.name")).map(async (pod) => {
        const { envoys } = JSON.parse(await inGate(pod, "envoy", "status", "--json")) as EnvoysView;
        return envoys.filter(({ since }) => since !== null).map(({ id }) => id);
      }),
    );
    return told.flat().sort();
  };

  beforeAll(async () => {
    cluster = await ownCluster("", { with: ["dns", "envoy", "prometheus-definitions"] });
    const job = readFileSync(join(ROOT, "test/support/endless.mjs"), "utf8");
    const metadata = { name: "job", namespace: NAMESPACE };
    const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels: restricted } },
      { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "endless.mjs": job } },
      jobPod(),
    ]);
    await cluster.helm(["install", "tg", CHART, ...VALUES, "--wait", "--timeout", "90s"]);
    const [pod = ""] = await valuesOf("pods", "gate", ".metadata.name");
    const { token } = JSON.parse(await inGate(pod, "token", "create", "test", "--json")) as { readonly token: string };
    gate = new InstalledGate(
      await inNamespace("get", "service", "tg-taskgate", "-o", "jsonpath={.spec.clusterIP}"),
      VISITORS,
      token,
    );
  });
  afterAll(async () => {
    await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
    await inNamespace("delete", "pods", "--all", "--force", "--grace-period=0");
  });

  test("a pod with one annotation is reached through an Envoy by who logged in, and by nobody else", async () => {
    await vi.waitFor(async () => expect((await gate.ask("job.localhost", "/who")).body).toBe("job"), WAIT);
    expect((await gate.ask("job.localhost", "/who", { anonymous: true })).status).toBe(401);
    const cookie = await enter(gate, "job.localhost");
    const asked = await gate.ask("job.localhost", "/who", { anonymous: true, headers: { cookie } });
    expect([asked.status, asked.body]).toEqual([200, "job"]);
    (await openSocket(gate, "job.localhost", cookie))[Symbol.dispose]();
    expect((await gate.ask("taskgate.localhost", "/")).status, "the gate's own page").toBe(302);
    expect(await connected()).toEqual(await valuesOf("pods", "envoy", ".metadata.name"));
  });

  test("Envoys scale apart from the gates, and each has everything", async () => {
    const gates = await valuesOf("pods", "gate", ".metadata.name");
    await inNamespace("scale", "deployment/tg-taskgate-envoy", "--replicas=3");
    await inNamespace("rollout", "status", "deployment/tg-taskgate-envoy", "--timeout=60s");
    const addresses = await valuesOf("pods", "envoy", ".status.podIP");
    expect(addresses).toHaveLength(3);
    for (const address of addresses) {
      const one = new InstalledGate(address, VISITORS, gate.token());
      expect((await one.ask("job.localhost", "/who")).body).toBe("job");
    }
    expect(await connected()).toEqual([...(await valuesOf("pods", "envoy", ".metadata.name"))].sort());
    expect(await valuesOf("pods", "gate", ".metadata.name")).toEqual(gates);
  });

  test("gates are replaced one after the other: what is open goes on, and every request passes", async () => {
    const cookie = await enter(gate, "job.localhost");
    using socket = await openSocket(gate, "job.localhost", cookie);
    let isOver = false;
    void socket.ended.then(() => (isOver = true));
    const done = new AbortController();
    const answers = [{ anonymous: true, headers: { cookie } }, {}].map(async (how) => {
      const said = new Map<string, number>();
      while (!done.signal.aborted) {
        const { status } = await gate
          .ask("job.localhost", "/who", how)
          .catch((error: unknown) => ({ status: String(error) }));
        said.set(String(status), (said.get(String(status)) ?? 0) + 1);
        await sleep(20);
      }
      return said;
    });
    const before = await valuesOf("pods", "gate", ".metadata.name");
    await inNamespace("rollout", "restart", "deployment/tg-taskgate");
    await inNamespace("rollout", "status", "deployment/tg-taskgate", "--timeout=90s");
    await vi.waitFor(async () => expect(await connected()).toHaveLength(3), WAIT);
    done.abort();
    const [bySession, byToken] = await Promise.all(answers);
    expect(await valuesOf("pods", "gate", ".metadata.name")).not.toEqual(before);
    expect([...bySession!.keys(), ...byToken!.keys()], JSON.stringify([...bySession!, ...byToken!])).toEqual([
      "200",
      "200",
    ]);
    expect(bySession!.get("200")).toBeGreaterThan(50);
    expect(isOver).toBe(false);
  });

  test("an Envoy that is to end takes nobody new, and waits for who it has", async () => {
    const [name = ""] = await valuesOf("pods", "envoy", ".metadata.name");
    const [address = ""] = await valuesOf("pods", "envoy", ".status.podIP");
    const one = new InstalledGate(address, VISITORS, gate.token());
    const cookie = await enter(one, "job.localhost");
    const open = connect(VISITORS, address);
    open.on("error", () => undefined);
    await once(open, "connect");
    const fields = `Host: job.localhost:${String(VISITORS)}\r\nCookie: ${cookie}`;
    open.write(`GET /endless HTTP/1.1\r\n${fields}\r\n\r\n`);
    await once(open, "data");
    open.resume();
    await inNamespace("delete", "pod", name, "--wait=false");
    await vi.waitFor(() => expect(one.ask("job.localhost", "/who")).rejects.toThrow("ECONNREFUSED"), WAIT);
    await sleep(2000);
    expect(open.readyState, "what was open goes on").toBe("open");
    open.destroy();
    const from = Date.now();
    await inNamespace("wait", "--for=delete", `pod/${name}`, "--timeout=60s");
    expect(Date.now() - from, "nothing was left to wait for").toBeLessThan(8000);
  });

  test("metrics are told to who has the token, with the labels that the reference says", async () => {
    const [address = ""] = await valuesOf("pods", "gate", ".status.podIP");
    const secret = await inNamespace("get", "secret", "tg-taskgate-metrics", "-o", "jsonpath={.data.token}");
    const authorization = `Bearer ${Buffer.from(secret, "base64").toString()}`;
    const admin = new InstalledGate(address, 7081, "none");
    expect((await admin.ask(address, "/metrics")).status).toBe(401);
    const { body } = await admin.ask(address, "/metrics", { headers: { authorization } });
    const told = labelsOf(body);
    expect([...told.keys()].filter((name) => !(name in METRICS))).toEqual([]);
    for (const [name, labels] of told)
      expect(labels, name).toEqual(new Set(METRICS[name as keyof typeof METRICS].labels));
    for (const name of [
      "taskgate_source_ready",
      "taskgate_leading",
      "taskgate_envoys_connected",
      "process_resident_memory_bytes",
    ])
      expect([...told.keys()]).toContain(name);
  });

  test.each([
    ["Envoys on each node", ["envoy.kind=DaemonSet", "envoy.hostPort=true"]],
    ["Envoys by need", ["envoy.autoscaling.enabled=true"]],
    ["gates alone", ["dataPlane=embedded"]],
  ])("the API server takes everything that can be switched on: %s", async (_what, settings) => {
    const rendered = await cluster.helm([
      "template",
      "other",
      CHART,
      ...VALUES,
      ...EVERYTHING,
      "--set",
      settings.join(","),
    ]);
    const objects = rendered.split(/^---$/m).filter((part) => /^kind:/m.test(part));
    const dryRun = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    const said = await cluster.kubectl(["-n", NAMESPACE, ...dryRun], objects.join("\n---\n"));
    expect(said.match(/serverside-applied/g)).toHaveLength(objects.length);
    await inNamespace(...dryRun.slice(0, -1), join(ROOT, "examples/kubernetes/only-the-gate.yaml"));
    for (const kind of ["networkpolicy", "servicemonitor", "prometheusrule"]) expect(said).toContain(kind);
  });

  // Ports of nodes are beyond what the standards `baseline` and `restricted` let pods have.
  test("on each node, Envoys listen at its own address, by TLS with the certificate that the gates have", async () => {
    const label = "pod-security.kubernetes.io/enforce=privileged";
    await cluster.kubectl(["label", "--overwrite", "namespace", NAMESPACE, label]);
    const authority = await makeAuthority();
    const { certificate, key } = await authority.issue(["DNS:*.apps.example.com"]);
    const data = { "tls.crt": certificate, "tls.key": key };
    const metadata = { name: "apps", namespace: NAMESPACE };
    await cluster.apply([{ apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata, stringData: data }]);
    const known = (): Promise<string> =>
      inNamespace(
        "get",
        "secrets",
        "tg-taskgate-gate-tls",
        "tg-taskgate-envoy-tls",
        "tg-taskgate-metrics",
        "-o",
        "jsonpath={.items[*].data}",
      );
    const before = await known();
    const settings = "envoy.kind=DaemonSet,envoy.hostPort=true,domain=apps.example.com,tls.secretName=apps";
    await cluster.helm(["upgrade", "tg", CHART, ...VALUES, "--set", settings, "--wait", "--timeout", "90s"]);
    const [node = ""] = await valuesOf("pods", "envoy", ".status.hostIP");
    await vi.waitFor(async () => {
      const host = "job.apps.example.com";
      const headers = { host, "x-taskgate-authorization": `Bearer ${gate.token()}` };
      const secure = { host: node, port: 443, servername: host, ca: authority.certificate, agent: false };
      const asked = request({ ...secure, path: "/who", headers, signal: AbortSignal.timeout(5000) });
      const [answer] = (await once(asked.end(), "response")) as [IncomingMessage];
      expect(await text(answer)).toBe("job");
    }, WAIT);
    expect(await inNamespace("get", "deployments", "-o", "name")).toBe("deployment.apps/tg-taskgate\n");
    expect(await known(), "an upgrade keeps what was made once").toBe(before);
  });

  test("nothing is left of what was installed", async () => {
    await cluster.helm(["uninstall", "tg", "--namespace", NAMESPACE]);
    const kinds =
      "deployments,daemonsets,services,secrets,configmaps,poddisruptionbudgets,roles,rolebindings,serviceaccounts";
    const left = () => inNamespace("get", kinds, "-l", "app.kubernetes.io/part-of=taskgate", "-o", "name");
    await vi.waitFor(async () => expect(await left()).toBe(""), WAIT);
  });
});

/** By metric: the names of the labels that its lines have, but those of buckets. */
function labelsOf(exposition: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const types = new Map([...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type]) => [name, type]));
  for (const [, told = "", labels = ""] of exposition.matchAll(/^([a-z_0-9]+)(?:\{(.*)\})? \S+$/gm)) {
    const family = told.replace(/_(bucket|sum|count)$/, "");
    const name = types.get(family) === "histogram" ? family : told;
    const names = [...labels.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g)].map(([, label = ""]) => label);
    const known = found.get(name) ?? new Set();
    found.set(name, known.union(new Set(names.filter((label) => label !== "le"))));
  }
  return found;
}

function jobPod(): object {
  const security = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
  const ports = {
    TASKGATE_PORT_0: "8080",
    TASKGATE_PORT_1: "8081",
    TASKGATE_PORT_2: "8082",
    ENDLESS_ADDRESS: "0.0.0.0",
  };
  const container = {
    ...{ name: "job", image: TASKGATE_IMAGE, imagePullPolicy: "Never", securityContext: security },
    command: ["node", "/opt/taskgate/src/job/endless.mjs"],
    env: Object.entries(ports).map(([name, value]) => ({ name, value })),
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/ready", port: 8080 }, periodSeconds: 1 },
    // Where Node finds the packages of taskgate's image.
    volumeMounts: [{ name: "job", mountPath: "/opt/taskgate/src/job" }],
  };
  return {
    ...{ apiVersion: "v1", kind: "Pod" },
    metadata: { name: "job", namespace: NAMESPACE, annotations: { "taskgate.dev/enabled": "true" } },
    spec: {
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: "RuntimeDefault" } },
      containers: [container],
      volumes: [{ name: "job", configMap: { name: "job" } }],
    },
  };
}
