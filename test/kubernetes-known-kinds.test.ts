import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parseAllDocuments } from "yaml";
import { BUSYBOX_IMAGE, PYTHON_IMAGE } from "../testbed/kubernetes/images.ts";
import { kubeSpawner, spawnServer } from "../testbed/kubespawner.ts";
import { NO_CLUSTER, sharedCluster, type TestCluster } from "./support/cluster.ts";
import { answers, startClusterGate, WAIT } from "./support/cluster-gate.ts";
import type { TestGate } from "./support/gate.ts";

const NAMESPACE = "known-kinds";
const ANNOTATION = "taskgate.dev/enabled";

/** A real cluster with its real controllers, and a gate that has the rights that the documentation lists, and no other. */
describe.skipIf(NO_CLUSTER !== null)("pods without an annotation of their own, in a real cluster", () => {
  const ended = new AsyncDisposableStack();
  let cluster: TestCluster;
  let gate: TestGate;
  beforeAll(async () => {
    cluster = await sharedCluster();
    await kubeSpawner();
    const folder = mkdtempSync(join(tmpdir(), "taskgate-kinds-"));
    ended.defer(() => rmSync(folder, { recursive: true, force: true }));
    await cluster.kubectl(["create", "namespace", NAMESPACE]);
    ended.defer(async () => {
      await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
    });
    const kubeconfig = await documentedRights(cluster, folder);
    const rights = [{ namespaces: [NAMESPACE], owners: ["local/*"] }];
    const watched = { name: "prod", kubeconfig, namespaces: [NAMESPACE], rights };
    gate = await startClusterGate([{ ...watched, owners: true, kinds: ["ray", "jupyter"] }]);
    ended.use(gate);
  });
  afterAll(() => ended.disposeAsync());

  test("a server that KubeSpawner itself started is its user's, at the page where JupyterHub has it", async () => {
    await spawnServer({
      ...{ kubeconfig: cluster.kubeconfig, namespace: NAMESPACE, user: "Ann (R&D)", server: "gpu 1" },
      ...{ image: PYTHON_IMAGE, command: ["python3", "-c", ECHO] },
    });
    const page = "/user/Ann%20%28R%26D%29/gpu%201/";
    await answers(gate, "jupyter-ann-r-d-gpu-1", { status: 200, body: page }, page);
    const task = await gate.task("jupyter-ann-r-d-gpu-1");
    expect(task).toMatchObject({ kind: "notebook", owner: "Ann (R&D)" });
    expect(new URL(task.services[0]?.url ?? "").pathname).toBe(page);
  });

  test("a head and its worker as KubeRay labels them are one task, the worker at its own name", async () => {
    const ray = (name: string, type: string, port: string): object =>
      pod(name, { labels: { "ray.io/cluster": "train", "ray.io/node-type": type, "ray.io/group": "gpus" }, port });
    await cluster.apply([ray("train-head", "head", "dashboard"), ray("train-worker", "worker", "metrics")]);
    await answers(gate, "train", { status: 200, body: "train-head" });
    await vi.waitFor(async () => {
      const { services } = await gate.task("train");
      const worker = services
        .find(({ name }) => name === "metrics")
        ?.replicas.find(({ replica }) => replica === "train-worker");
      expect(worker?.health).toBe("healthy");
      const { body } = await gate.ask(new URL(worker!.url!).hostname, "/");
      expect(body.trim()).toBe("train-worker");
    }, WAIT);
  });

  test("annotations of a Deployment count for the pods of its ReplicaSets, at once and until they are taken back", async () => {
    const labels = { app: "web" };
    const { spec } = pod("web");
    await cluster.apply([
      {
        ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: NAMESPACE } },
        spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      },
    ]);
    await cluster.kubectl(["rollout", "status", "deployment/web", "-n", NAMESPACE, "--timeout=60s"]);
    const annotate = (...texts: readonly string[]) =>
      cluster.kubectl(["annotate", "--overwrite", "deployment/web", "-n", NAMESPACE, ...texts]);
    await annotate(`${ANNOTATION}=true`, "taskgate.dev/owner=ann");
    await answers(gate, "web", { status: 200 });
    expect(await gate.task("web")).toMatchObject({ id: "prod/known-kinds.web", owner: "ann" });
    await annotate("taskgate.dev/access=nobdy");
    await says(/Deployment\/web.*taskgate.dev\/access/);
    await answers(gate, "web", { status: 404 });
    // The Deployment's controller has copied what is taken back here to its ReplicaSet, where it stays.
    await annotate("taskgate.dev/access-", "taskgate.dev/owner-");
    await answers(gate, "web", { status: 200 });
    expect((await gate.task("web")).owner).not.toBe("ann");
    const copies = await cluster.kubectl([
      "get",
      "replicasets",
      "-n",
      NAMESPACE,
      "-o",
      "jsonpath={.items[*].metadata.annotations}",
    ]);
    expect(copies).toContain(ANNOTATION);
    await annotate(`${ANNOTATION}-`);
    await answers(gate, "web", { status: 404 });
  });

  test("annotations of a Job count for its pods, each index of which has its own name", async () => {
    const { spec } = pod("sweep");
    await cluster.apply([
      {
        ...{ apiVersion: "batch/v1", kind: "Job" },
        metadata: { name: "sweep", namespace: NAMESPACE, annotations: { [ANNOTATION]: "true" } },
        spec: {
          ...{ completions: 2, parallelism: 2, completionMode: "Indexed" },
          template: { spec: { ...spec, restartPolicy: "Never" } },
        },
      },
    ]);
    await vi.waitFor(async () => {
      const [service] = (await gate.task("sweep")).services;
      const ready = service?.replicas.filter(({ health }) => health === "healthy") ?? [];
      expect(ready.map(({ replica }) => replica)).toEqual(["0", "1"]);
    }, WAIT);
  });

  async function says(problem: RegExp): Promise<void> {
    await vi.waitFor(async () => expect((await gate.cli("ps")).stdout).toMatch(problem), WAIT);
  }
});

/** Answers every request with its path. */
const ECHO = `
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
HTTPServer(("", 8888), Echo).serve_forever()
`;

/** Says its name at port 8080. */
function pod(name: string, { labels = {}, port = "web" } = {}) {
  const script = `mkdir /tmp/www; echo ${name} > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www`;
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAMESPACE, labels } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          ...{ name: "main", image: BUSYBOX_IMAGE, imagePullPolicy: "Never", command: ["sh", "-c", script] },
          ports: [{ name: port, containerPort: 8080 }],
          readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
        },
      ],
    },
  };
}

/** Path of a kubeconfig of somebody who may do in the namespace what docs/kubernetes.md says that the gate must be allowed to. */
async function documentedRights(cluster: TestCluster, folder: string): Promise<string> {
  const docs = readFileSync(new URL("../docs/kubernetes.md", import.meta.url), "utf8");
  const [, yaml = ""] = /## What the gate must be allowed to do\n[^]*?```yaml\n([^]*?)```/.exec(docs) ?? [];
  const { rules } = parseAllDocuments(yaml)[0]?.toJS() as { readonly rules: readonly object[] };
  const metadata = { name: "gate", namespace: NAMESPACE };
  await cluster.apply([
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules },
    {
      ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", metadata },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "gate" },
      subjects: [{ kind: "ServiceAccount", ...metadata }],
    },
  ]);
  const token = (await cluster.kubectl(["create", "token", "gate", "-n", NAMESPACE])).trim();
  const view = JSON.parse(
    await cluster.kubectl(["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]),
  ) as { readonly users: readonly { readonly name: string }[] };
  const path = join(folder, "kubeconfig");
  writeFileSync(path, JSON.stringify({ ...view, users: view.users.map(({ name }) => ({ name, user: { token } })) }));
  return path;
}
