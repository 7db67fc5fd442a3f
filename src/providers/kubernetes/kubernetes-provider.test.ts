import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Task } from "../../model/index.ts";
import { FakeApiServer, refuse } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { describeProvider, recordSource } from "../provider.contract.ts";
import { podOf, podsOf, serviceOf, servicesOf, sliceOf, slicesOf, type PodSpec } from "./testing/objects.ts";
import { endpoints, OWNER, provider, stand, WAIT } from "./testing/stand.ts";

describeProvider("kubernetes", async () => {
  const server = await FakeApiServer.start();
  const put = (spec: PodSpec) => {
    server.put(podsOf("team"), podOf(spec));
    return Promise.resolve();
  };
  return {
    provider: provider(server),
    add: (name) => put({ name }),
    change: (name) => put({ name, ip: "10.1.0.6" }),
    remove(name) {
      server.remove(podsOf("team"), name);
      return Promise.resolve();
    },
    addBad: () => put({ name: "bad", annotations: { services: "[" } }),
    fail() {
      server.intercept = (_request, response) => {
        refuse(response, 503, "ServiceUnavailable");
        return true;
      };
      server.endWatches("cut");
      return Promise.resolve();
    },
    mend() {
      server.intercept = () => false;
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

describe("tasks of pods", () => {
  test("need one annotation, and are the ports that the pod declares", async () => {
    const { put, task } = await stand();
    put({
      name: "nb",
      ports: [{ name: "web", containerPort: 8888 }, { name: "grpc-api", containerPort: 9000 }, { containerPort: 7 }],
    });
    const nb = await task("team.nb", (found) => expect(endpoints(found)).toEqual(["10.1.0.5:8888 nb healthy"]));
    expect(nb).toMatchObject({ name: "nb", kind: "pod", owner: OWNER, namespace: "team", state: "running" });
    expect(nb.services.map(({ name, protocol, port }) => [name, protocol, port])).toEqual([
      ["web", "http", 8888],
      ["grpc-api", "grpc", 9000],
      ["port-7", "http", 7],
    ]);
    expect(nb.instance).toBe("uid-of-nb");
  });

  test("say by annotations what they are", async () => {
    const { put, task } = await stand({ rights: [{ namespaces: ["team"], owners: ["local/*"], paths: ["/team/*"] }] });
    put({
      name: "nb",
      annotations: {
        name: "my-nb",
        kind: "notebook",
        owner: "alice",
        access: '{"anyone": "authenticated", "with": ["bob"]}',
        services:
          '[{"name": "lab", "targetPort": "web"}, {"name": "raw", "targetPort": 22, "protocol": "tcp", "access": "public"}]',
        "landing-path": "/lab",
        path: "/team/nb/",
      },
    });
    const nb = await task("team.my-nb", (found) =>
      expect(endpoints(found, "lab")).toEqual(["10.1.0.5:8888 nb healthy"]),
    );
    expect(nb).toMatchObject({ name: "my-nb", kind: "notebook", owner: { realm: "local", name: "alice" } });
    expect(nb.access).toMatchObject({ anyone: "authenticated", grants: [{ to: { realm: "local", name: "bob" } }] });
    expect(nb.services[0]).toMatchObject({ landingPath: "/lab", exposures: [{ by: "path", prefix: "/team/nb/" }] });
    expect(nb.services[1]).toMatchObject({ protocol: "tcp", access: { anyone: "public" } });
  });

  test("of pods that share a task are one task, each rank under its name", async () => {
    const { put, task } = await stand();
    const controller = { kind: "Job", name: "train" };
    for (const rank of ["0", "1", "2"]) {
      const labels = { "batch.kubernetes.io/job-completion-index": rank };
      put({ name: `train-${rank}-x`, controller, labels, ip: `10.1.0.${rank}` });
    }
    const train = await task("team.train", (found) => expect(endpoints(found).length).toBe(3));
    expect(endpoints(train)).toEqual(["10.1.0.0:8888 0 healthy", "10.1.0.1:8888 1 healthy", "10.1.0.2:8888 2 healthy"]);
    expect(train).toMatchObject({ instance: "uid-of-train", ref: { kind: "Job", name: "train" } });
  });

  test("of a Deployment have its name, whichever ReplicaSet", async () => {
    const { put, task, record } = await stand();
    for (const hash of ["aaa", "bbb"]) {
      const labels = { "pod-template-hash": hash };
      put({
        name: `web-${hash}-1`,
        controller: { kind: "ReplicaSet", name: `web-${hash}` },
        labels,
        ip: `10.1.0.${String(hash.charCodeAt(0))}`,
      });
    }
    await task("team.web", (found) => expect(endpoints(found).length).toBe(2));
    expect(record.tasks.size).toBe(1);
  });

  test("follow readiness, an end and a move at once", async () => {
    const { server, put, task, record } = await stand();
    put({ name: "nb", phase: "Pending", ready: false });
    await task("team.nb", (found) => expect(found).toMatchObject({ state: "starting", endpoints: { web: [] } }));
    put({ name: "nb", ready: false });
    await task("team.nb", (found) => expect(endpoints(found)).toEqual(["10.1.0.5:8888 nb unhealthy"]));
    put({ name: "nb" });
    await task("team.nb", (found) => expect(endpoints(found)).toEqual(["10.1.0.5:8888 nb healthy"]));
    put({ name: "nb", leaving: true });
    await task("team.nb", (found) => expect(endpoints(found)).toEqual(["10.1.0.5:8888 nb draining"]));
    expect(record.tasks.get("team.nb")?.state).toBe("stopping");
    put({ name: "nb", ip: "10.1.0.9" });
    await task("team.nb", (found) => expect(endpoints(found)).toEqual(["10.1.0.9:8888 nb healthy"]));
    put({ name: "nb", phase: "Succeeded" });
    await task("team.nb", (found) => expect(found).toMatchObject({ state: "finished", endpoints: { web: [] } }));
    server.remove(podsOf("team"), "nb");
    await vi.waitFor(() => expect(record.names()).toEqual([]), WAIT);
  });

  test("that are no longer wanted, or are renamed, are gone", async () => {
    const { put, record } = await stand();
    put({ name: "nb" });
    await vi.waitFor(() => expect([...record.tasks.keys()]).toEqual(["team.nb"]), WAIT);
    put({ name: "nb", annotations: { name: "other" } });
    await vi.waitFor(() => expect([...record.tasks.keys()]).toEqual(["team.other"]), WAIT);
    put({ name: "nb", annotations: { enabled: "false" } });
    await vi.waitFor(() => expect(record.names()).toEqual([]), WAIT);
  });

  test("have the same name in two namespaces without being one", async () => {
    const { put, record } = await stand();
    put({ name: "nb" }, { name: "nb", namespace: "other" });
    await vi.waitFor(() => expect([...record.tasks.keys()].sort()).toEqual(["other.nb", "team.nb"]), WAIT);
  });
});

describe("tasks of Services", () => {
  test("are at their pods' own addresses, and at no other", async () => {
    const { server, put, task, problem } = await stand();
    put(
      { name: "a", annotations: null, ip: "10.1.0.1" },
      { name: "b", annotations: null, ip: "10.1.0.2", ready: false },
    );
    put({ name: "c", annotations: null, ip: "169.254.169.254" });
    server.put(servicesOf("team"), serviceOf("web"));
    server.put(
      slicesOf("team"),
      sliceOf("web", [
        { pod: "a", address: "10.1.0.1" },
        { pod: "b", address: "10.1.0.2" },
        { pod: "c", address: "169.254.169.254" },
        { pod: "a", address: "10.96.0.1" },
        { pod: "a", address: "10.1.0.1", uid: "uid-of-another" },
        { pod: "gone", address: "10.1.0.7" },
        { pod: null, address: "10.96.0.1" },
      ]),
    );
    const web = await task("team.service:web", (found) =>
      expect(endpoints(found, "http")).toEqual(["10.1.0.1:8888 a healthy", "10.1.0.2:8888 b unhealthy"]),
    );
    expect(web).toMatchObject({ name: "web", kind: "service", instance: "uid-of-web", state: "running" });
    await problem("169.254.169.254:8888 is where a cloud");
  });

  test("follow their slices and their pods", async () => {
    const { server, put, task } = await stand();
    server.put(servicesOf("team"), serviceOf("web", { services: "api:http/grpc" }));
    await task("team.service:web", (found) =>
      expect(found).toMatchObject({ state: "starting", endpoints: { api: [] } }),
    );
    server.put(slicesOf("team"), sliceOf("web", [{ pod: "a", address: "10.1.0.1" }]));
    put({ name: "a", annotations: null, ip: "10.1.0.1" });
    await task("team.service:web", (found) => expect(endpoints(found, "api")).toEqual(["10.1.0.1:8888 a healthy"]));
    put({ name: "a", annotations: null, ip: "10.1.0.1", leaving: true });
    await task("team.service:web", (found) => expect(endpoints(found, "api")).toEqual(["10.1.0.1:8888 a draining"]));
    server.remove(slicesOf("team"), "web-1");
    await task("team.service:web", (found) => expect(endpoints(found, "api")).toEqual([]));
  });
});

describe("rights", () => {
  const rights = [
    { namespaces: ["team-a"], owner: "ann", owners: ["corp/*"], hosts: ["a-*"], paths: ["/a/*"], ports: true },
    { namespaces: ["node-*"], hostNetwork: true },
  ];

  test("bound who may be named as owner", async () => {
    const { put, task, problem, record } = await stand({ rights });
    put(
      { namespace: "team-a", name: "standard" },
      { namespace: "team-a", name: "other", annotations: { owner: "corp/bob" } },
      { namespace: "team-a", name: "stolen", annotations: { owner: "eve" } },
      { namespace: "team-b", name: "foreign", annotations: { owner: "corp/bob" } },
      { namespace: "team-b", name: "same", annotations: { owner: "operator" } },
    );
    await task("team-a.standard", (found) => expect(found.owner).toEqual({ realm: "local", name: "ann" }));
    await task("team-a.other", (found) => expect(found.owner).toEqual({ realm: "corp", name: "bob" }));
    await task("team-b.same", (found) => expect(found.owner).toEqual(OWNER));
    await problem("namespace team-a has no right to owner local/eve");
    await problem("namespace team-b has no right to owner corp/bob");
    expect([...record.tasks.keys()].sort()).toEqual(["team-a.other", "team-a.standard", "team-b.same"]);
  });

  test("bound hosts, paths and ports; without them a service has its own names", async () => {
    const { put, task, record } = await stand({ rights });
    const services = JSON.stringify([
      { name: "one", targetPort: 1, hostLabel: "a-one" },
      { name: "two", targetPort: 2, hostLabel: "b-two" },
      { name: "three", targetPort: 3, path: "/b/" },
      { name: "four", targetPort: 4, protocol: "tcp", port: 20_001 },
    ]);
    put(
      { namespace: "team-a", name: "t", annotations: { services } },
      { namespace: "team-b", name: "t", annotations: { services } },
    );
    const asked = (found: Task) => found.services.map(({ exposures }) => exposures.map(({ by }) => by).join());
    await task("team-a.t", (found) => expect(asked(found)).toEqual(["host", "", "", "port"]));
    await task("team-b.t", (found) => expect(asked(found)).toEqual(["", "", "", ""]));
    const refused = record.problems.map(({ subject, code, message }) => `${subject} ${code} ${message}`).sort();
    expect(refused.length).toBe(6);
    expect(refused[0]).toBe(
      "kubernetes/team-a/Pod/t claim_refused Service three has its own names alone: namespace team-a has no right to path /b/.",
    );
  });

  test("bound the node's own network, also through a Service", async () => {
    const { server, put, task, problem, record } = await stand({ rights });
    put({ namespace: "node-x", name: "agent", hostNetwork: true }, { name: "agent", hostNetwork: true });
    await task("node-x.agent", (found) => expect(endpoints(found).length).toBe(1));
    await problem("namespace team has no right to hostNetwork");
    put({ name: "plain", hostNetwork: true, annotations: null });
    server.put(servicesOf("team"), serviceOf("web"));
    server.put(slicesOf("team"), sliceOf("web", [{ pod: "plain", address: "10.1.0.5" }]));
    await problem("The Pod is passed over: namespace team has no right to hostNetwork");
    expect(endpoints(record.tasks.get("team.service:web"), "http")).toEqual([]);
  });

  test("keep a task with the owner who was there first", async () => {
    const { put, task, problem } = await stand({ rights: [{ namespaces: ["team"], owners: ["*"] }] });
    put({ name: "a", annotations: { name: "job", owner: "ann" }, createdAt: "2026-01-01T00:00:00Z" });
    put({ name: "b", annotations: { name: "job", owner: "bob" }, createdAt: "2026-01-02T00:00:00Z", ip: "10.1.0.6" });
    await problem("task job of namespace team is another owner's");
    await task("team.job", (found) => expect(endpoints(found)).toEqual(["10.1.0.5:8888 a healthy"]));
  });
});

/** Each as dear to read as can be. */
function hostile(at: number): Readonly<Record<string, string>> {
  const texts = [
    "[".repeat(16_000),
    "x ".repeat(8000),
    ":/".repeat(8000),
    `[${"0,".repeat(7000)}0]`,
    `[${'{"a":'.repeat(3000)}`,
  ];
  return { services: texts[at % texts.length] ?? "", name: `bad-${String(at)}` };
}

describe("bad objects", () => {
  test.each([
    ["an unknown annotation", { colour: "red" }, "taskgate.dev/colour is unknown; expected one of enabled, name"],
    ["a name that is none", { name: "Not A Name" }, "taskgate.dev/name: expected a name of lower-case"],
    [
      "no port at all",
      { services: "web" },
      "taskgate.dev/services at 0.targetPort: expected a port, by its number or name",
    ],
    ["no list", { services: "{}" }, "taskgate.dev/services: "],
    ["nothing", { services: "" }, "taskgate.dev/services: "],
    ["no JSON", { services: "[" }, "taskgate.dev/services: expected JSON"],
    ["nesting without end", { services: "[".repeat(16_000) }, "taskgate.dev/services: expected JSON"],
    [
      "names of prototypes",
      { services: '[{"__proto__": {"x": 1}, "name": "web", "targetPort": 1}]' },
      "taskgate.dev/services",
    ],
    ["too much", { services: "x".repeat(20_000) }, "taskgate.dev/services is longer than"],
    ["no port", { services: "web:0" }, "taskgate.dev/services at 0"],
    ["two services of a name", { services: "web:1, web:2" }, "two services are named web"],
    [
      "a guard of its own",
      { services: '[{"name": "web", "targetPort": 1, "guard": "self"}]' },
      "self is for tcp and tls",
    ],
    ["access for nobody knows whom", { access: '{"with": ["link/x"]}' }, "taskgate.dev/access at with.0"],
    ["a path that is none", { path: "nb" }, "taskgate.dev/path: expected a path that starts and ends"],
    ["a path for raw TCP", { path: "/nb/", services: "web:1/tcp" }, "taskgate.dev/path: only http services"],
    ["neither true nor false", { enabled: "yes" }, 'taskgate.dev/enabled: expected "true" or "false"'],
    ["a port that is not there", { services: "web:nowhere" }, "it has no port named nowhere"],
    ["an owner who is none", { owner: "group:x" }, "names a group, where one user is meant"],
  ])("with %s are each a Problem on their own, and hurt no neighbour", async (_what, annotations, message) => {
    const { put, record, problem } = await stand();
    put({ name: "bad", annotations }, { name: "good" });
    await problem(message);
    expect(record.problems.map(({ subject }) => subject)).toEqual(["kubernetes/team/Pod/bad"]);
    expect(record.names()).toContain("good");
    put({ name: "bad" });
    await vi.waitFor(() => expect(record.problems).toEqual([]), WAIT);
  });

  test("a thousand at once are a Problem each, and their neighbours stay", async () => {
    const { put, record } = await stand();
    put({ name: "good" });
    for (let at = 0; at < 1000; at += 1) put({ name: `bad-${String(at)}`, annotations: hostile(at) });
    put({ name: "better" });
    await vi.waitFor(() => expect(record.problems.length).toBe(1000), WAIT);
    expect(record.names()).toEqual(["better", "good"]);
    expect(new Set(record.problems.map(({ subject }) => subject)).size).toBe(1000);
  });
});

describe("the cluster", () => {
  test("is asked for what is selected, in the namespaces that are named", async () => {
    const { server, put, record } = await stand({ namespaces: ["team", "other"], selector: "app=x" });
    put({ name: "nb" }, { name: "nb", namespace: "other" }, { name: "nb", namespace: "third" });
    await vi.waitFor(() => expect(record.tasks.size).toBe(2), WAIT);
    const asked = new Set(server.requests.map(({ path, query }) => `${path} ${query.get("labelSelector") ?? ""}`));
    const expected = ["other", "team"].flatMap((namespace) => [
      `${podsOf(namespace)} app=x`,
      `${servicesOf(namespace)} app=x`,
      `${slicesOf(namespace)} `,
    ]);
    expect([...asked].sort()).toEqual(expected.sort());
  });

  test("may be there later", async () => {
    const server = await FakeApiServer.start();
    onTestFinished(() => server[Symbol.asyncDispose]());
    server.put(podsOf("team"), podOf({ name: "nb" }));
    let isThere = false;
    const cluster = () =>
      isThere ? Promise.resolve(server.cluster()) : Promise.reject(new Error("kubeconfig /x cannot be read"));
    const record = recordSource();
    const watch = await provider(server, {}, { cluster }).start(record.publish, new AbortController().signal);
    onTestFinished(() => watch[Symbol.asyncDispose]());
    await vi.waitFor(() => expect(record.stale).toBe(true), WAIT);
    isThere = true;
    await vi.waitFor(() => expect(record.names()).toEqual(["nb"]), WAIT);
    expect(record.stale).toBe(false);
  });

  test("costs one task's work for one pod's change among many", async () => {
    const { put, record } = await stand();
    for (let at = 0; at < 500; at += 1) put({ name: `nb-${String(at)}` });
    await vi.waitFor(() => expect(record.tasks.size).toBe(500), WAIT);
    const heard = record.updates.length;
    put({ name: "nb-7", ip: "10.1.0.9" });
    await vi.waitFor(() => expect(record.updates.length).toBe(heard + 1), WAIT);
    expect(record.updates.at(-1)).toMatchObject({ kind: "change", set: [{ id: "team.nb-7" }], removed: [] });
  });
});
