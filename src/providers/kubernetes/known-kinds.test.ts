import fc from "fast-check";
import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { KINDS, recognizer } from "./known-kinds.ts";
import type { PodFacts } from "./kinds/pod-kind.ts";
import type { PodSpec } from "./testing/objects.ts";
import { endpoints, OWNER, stand, WAIT } from "./testing/stand.ts";

const NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[];
const EVERYBODY = [{ namespaces: ["team"], owners: ["local/*"] }];

/** Pods as they come from those who make them: labels, annotations, ports and controllers, with no annotation of ours. */
function pod(spec: PodSpec): PodSpec {
  return { annotations: null, ...spec };
}

const TASK = "5c8f0c1e-3a52-4a4c-9d0c-6b1f6a3f0e11";

/** As `configureJobSpec` of Determined's Kubernetes resource manager writes them (0.38.1). */
function determinedPod(
  name: string,
  type: string,
  spec: Partial<PodSpec> & { readonly attempt?: number } = {},
): PodSpec {
  const { attempt = 0, labels = {}, ...rest } = spec;
  const allocation = `${TASK}.${String(attempt)}`;
  const job = `det-1b2c3d4e-cmd-${TASK}-${String(attempt)}`;
  return pod({
    name,
    container: "determined-container",
    controller: { kind: "Job", name: job },
    labels: {
      ...{
        "determined.ai/user": "alice",
        "determined.ai/workspace": "Uncategorized",
        "determined.ai/resource_pool": "default",
      },
      ...{ "determined.ai/task_type": type, "determined.ai/task_id": TASK, "determined.ai/allocation_id": allocation },
      ...{ "determined.ai/container_id": "c0ffee00-0000-4000-8000-000000000000", determined: allocation },
      ...{ "batch.kubernetes.io/job-name": job, "job-name": job },
      ...labels,
    },
    ...rest,
  });
}

describe("Determined 0.38", () => {
  test("a notebook is its owner's, at the page where it serves, over its own certificate", async () => {
    const { put, task } = await stand({ kinds: ["determined"], rights: EVERYBODY });
    put(determinedPod("nb-x7k2p", "NOTEBOOK", { ports: [{ containerPort: 8080 }, { containerPort: 3011 }] }));
    const nb = await task(`team.determined:${TASK}`, (found) =>
      expect(endpoints(found, "notebook")).toEqual(["10.1.0.5:3011 nb-x7k2p healthy"]),
    );
    expect(nb).toMatchObject({ name: "notebook-5c8f0c1e", kind: "notebook", owner: { realm: "local", name: "alice" } });
    expect(nb.services).toMatchObject([
      {
        name: "notebook",
        protocol: "http",
        landingPath: `/proxy/${TASK}/`,
        policy: { upstreamTls: { verify: "none" } },
      },
      { name: "port-8080", protocol: "http" },
    ]);
  });

  test("pods of a distributed trial are one task, each addressable; ranks meet at a port that is nobody else's", async () => {
    const { put, task, record } = await stand({ kinds: ["determined"] });
    const labels = { "determined.ai/experiment_id": "7", "determined.ai/trial_id": "42" };
    const ports = [{ containerPort: 1734 }, { containerPort: 5000 }];
    for (const at of [1, 2, 3]) {
      put(determinedPod(`t-${String(at)}`, "TRIAL", { labels, ports, ip: `10.1.0.${String(at)}` }));
    }
    const trial = await task(`team.determined:${TASK}`, (found) =>
      expect(endpoints(found, "port-5000").length).toBe(3),
    );
    expect(trial).toMatchObject({ name: "exp-7-trial-42", kind: "trial", instance: TASK });
    expect(endpoints(trial, "port-5000")[1]).toBe("10.1.0.2:5000 t-2 healthy");
    expect(Object.keys(trial.endpoints)).toEqual(["port-5000"]);
    expect(record.tasks.size).toBe(1);
  });

  const ONE = [{ name: "DET_KUBERNETES_JOB_PARALLELISM", value: "1" }];

  test("a pod that is alone in its allocation is always its first, and the allocation is what leads to it", async () => {
    const { put, task } = await stand({ kinds: ["determined"] });
    const ports = [{ containerPort: 2600 }];
    put(determinedPod("tb-x7k2p", "TENSORBOARD", { ports, env: ONE }));
    const board = await task(`team.determined:${TASK}`, (found) =>
      expect(endpoints(found, "tensorboard")).toEqual(["10.1.0.5:2600 0 healthy"]),
    );
    expect(board.ref).toMatchObject({
      kind: "Job",
      name: `det-1b2c3d4e-cmd-${TASK}-0`,
      selector: { determined: `${TASK}.0` },
      size: 1,
    });
  });

  test("whom the master leads to by a Gateway itself has nothing that it would count as its own", async () => {
    const { put, task } = await stand({ kinds: ["determined"] });
    const env = [...ONE, { name: "DET_PROXY_THROUGH_GATEWAY", value: "true" }];
    put(determinedPod("tb", "TENSORBOARD", { ports: [{ containerPort: 2600 }], env }));
    const board = await task(`team.determined:${TASK}`, (found) => expect(found.state).toBe("running"));
    expect(board.ref).toMatchObject({ kind: "Job" });
    expect(board.ref).not.toHaveProperty("selector");
  });

  test("a pod that says to be of an allocation that is not its task's leads to none", async () => {
    const { put, task } = await stand({ kinds: ["determined"] });
    const others = "0c0ffee0-0000-4000-8000-000000000000.1";
    const labels = { determined: others, "determined.ai/allocation_id": others };
    put(determinedPod("tb", "TENSORBOARD", { ports: [{ containerPort: 2600 }], labels }));
    const board = await task(`team.determined:${TASK}`, (found) => expect(found.state).toBe("running"));
    expect(board.ref).not.toHaveProperty("selector");
  });

  test("ranks of an indexed Job are called by their index", async () => {
    const { put, task } = await stand({ kinds: ["determined"] });
    for (const at of [0, 1]) {
      const labels = { "batch.kubernetes.io/job-completion-index": String(at) };
      put(determinedPod(`t-${String(at)}`, "TRIAL", { labels, ports: [{ containerPort: 5000 }], ip: `10.1.0.${String(at + 1)}` })); // prettier-ignore
    }
    await task(`team.determined:${TASK}`, (found) =>
      expect(endpoints(found, "port-5000")).toEqual(["10.1.0.1:5000 0 healthy", "10.1.0.2:5000 1 healthy"]),
    );
  });

  test("a trial that starts again is the same task, at its new pods", async () => {
    const { put, task } = await stand({ kinds: ["determined"] });
    const ports = [{ containerPort: 5000 }];
    put(determinedPod("t-a", "TRIAL", { ports, phase: "Failed" }));
    await task(`team.determined:${TASK}`, (found) => expect(found.state).toBe("failed"));
    put(determinedPod("t-b", "TRIAL", { ports, attempt: 1, createdAt: "2026-01-02T00:00:00Z" }));
    const trial = await task(`team.determined:${TASK}`, (found) => expect(found.state).toBe("running"));
    expect(trial.instance).toBe(TASK);
    expect(endpoints(trial, "port-5000")).toEqual(["10.1.0.5:5000 t-b healthy"]);
  });

  test("TensorBoards and shells are at the port that the master drew for them; what serves nothing is no task", async () => {
    const { put, task, record } = await stand({ kinds: ["determined"] });
    put(determinedPod("gc", "CHECKPOINT_GC", { ports: [] }));
    put(determinedPod("tb", "TENSORBOARD", { ports: [{ containerPort: 2600 }] }));
    const id = `team.determined:${TASK}`;
    const board = await task(id, (found) => expect(found.kind).toBe("tensorboard"));
    expect(board.services).toMatchObject([{ name: "tensorboard", port: 2600, landingPath: `/proxy/${TASK}/` }]);
    put(determinedPod("tb", "SHELL", { ports: [{ containerPort: 3499 }] }));
    const shell = await task(id, (found) => expect(found.kind).toBe("shell"));
    expect(shell.services).toMatchObject([{ name: "ssh", protocol: "tcp", port: 3499 }]);
    put(determinedPod("tb", "COMMAND", { ports: [] }));
    await vi.waitFor(() => expect(record.names()).toEqual([]), WAIT);
    expect(record.problems).toEqual([]);
  });
});

/** As `spark-submit` of Spark 4.0.1 made one in a cluster: `--name "Nightly ETL (v2)"`. */
function sparkDriver(name: string, application: string, spec: Partial<PodSpec> = {}): PodSpec {
  return pod({
    name,
    container: "spark-kubernetes-driver",
    labels: {
      ...{ "spark-app-name": "nightly-etl-v2", "spark-app-selector": application },
      ...{ "spark-role": "driver", "spark-version": "4.0.1" },
    },
    ports: [
      { name: "driver-rpc-port", containerPort: 7078 },
      { name: "blockmanager", containerPort: 7079 },
      { name: "spark-ui", containerPort: 4040 },
    ],
    ...spec,
  });
}

describe("Spark 4.0", () => {
  test("a driver's page is its one service, applications of one name are two tasks, executors none", async () => {
    const { put, task, record } = await stand({ kinds: ["spark"] });
    put(sparkDriver("etl-1-driver", "spark-1"), sparkDriver("etl-2-driver", "spark-2", { ip: "10.1.0.6" }));
    const labels = { "spark-role": "executor", "spark-app-selector": "spark-1", "spark-exec-id": "1" };
    put(pod({ name: "etl-1-exec-1", labels }));
    const etl = await task("team.spark:spark-1", (found) =>
      expect(endpoints(found, "ui")).toEqual(["10.1.0.5:4040 etl-1-driver healthy"]),
    );
    expect(etl).toMatchObject({ name: "nightly-etl-v2", kind: "spark", owner: OWNER, instance: "spark-1" });
    expect(etl.services.map(({ name }) => name)).toEqual(["ui"]);
    await task("team.spark:spark-2", (found) => expect(found.name).toBe("nightly-etl-v2"));
    expect(record.tasks.size).toBe(2);
  });

  test("a driver that is over stays, and leaves its names to the next night's", async () => {
    const { put, task } = await stand({ kinds: ["spark"] });
    put(sparkDriver("etl-1-driver", "spark-1", { phase: "Pending" }));
    await task("team.spark:spark-1", (found) => expect(found.services.length).toBe(1));
    put(sparkDriver("etl-1-driver", "spark-1", { phase: "Succeeded" }));
    await task("team.spark:spark-1", (found) => expect(found).toMatchObject({ state: "finished", services: [] }));
  });
});

/** As `labelPod` and `DefaultHeadPodTemplate` of KubeRay write them (1.7). */
function rayPod(name: string, type: "head" | "worker", spec: Partial<PodSpec> = {}): PodSpec {
  const { labels = {}, ...rest } = spec;
  return pod({
    name,
    container: `ray-${type}`,
    controller: { kind: "RayCluster", name: "train" },
    labels: {
      ...{ "ray.io/is-ray-node": "yes", "ray.io/cluster": "train", "ray.io/node-type": type },
      ...{ "ray.io/group": type === "head" ? "headgroup" : "gpus", "ray.io/identifier": `train-${type}` },
      ...{ "app.kubernetes.io/name": "kuberay", "app.kubernetes.io/created-by": "kuberay-operator" },
      ...labels,
    },
    ports: [{ name: "metrics", containerPort: 8080 }],
    ...rest,
  });
}

describe("KubeRay 1.7", () => {
  const DECLARED = [
    { name: "gcs-server", containerPort: 6379 },
    { name: "dashboard", containerPort: 8265 },
    { name: "client", containerPort: 10_001 },
    { name: "metrics", containerPort: 8080 },
  ];

  test("a cluster is one task: what the head declares, and its workers as ranks of what they have", async () => {
    const { put, task } = await stand({ kinds: ["ray"] });
    put(rayPod("train-head-x", "head", { ports: DECLARED }));
    put(rayPod("train-gpus-worker-1", "worker", { ip: "10.1.0.6", createdAt: "2026-01-02T00:00:00Z" }));
    const train = await task("team.ray:train", (found) => expect(endpoints(found, "metrics").length).toBe(2));
    expect(train).toMatchObject({ name: "train", kind: "ray", instance: "uid-of-train", ref: { kind: "RayCluster" } });
    expect(train.services.map(({ name, protocol }) => `${name} ${protocol}`)).toEqual([
      ...["dashboard http", "client grpc", "metrics http"],
    ]);
    expect(endpoints(train, "dashboard")).toEqual(["10.1.0.5:8265 head healthy"]);
    expect(endpoints(train, "metrics")).toEqual([
      "10.1.0.5:8080 head healthy",
      "10.1.0.6:8080 train-gpus-worker-1 healthy",
    ]);
  });

  test("a head that declares nothing has everything at its usual place", async () => {
    const { put, task } = await stand({ kinds: ["ray"] });
    put(rayPod("train-head-x", "head"));
    const train = await task("team.ray:train", (found) => expect(found.services.length).toBe(4));
    expect(train.services.map(({ port }) => port)).toEqual([8265, 10_001, 8000, 8080]);
  });

  test("of a RayService those pods take requests that its controller says do", async () => {
    const { put, task } = await stand({ kinds: ["ray"] });
    put(rayPod("h", "head", { ports: DECLARED, labels: { "ray.io/serve": "false" } }));
    const index = { "ray.io/worker-group-replica-index": "1", "ray.io/replica-host-index": "0" };
    put(rayPod("w", "worker", { ip: "10.1.0.6", labels: { "ray.io/serve": "true", ...index } }));
    await task("team.ray:train", (found) =>
      expect(endpoints(found, "serve")).toEqual(["10.1.0.6:8000 gpus-1-0 healthy"]),
    );
    put(rayPod("h", "head", { ports: DECLARED, labels: { "ray.io/serve": "true" } }));
    await task("team.ray:train", (found) => expect(endpoints(found, "serve").length).toBe(2));
  });

  test("a cluster without a head is still where its workers are", async () => {
    const { put, task } = await stand({ kinds: ["ray"] });
    put(rayPod("w", "worker"));
    await task("team.ray:train", (found) => expect(found.services.map(({ name }) => name)).toEqual(["metrics"]));
  });
});

/** As KubeSpawner writes them (7.1). */
function hubPod(user: string, spec: { readonly server?: string; readonly name?: string } = {}): PodSpec {
  const { server = "", name = "jupyter-slug" } = spec;
  const PREFIX = "hub.jupyter.org/";
  return pod({
    name,
    container: "notebook",
    labels: {
      ...{ [`${PREFIX}username`]: "slug", [`${PREFIX}servername`]: server, component: "singleuser-server" },
      ...{ "app.kubernetes.io/component": "singleuser-server", "app.kubernetes.io/managed-by": "kubespawner" },
    },
    notes: { [`${PREFIX}username`]: user, ...(server === "" ? {} : { [`${PREFIX}servername`]: server }) },
    ports: [{ name: "notebook-port", containerPort: 8888 }],
  });
}

describe("JupyterHub's KubeSpawner 7", () => {
  test("a server is its user's, at the page where the hub has it", async () => {
    const { put, task } = await stand({ kinds: ["jupyter"], rights: EVERYBODY });
    put(hubPod("Ann (R&D)@corp", { server: "gpu 1" }));
    const nb = await task("team.jupyter:jupyter-slug", (found) =>
      expect(endpoints(found, "notebook")).toEqual(["10.1.0.5:8888 jupyter-slug healthy"]),
    );
    expect(nb).toMatchObject({
      name: "jupyter-ann-r-d-corp-gpu-1",
      kind: "notebook",
      owner: { realm: "local", name: "Ann (R&D)@corp" },
    });
    expect(nb.services[0]).toMatchObject({ landingPath: "/user/Ann%20%28R%26D%29@corp/gpu%201/" });
  });

  test("whom the namespace's rights do not let labels name, owns nothing, and that is said", async () => {
    const { put, task, problem, record } = await stand({ kinds: ["jupyter"] });
    put(hubPod("alice"));
    await task("team.jupyter:jupyter-slug", (found) => expect(found.owner).toEqual(OWNER));
    await problem(
      "The task is local/operator's: namespace team has no right to owner local/alice, whom its labels name.",
    );
    expect(record.problems[0]).toMatchObject({ subject: "kubernetes/team/Pod/jupyter-slug", code: "claim_refused" });
  });

  test("a user's name is one, whatever it looks like: none of another realm, and no group", async () => {
    const { put, task } = await stand({ kinds: ["jupyter"], rights: [{ namespaces: ["*"], owners: ["*"] }] });
    put(hubPod("corp/bob", { name: "one" }), hubPod("group:ml", { name: "two" }));
    await task("team.jupyter:one", (found) => expect(found.owner).toEqual({ realm: "local", name: "corp/bob" }));
    await task("team.jupyter:two", (found) => expect(found.owner).toEqual({ realm: "local", name: "group:ml" }));
  });
});

describe("Kubeflow 1.11", () => {
  test("a notebook is at the page that its controller tells it, beside a sidecar or not", async () => {
    const { put, task } = await stand({ kinds: ["kubeflow"], rights: [{ namespaces: ["team"], owner: "ann" }] });
    const labels = { statefulset: "my-nb", "notebook-name": "my-nb", "apps.kubernetes.io/pod-index": "0" };
    const controller = { kind: "StatefulSet", name: "my-nb" };
    const ports = [{ name: "notebook-port", containerPort: 8888 }];
    put(pod({ name: "my-nb-0", container: "my-nb", labels, controller, ports }));
    const nb = await task("team.kubeflow:my-nb", (found) =>
      expect(endpoints(found, "notebook")).toEqual(["10.1.0.5:8888 0 healthy"]),
    );
    expect(nb).toMatchObject({ name: "my-nb", kind: "notebook", owner: { realm: "local", name: "ann" } });
    expect(nb.services[0]).toMatchObject({ landingPath: "/notebook/team/my-nb/" });
  });

  test("a TensorBoard of its controller has the name of its Deployment", async () => {
    const { put, task } = await stand({ kinds: ["tensorboard"] });
    const labels = { app: "runs", "pod-template-hash": "7d4b9" };
    const controller = { kind: "ReplicaSet", name: "runs-7d4b9" };
    put(pod({ name: "runs-7d4b9-x", container: "tensorboard", labels, controller, ports: [{ containerPort: 6006 }] }));
    const runs = await task("team.tensorboard:runs", (found) =>
      expect(endpoints(found, "tensorboard")).toEqual(["10.1.0.5:6006 runs-7d4b9-x healthy"]),
    );
    expect(runs).toMatchObject({ name: "runs", kind: "tensorboard" });
  });

  test("a pod of whoever writes the usual label is a TensorBoard, too", async () => {
    const { put, task } = await stand({ kinds: ["tensorboard"] });
    put(pod({ name: "tb", labels: { "app.kubernetes.io/name": "tensorboard" }, ports: [] }));
    await task("team.tensorboard:tb", (found) => expect(found.services[0]?.port).toBe(6006));
  });
});

describe("known kinds", () => {
  test("are tasks only where they are switched on", async () => {
    const { put, task, record } = await stand({ kinds: ["spark"] });
    put(hubPod("alice"), rayPod("h", "head"), determinedPod("d", "NOTEBOOK"), sparkDriver("s", "spark-1"));
    await task("team.spark:spark-1", (found) => expect(found.state).toBe("running"));
    expect(record.tasks.size).toBe(1);
  });

  test("can be said more of by annotations, and taken out", async () => {
    const { put, task, record } = await stand({ kinds: ["spark", "jupyter"], rights: EVERYBODY });
    const annotations = {
      owner: "bob",
      access: "authenticated",
      "landing-path": "/lab",
      services: "web:notebook-port",
    };
    put({ ...hubPod("alice"), annotations });
    const nb = await task("team.jupyter:jupyter-slug", (found) =>
      expect(endpoints(found)).toEqual(["10.1.0.5:8888 jupyter-slug healthy"]),
    );
    expect(nb).toMatchObject({ owner: { name: "bob" }, kind: "notebook", access: { anyone: "authenticated" } });
    expect(nb.services[0]?.landingPath).toBe("/lab");
    put({ ...hubPod("alice"), annotations: { name: "mine" } });
    await vi.waitFor(() => expect([...record.tasks.keys()]).toEqual(["team.mine"]), WAIT);
    put({ ...hubPod("alice"), annotations: { enabled: "false" } });
    await vi.waitFor(() => expect(record.names()).toEqual([]), WAIT);
  });

  test("with names that are none are a Problem of their own object, until an annotation gives them one", async () => {
    const { put, task, problem, record } = await stand({ kinds: NAMES });
    const labels = { "spark-app-name": "../etl", "spark-role": "driver", "spark-app-selector": "x" };
    put({ ...sparkDriver("bad", "x"), labels }, sparkDriver("good", "spark-1"));
    await problem('The Pod is left out: its labels say spark, and name it "../etl"; expected a name of letters');
    expect(record.problems.map(({ subject }) => subject)).toEqual(["kubernetes/team/Pod/bad"]);
    expect(record.names()).toEqual(["nightly-etl-v2"]);
    put({ ...sparkDriver("bad", "x"), labels, annotations: { name: "etl-2" } });
    await task("team.etl-2", (found) => expect(found.kind).toBe("spark"));
    expect(record.problems).toEqual([]);
  });

  test("with ports or pages that are none are a Problem that says where these come from", async () => {
    const { put, problem, record } = await stand({ kinds: ["jupyter"] });
    const ports = [{ name: "notebook-port", containerPort: 0 }];
    put({ ...hubPod("alice"), ports }, hubPod("x".repeat(3000), { name: "long" }), hubPod("bob", { name: "good" }));
    await problem("taskgate.dev/services at 0.targetPort: ");
    await problem("taskgate.dev/landing-path: expected a path such as /lab (its labels say jupyter)");
    expect(record.names()).toEqual(["jupyter-bob"]);
  });

  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("", "\ud800", "head", "driver", "NOTEBOOK", "true", "__proto__"),
  );
  const labels = fc.dictionary(
    fc.constantFrom(
      ...["determined.ai/task_id", "determined.ai/task_type", "determined.ai/user", "determined.ai/trial_id"],
      ...["spark-role", "spark-app-selector", "spark-app-name", "ray.io/cluster", "ray.io/node-type", "ray.io/serve"],
      ...["hub.jupyter.org/username", "hub.jupyter.org/servername", "notebook-name", "app.kubernetes.io/name"],
    ),
    text,
  );
  const ports = fc.array(fc.record({ name: fc.option(text), port: fc.nat(70_000), appProtocol: fc.constant(null) }));

  test("never fail, whatever labels, annotations and ports say", () => {
    const recognize = recognizer(NAMES);
    fc.assert(
      fc.property(labels, labels, ports, text, (some, others, declared, name) => {
        const facts: PodFacts = {
          ...{ namespace: "team", name, workload: name, labels: some, annotations: others, ports: declared },
          containers: [{ name: "tensorboard", ports: declared, env: [{ name }] }],
        };
        const known = recognize(facts);
        expect(known?.refusal === null ? /^[\w.-]{1,200}$/.test(known.group) : true).toBe(true);
      }),
    );
  });

  test("of a thousand pods with hostile labels none hurts a neighbour", async () => {
    const { put, record } = await stand({ kinds: NAMES });
    put(sparkDriver("good", "spark-1"));
    for (const [at, some] of fc.sample(labels, 1000).entries()) {
      put(pod({ name: `bad-${String(at)}`, labels: { ...some, "notebook-name": "/" }, notes: some }));
    }
    put(sparkDriver("better", "spark-2"));
    await vi.waitFor(() => expect([...record.tasks.keys()]).toContain("team.spark:spark-2"), WAIT);
    expect([...record.tasks.keys()]).toContain("team.spark:spark-1");
    const subjects = new Set(record.problems.map(({ subject }) => subject));
    expect([...subjects].every((subject) => subject.startsWith("kubernetes/team/Pod/bad-"))).toBe(true);
    expect(subjects.size).toBeGreaterThan(900);
  });

  test("are those that the documentation lists", () => {
    const text = readFileSync(new URL("../../../docs/kubernetes.md", import.meta.url), "utf8");
    const rows = [...text.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name);
    for (const name of NAMES) expect(rows).toContain(name);
  });
});
