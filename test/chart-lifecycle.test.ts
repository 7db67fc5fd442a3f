import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { TASKGATE_IMAGE } from "../testbed/kubernetes/images.ts";
import { askAt, askOn, CHART, openAt, Release, valueOptions, type Visitor } from "./support/chart.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";

const NAMESPACE = "chart";
const TEAM = "chart-team";
const PORT = 7080;
const WAIT = { timeout: 40_000, interval: 100 };
const VALUES = {
  replicas: 1,
  "drain.preStopSeconds": 2,
  "drain.seconds": 20,
  // The machine of a test is small, and shared.
  "resources.requests": { cpu: "10m" },
};
const UPGRADED = { ...VALUES, replicas: 2, "config.log.level": "debug" };

/** One installation from the first to the last day, by real Helm: each test goes on where the one before it ended. */
describe.skipIf(NO_OWN_CLUSTER !== null)("taskgate in a cluster, by Helm", () => {
  let cluster: Cluster;
  let release: Release;
  /** All that was there before. */
  let before: readonly string[];
  let address: string;
  let token: string;

  beforeAll(async () => {
    cluster = await ownCluster("", { with: ["dns"] });
    release = new Release(cluster, { name: "taskgate", namespace: NAMESPACE });
    await cluster.apply([
      namespace(NAMESPACE, { "pod-security.kubernetes.io/enforce": "restricted" }),
      namespace(TEAM, {}),
    ]);
    await vi.waitFor(async () => expect(await objects()).toContain("serviceaccount/default"), WAIT);
    before = await objects();
  });
  afterAll(async () => {
    await cluster.kubectl(["delete", "namespace", NAMESPACE, TEAM, "--ignore-not-found", "--wait=false"]);
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

  test("is installed where only restricted pods may run, with its own tests passed", async () => {
    const said = await release.helm(
      "install",
      CHART,
      ...valueOptions({ ...VALUES, keepState: true }),
      "--wait",
      "--timeout=90s",
    );
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
      ...[
        ["watch", "pods", TEAM, "yes"],
        ["patch", "pods", TEAM, "yes"],
        ["list", "services", TEAM, "yes"],
        ["get", "secrets", NAMESPACE, "yes"],
      ],
      ...[
        ["update", "leases.coordination.k8s.io", NAMESPACE, "yes"],
        ["get", "secrets", TEAM, "no"],
      ],
      ...[
        ["create", "pods", NAMESPACE, "no"],
        ["patch", "pods", TEAM, "no"],
        ["create", "pods/exec", TEAM, "no"],
      ],
      ...[
        ["list", "namespaces", TEAM, "no"],
        ["list", "nodes", TEAM, "no"],
        ["list", "configmaps", NAMESPACE, "no"],
      ],
    ] as const;
    const found = await Promise.all(asked.map(async ([verb, what, where]) => [verb, what, where, await may(verb, what, where)])); // prettier-ignore
    expect(found).toEqual(asked);
  });

  test("is upgraded, from one gate to two, without a request lost or a stream cut", async () => {
    const stream = await openAt(visitor(), "first.localhost", "/stream");
    const asking = askOn(visitor(), "first.localhost");
    const [former] = await release.gates();
    await release.helm("upgrade", CHART, ...valueOptions({ ...UPGRADED, keepState: true }), "--wait", "--timeout=90s");
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
    const bad = valueOptions({ ...UPGRADED, keepState: true, "config.limits.trys": 5 });
    await expect(release.helm("upgrade", CHART, ...bad, "--wait", "--timeout=6s")).rejects.toThrow(
      /deadline|timed out/,
    );
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

  test("keeps its state where it is to, takes it up again, and leaves nothing else, or nothing at all", async () => {
    await release.helm("uninstall", "--wait", "--timeout=60s");
    await vi.waitFor(async () => {
      const left = (await objects()).filter((name) => !before.includes(name));
      expect(left).toContain("configmap/taskgate-state");
      expect(left.filter((name) => !/^(secret|lease\.coordination\.k8s\.io|configmap)\/taskgate-/.test(name))).toEqual(
        [],
      );
    }, WAIT);
    await release.helm("install", CHART, ...valueOptions(VALUES), "--wait", "--timeout=90s");
    address = await release.address();
    await vi.waitFor(async () => expect((await askAt(visitor(), "first.localhost")).status).toBe(200), WAIT);
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
