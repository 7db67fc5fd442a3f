import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeApiServer, refuse } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { recordSource } from "../provider.contract.ts";
import { OwnerTree } from "./owners.ts";
import { makerOf, makersOf, podOf, podsOf, type ControllerSpec, type PodSpec } from "./testing/objects.ts";
import { endpoints, OWNER, provider, stand, WAIT } from "./testing/stand.ts";

const HASH = "7d4b9";

/** A pod of Deployment `web`, by its ReplicaSet. */
function webPod(spec: Partial<PodSpec> = {}): PodSpec {
  const controller = { kind: "ReplicaSet", name: `web-${HASH}` };
  return { name: "web-1", annotations: null, controller, labels: { "pod-template-hash": HASH }, ...spec };
}

async function standWith(config: object = {}) {
  const stood = await stand({ owners: true, rights: [{ namespaces: ["team"], owners: ["local/*"] }], ...config });
  const make = (plural: string, name: string, annotations = {}, controller?: ControllerSpec): void => {
    stood.server.put(makersOf(plural), makerOf(name, annotations, controller));
  };
  const makeWeb = (annotations = {}): void => {
    make("deployments", "web", annotations);
    make("replicasets", `web-${HASH}`, {}, { kind: "Deployment", name: "web" });
  };
  const names = (...ids: readonly string[]) =>
    vi.waitFor(() => expect([...stood.record.tasks.keys()].sort()).toEqual([...ids].sort()), WAIT);
  return { ...stood, make, makeWeb, names };
}

describe("annotations of what makes pods", () => {
  test("count for the pods, by the ReplicaSet between, and are followed as they change", async () => {
    const { makeWeb, put, task, names } = await standWith();
    makeWeb({ enabled: "true", owner: "ann", services: "lab:8888" });
    put(webPod());
    const web = await task("team.web", (found) =>
      expect(endpoints(found, "lab")).toEqual(["10.1.0.5:8888 web-1 healthy"]),
    );
    expect(web.owner).toEqual({ realm: "local", name: "ann" });
    makeWeb({ enabled: "true", access: "authenticated" });
    await task("team.web", (found) =>
      expect(found).toMatchObject({ owner: OWNER, access: { anyone: "authenticated" } }),
    );
    makeWeb({ enabled: "true", name: "site" });
    await names("team.site");
    makeWeb({});
    await names();
    makeWeb({ enabled: "true" });
    await names("team.web");
  });

  test("count less than the pod's own, key by key", async () => {
    const { makeWeb, put, task, names } = await standWith();
    makeWeb({ enabled: "true", owner: "ann", kind: "site" });
    put(webPod({ annotations: { owner: "bob" } }));
    await task("team.web", (found) => expect(found).toMatchObject({ owner: { name: "bob" }, kind: "site" }));
    put(webPod({ annotations: { enabled: "false" } }));
    await names();
  });

  test("count more than what a known kind has without them", async () => {
    const { make, put, task, names } = await standWith({ kinds: ["kubeflow"] });
    const labels = { "notebook-name": "nb" };
    const pod = { name: "nb-0", annotations: null, labels, controller: { kind: "StatefulSet", name: "nb" } };
    put(pod);
    await task("team.kubeflow:nb", (found) => expect(found.kind).toBe("notebook"));
    make("statefulsets", "nb", { kind: "rstudio", "landing-path": "/rstudio/" });
    const nb = await task("team.kubeflow:nb", (found) => expect(found.kind).toBe("rstudio"));
    expect(nb.services[0]?.landingPath).toBe("/rstudio/");
    make("statefulsets", "nb", { enabled: "false" });
    await names();
  });

  test.each([
    ["statefulsets", "StatefulSet"],
    ["daemonsets", "DaemonSet"],
    ["jobs", "Job"],
    ["replicasets", "ReplicaSet"],
  ])("of %s count for their pods", async (plural, kind) => {
    const { make, put, task } = await standWith();
    make(plural, "x", { enabled: "true" });
    put({ name: "x-0", annotations: null, controller: { kind, name: "x" } });
    await task("team.x", (found) => expect(found.ref).toMatchObject({ kind, name: "x" }));
  });

  test("of a CronJob count for the pods of its Jobs, whose own count before", async () => {
    const { make, put, task } = await standWith();
    make("cronjobs", "nightly", { enabled: "true", kind: "report", owner: "ann" });
    make("jobs", "nightly-1", { owner: "bob" }, { kind: "CronJob", name: "nightly" });
    put({ name: "nightly-1-x", annotations: null, controller: { kind: "Job", name: "nightly-1" } });
    await task("team.nightly-1", (found) => expect(found).toMatchObject({ kind: "report", owner: { name: "bob" } }));
  });

  test("that Kubernetes copied from a Deployment to its ReplicaSet are not there twice, nor for ever", async () => {
    const { make, makeWeb, put, names, problem, record } = await standWith();
    makeWeb({ enabled: "true", colour: "red" });
    make("replicasets", `web-${HASH}`, { enabled: "true", colour: "red" }, { kind: "Deployment", name: "web" });
    put(webPod());
    await problem("The pods of the Deployment are left out: taskgate.dev/colour is unknown");
    expect(record.problems.map(({ subject }) => subject)).toEqual(["kubernetes/team/Deployment/web"]);
    make("deployments", "web", {});
    await vi.waitFor(() => expect(record.problems).toEqual([]), WAIT);
    await names();
  });

  test("of one of the same name that has not made the pods do not count", async () => {
    const { make, put, names } = await standWith();
    make("statefulsets", "x", { enabled: "true" });
    const pod = {
      name: "x-0",
      annotations: null,
      controller: { kind: "StatefulSet", name: "x", uid: "uid-of-an-earlier" },
    };
    put(pod, { name: "good" });
    await names("team.good");
    put({ ...pod, controller: { kind: "StatefulSet", name: "x" } });
    await names("team.good", "team.x");
    make("deployments", "y", { enabled: "true" });
    make("replicasets", "y-1", {}, { kind: "Deployment", name: "y", uid: "uid-of-another" });
    put({ name: "y-1-a", annotations: null, controller: { kind: "ReplicaSet", name: "y-1" } }, { name: "better" });
    await names("team.better", "team.good", "team.x");
  });

  test("end with it", async () => {
    const { server, makeWeb, put, names } = await standWith();
    makeWeb({ enabled: "true" });
    put(webPod());
    await names("team.web");
    server.remove(makersOf("deployments"), "web");
    await names();
  });

  test("may claim no more than the pods' own", async () => {
    const { makeWeb, put, problem, record } = await standWith({ rights: [] });
    makeWeb({ enabled: "true", owner: "eve" });
    put(webPod());
    await problem("namespace team has no right to owner local/eve");
    expect(record.problems[0]?.subject).toBe("kubernetes/team/Pod/web-1");
  });

  test("do not count where they are not switched on, and nothing asks for what has them", async () => {
    const { server, makeWeb, put, names } = await standWith({ owners: false });
    makeWeb({ enabled: "true" });
    put(webPod(), { name: "good" });
    await names("team.good");
    expect(server.requests.filter(({ path }) => /apps|batch/.test(path))).toEqual([]);
  });
});

describe("what is wrong with them", () => {
  test("is said once, of the object that says it, however many pods it has; its pods are left out", async () => {
    const { makeWeb, put, names, problem, record } = await standWith();
    makeWeb({ enabled: "true", access: "[" });
    for (let at = 0; at < 50; at += 1) put(webPod({ name: `web-${String(at)}` }));
    put(webPod({ name: "own", annotations: {} }), { name: "good" });
    await names("team.good");
    await problem("The pods of the Deployment are left out: taskgate.dev/access: expected JSON.");
    expect(record.problems.map(({ subject, code }) => `${subject} ${code}`)).toEqual([
      "kubernetes/team/Deployment/web task_invalid",
    ]);
    makeWeb({ enabled: "true" });
    await names("team.good", "team.web");
    expect(record.problems).toEqual([]);
  });

  test("is said of a thousand of them at once, each on its own, and their neighbours stay", async () => {
    const { make, put, record, task } = await standWith();
    put({ name: "good" });
    const texts = ["[".repeat(16_000), "x ".repeat(8000), "x".repeat(20_000), '{"__proto__": 1}', "\ud800"];
    for (let at = 0; at < 1000; at += 1) {
      const name = `bad-${String(at)}`;
      make("deployments", name, { enabled: "true", services: texts[at % texts.length] });
      make("replicasets", `${name}-1`, {}, { kind: "Deployment", name });
      put({ name: `${name}-1-x`, annotations: null, controller: { kind: "ReplicaSet", name: `${name}-1` } });
    }
    put({ name: "better" });
    await vi.waitFor(() => expect(record.problems.length).toBe(1000), WAIT);
    expect(new Set(record.problems.map(({ subject }) => subject)).size).toBe(1000);
    await task("team.better", (found) => expect(found.state).toBe("running"));
    expect(record.names()).toEqual(["better", "good"]);
  });

  test("is said though nothing is switched on, and has no pods yet", async () => {
    const { make, problem } = await standWith();
    make("jobs", "train", { nmae: "x" });
    await problem("The pods of the Job are left out: taskgate.dev/nmae is unknown; expected one of enabled, name");
  });

  test("with a pod's own, is said of the pod", async () => {
    const { makeWeb, put, problem, record } = await standWith();
    makeWeb({ enabled: "true", path: "/web/" });
    put(webPod({ annotations: { services: "db:5432/tcp" } }));
    await problem("taskgate.dev/path: only http services have a path");
    expect(record.problems.map(({ subject }) => subject)).toEqual(["kubernetes/team/Pod/web-1"]);
  });
});

describe("the cluster", () => {
  test("is asked for the metadata alone of what makes pods", async () => {
    const { server } = await standWith({ namespaces: ["team"] });
    const asked = server.requests.filter(({ path }) => /apps|batch/.test(path));
    const lists = asked.filter(({ query }) => query.get("watch") === null);
    expect(lists.map(({ path }) => path).sort()).toEqual(
      ["deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs"]
        .map((each) => makersOf(each))
        .sort(),
    );
    for (const { headers, query } of asked) {
      const kind = query.get("watch") === null ? "PartialObjectMetadataList" : "PartialObjectMetadata";
      expect(headers.accept).toBe(`application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`);
    }
  });

  test("that lets nobody read what makes pods is stale, and says what it refused", async () => {
    const server = await FakeApiServer.start();
    onTestFinished(() => server[Symbol.asyncDispose]());
    server.intercept = ({ path }, response) => {
      if (path.includes("/batch/")) refuse(response, 403, "Forbidden");
      return path.includes("/batch/");
    };
    server.put(podsOf("team"), podOf({ name: "good" }));
    const record = recordSource();
    const watch = await provider(server, { owners: true }).start(record.publish, new AbortController().signal);
    onTestFinished(() => watch[Symbol.asyncDispose]());
    await vi.waitFor(() => expect(record.stale).toBe(true), WAIT);
    const told = record.updates.find((update) => update.kind === "stale");
    expect(told?.error.message).toMatch(/GET \/apis\/batch\/v1\/(cron)?jobs/);
    server.intercept = () => false;
    await vi.waitFor(() => expect(record.names()).toEqual(["good"]), WAIT);
  });

  test("costs the work of one object's pods for its change", async () => {
    const { make, put, record, task } = await standWith();
    for (let at = 0; at < 300; at += 1) {
      const name = `x-${String(at)}`;
      make("statefulsets", name, { enabled: "true" });
      put({ name: `${name}-0`, annotations: null, controller: { kind: "StatefulSet", name } });
    }
    await vi.waitFor(() => expect(record.tasks.size).toBe(300), WAIT);
    const heard = record.updates.length;
    make("statefulsets", "x-7", { enabled: "true", kind: "other" });
    await task("team.x-7", (found) => expect(found.kind).toBe("other"));
    expect(record.updates.slice(heard)).toMatchObject([{ kind: "change", set: [{ id: "team.x-7" }], removed: [] }]);
  });

  test("forgets what was below what is gone", async () => {
    const { server, makeWeb, put, names } = await standWith();
    makeWeb({ enabled: "true" });
    put(webPod());
    await names("team.web");
    server.remove(podsOf("team"), "web-1");
    await names();
    makeWeb({ enabled: "true", kind: "x" });
    put(webPod({ name: "web-2" }));
    await names("team.web");
  });
});

test("objects that say to be above each other end the search", () => {
  const tree = new OwnerTree();
  tree.place("Job team/a", "Job team/b");
  tree.place("Job team/b", "Job team/a");
  tree.place("Pod team/p", "Job team/a");
  expect(tree.below("Job team/b").filter((key) => key.startsWith("Pod"))).toEqual(["Pod team/p"]);
  tree.place("Pod team/p", null);
  expect(tree.below("Job team/a")).not.toContain("Pod team/p");
});
