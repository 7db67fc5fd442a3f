import { readFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { parse } from "yaml";
import { BUSYBOX_IMAGE } from "../testbed/kubernetes/images.ts";
import { startClusterGate, WAIT } from "./support/cluster-gate.ts";
import { NO_CLUSTER, sharedCluster, type TestCluster } from "./support/cluster.ts";
import { ROOT, type TestGate } from "./support/gate.ts";

const NAMESPACE = "status";
/** Longer than anything takes that is going to happen by itself. */
const REST_MS = 3000;

/** A real API server and kubelet, kubectl as another writer, and a gate outside of the cluster. */
describe.skipIf(NO_CLUSTER !== null)("status on objects of a real cluster", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await sharedCluster();
    await cluster.kubectl(["create", "namespace", NAMESPACE]);
  });
  afterAll(async () => {
    await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
    await cluster.kubectl(["delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0"]);
  });

  const own = (args: readonly string[], input?: string) => cluster.kubectl([...args, "-n", NAMESPACE], input);

  async function startGate(kubeconfig = cluster.kubeconfig, more = {}): Promise<TestGate> {
    const rights = [{ namespaces: [NAMESPACE], hosts: ["*"] }];
    const gate = await startClusterGate([{ name: "prod", kubeconfig, namespaces: [NAMESPACE], rights, ...more }]);
    onTestFinished(() => gate[Symbol.asyncDispose]());
    return gate;
  }

  /** Annotations of ours by their names without prefix, but for what the test says itself. */
  async function carried(object: string): Promise<Readonly<Record<string, string>>> {
    const { metadata } = JSON.parse(await own(["get", object, "-o", "json"])) as {
      readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
    };
    const all = Object.entries(metadata.annotations ?? {}).map(([key, text]) => [
      key.replace("taskgate.dev/", ""),
      text,
    ]);
    return Object.fromEntries(
      all.filter(([key]) => ["address", "addresses", "problems"].includes(key ?? "")),
    ) as Readonly<Record<string, string>>;
  }

  const carries = (object: string, expected: object) =>
    vi.waitFor(async () => expect(await carried(object)).toEqual(expected), WAIT);

  /** What gates have written here, and when: the same where they wrote nothing. Kubelets and controllers go on as they like. */
  async function written(): Promise<readonly string[]> {
    const get = ["get", "pods,services,events", "--show-managed-fields", "-o", "json"];
    const { items } = JSON.parse(await own(get)) as { readonly items: readonly Written[] };
    return items.flatMap(({ kind, metadata, reportingComponent }) => {
      const { name, resourceVersion, managedFields = [] } = metadata;
      if (kind === "Event") return reportingComponent === "taskgate.dev/gate" ? [`${name} ${resourceVersion}`] : [];
      return managedFields.filter(({ manager }) => manager === "taskgate").map(({ time }) => `${kind} ${name} ${time}`);
    });
  }

  async function restsAsItIs(): Promise<void> {
    const before = await written();
    await setTimeout(REST_MS);
    expect(await written()).toEqual(before);
  }

  test("kubectl shows where a task is reached and what is wrong, which goes when it is mended", async () => {
    const gate = await startGate(await startAccount(cluster, "gate", documentedRules()));
    await cluster.apply([pod("nb"), pod("bad", { colour: "red" })]);
    const { services } = await gate.task("nb");
    await carries("pod/nb", { address: services[0]!.url });
    const message = "The Pod is left out: taskgate.dev/colour is unknown";
    await vi.waitFor(async () => {
      const described = await own(["describe", "pod", "bad"]);
      expect(described).toMatch(/taskgate\.dev\/problems:\s+\[\{"code":"task_invalid","message":"The Pod is left out/);
      expect(described).toMatch(/Warning\s+TaskInvalid\s.*The Pod is left out: taskgate\.dev\/colour is unknown/);
    }, WAIT);
    expect((await carried("pod/bad")).problems).toContain(message);
    await own(["annotate", "pod", "bad", "taskgate.dev/colour-"]);
    await carries("pod/bad", { address: (await gate.task("bad")).services[0]!.url });

    // The core's own: the host is another task's.
    await own(["annotate", "pod", "bad", "taskgate.dev/host=nb"]);
    await vi.waitFor(async () => expect((await carried("pod/bad")).problems).toContain('"code":"name_taken"'), WAIT);
    await vi.waitFor(async () => expect(await own(["describe", "pod", "bad"])).toMatch(/Warning\s+NameTaken/), WAIT);
    await own(["annotate", "pod", "bad", "taskgate.dev/enabled-"]);
    await carries("pod/bad", {});
    await restsAsItIs();
  });

  test("nobody else who writes loses anything, or has to write again", async () => {
    const gate = await startGate();
    const service = (annotations: object) => JSON.stringify(frontService(annotations));
    await own(["apply", "-f", "-"], service({ "taskgate.dev/enabled": "true", mine: "1" }));
    await vi.waitFor(async () => expect((await gate.task("front")).services[0]?.url).toBeTruthy(), WAIT);
    const { url } = (await gate.task("front")).services[0]!;
    await carries("service/front", { address: url });
    await own(["apply", "-f", "-"], service({ "taskgate.dev/enabled": "true", mine: "2" }));
    await own(
      ["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"],
      service({ "taskgate.dev/enabled": "true", mine: "3" }),
    );
    await own(["annotate", "service", "front", "theirs=1"]);
    await restsAsItIs();
    await carries("service/front", { address: url });
    expect(await own(["get", "service", "front", "-o", "jsonpath={.metadata.annotations}"])).toMatch(
      /"mine":"3".*"theirs":"1"/,
    );

    // Written over as a whole, it is written again, once.
    const bare = JSON.parse(await own(["get", "service", "front", "-o", "json"])) as {
      metadata: { annotations: Record<string, string> };
    };
    delete bare.metadata.annotations["taskgate.dev/address"];
    await own(["replace", "-f", "-"], JSON.stringify(bare));
    await carries("service/front", { address: url });

    // What somebody else says there in so many words stays theirs.
    const theirs = { "taskgate.dev/enabled": "true", "taskgate.dev/address": "https://theirs.test/" };
    await own(["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"], service(theirs));
    await restsAsItIs();
    await carries("service/front", { address: "https://theirs.test/" });
    await own(["annotate", "service", "front", "taskgate.dev/path=/not-given/"]);
    await vi.waitFor(async () => {
      const { address, problems } = await carried("service/front");
      expect([address, problems]).toEqual(["https://theirs.test/", expect.stringContaining("claim_refused")]);
    }, WAIT);
  });

  test("a gate that starts again writes nothing that is there, and takes away what it is no longer about", async () => {
    {
      await using first = await startClusterGate([
        { name: "prod", kubeconfig: cluster.kubeconfig, namespaces: [NAMESPACE] },
      ]);
      await cluster.apply([pod("stays"), pod("ends"), pod("wrong", { colour: "red" })]);
      await vi.waitFor(async () => expect((await carried("pod/wrong")).problems).toBeDefined(), WAIT);
      await carries("pod/ends", { address: (await first.task("ends")).services[0]!.url });
      await carries("pod/stays", { address: (await first.task("stays")).services[0]!.url });
    }
    await own(["annotate", "pod", "ends", "taskgate.dev/enabled=false", "--overwrite"]);
    await restsAsItIs();
    // The second gate has another port, so that addresses change.
    const others = (all: readonly string[]) => all.filter((each) => !/^Pod (nb|stays|ends) /.test(each));
    const before = await written();
    await startGate();
    await carries("pod/ends", {});
    await setTimeout(REST_MS);
    expect(others(await written())).toEqual(others(before));
  });

  test("without the right to write, one problem says so, and the tasks are served", async () => {
    const reading = documentedRules().filter(({ verbs }) => verbs.join() === "list,watch");
    const path = await startAccount(cluster, "reader", reading);
    await cluster.apply([pod("one"), pod("two"), pod("three", { colour: "red" })]);
    const gate = await startGate(path);
    await vi.waitFor(async () => {
      const problems = await forbidden(gate);
      expect(problems.length).toBe(1);
      expect(problems[0]).toContain("create and update events in namespace status, nor patch pods in namespace status");
    }, WAIT);
    expect((await gate.task("two")).id).toBe(`prod/${NAMESPACE}.two`);
    expect(await carried("pod/one")).toEqual({});
  });

  test("a Namespace gives rights, at once and as long as it says so, by the rights that are documented", async () => {
    const path = await startAccount(cluster, "giver", documentedRules());
    const gate = await startGate(path, { rightsFromNamespaces: true });
    await cluster.apply([pod("given", { owner: "corp/ann" })]);
    const problems = async (): Promise<string> => (await carried("pod/given")).problems ?? "";
    const give = (text: string) => cluster.kubectl(["annotate", "namespace", NAMESPACE, "--overwrite", text]);
    await vi.waitFor(async () => expect(await problems()).toContain("has no right to owner corp/ann"), WAIT);
    await give('taskgate.dev/rights={"owners": ["corp/*"]}');
    await vi.waitFor(async () => expect((await gate.task("given")).owner).toBe("ann"), WAIT);
    await carries("pod/given", { address: (await gate.task("given")).services[0]!.url });
    await give("taskgate.dev/rights=owners");
    await vi.waitFor(async () => expect(await problems()).toContain("has no right to owner corp/ann"), WAIT);
    expect((await gate.cli("ps")).stdout).toContain("taskgate.dev/rights: expected JSON");
    await give("taskgate.dev/rights-");
  });
});

interface Written {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly managedFields?: readonly { readonly manager: string; readonly time: string }[];
  };
  readonly reportingComponent?: string;
}

async function forbidden(gate: TestGate): Promise<readonly string[]> {
  const { stdout } = await gate.cli("ps");
  return stdout.split("\n").filter((line) => line.includes("status_forbidden") || line.includes("may not"));
}

/** Says nothing, and is never ready. */
function pod(name: string, annotations: Readonly<Record<string, string>> = {}): object {
  const own = Object.fromEntries(
    Object.entries({ enabled: "true", ...annotations }).map(([key, text]) => [`taskgate.dev/${key}`, text] as const),
  );
  const container = { image: BUSYBOX_IMAGE, imagePullPolicy: "Never", command: ["sleep", "3600"] };
  return {
    ...{
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: NAMESPACE, annotations: own },
    },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", ...container, ports: [{ name: "web", containerPort: 8080 }] }],
    },
  };
}

function frontService(annotations: object): object {
  return {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "front", namespace: NAMESPACE, annotations } },
    spec: { ports: [{ name: "http", port: 80 }] },
  };
}

interface Rule {
  readonly verbs: readonly string[];
}

/** What docs/kubernetes.md says that the gate must be allowed to. */
function documentedRules(): readonly Rule[] {
  const docs = readFileSync(join(ROOT, "docs/kubernetes.md"), "utf8");
  const [, yaml = ""] = /## What the gate must be allowed to do\n[^]*?```yaml\n([^]*?)```/.exec(docs) ?? [];
  return (parse(yaml) as { readonly rules: readonly Rule[] }).rules;
}

/** Makes an account that may do that in all of the cluster, and a kubeconfig of it; both end with the test. */
async function startAccount(cluster: TestCluster, name: string, rules: readonly Rule[]): Promise<string> {
  const metadata = { name: `${NAMESPACE}-${name}`, namespace: NAMESPACE };
  const group = "rbac.authorization.k8s.io";
  await cluster.apply([
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: `${group}/v1`, kind: "ClusterRole", metadata: { name: metadata.name }, rules },
    {
      ...{ apiVersion: `${group}/v1`, kind: "ClusterRoleBinding", metadata: { name: metadata.name } },
      roleRef: { apiGroup: group, kind: "ClusterRole", name: metadata.name },
      subjects: [{ kind: "ServiceAccount", ...metadata }],
    },
  ]);
  const token = (await cluster.kubectl(["create", "token", metadata.name, "-n", NAMESPACE])).trim();
  const folder = mkdtempSync(join(tmpdir(), "taskgate-status-"));
  onTestFinished(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cluster.kubectl(["delete", "clusterrole,clusterrolebinding", metadata.name]);
  });
  const path = join(folder, "kubeconfig");
  writeFileSync(path, JSON.stringify(asUser(cluster.kubeconfig, token)));
  return path;
}

function asUser(kubeconfig: string, token: string): object {
  const { clusters, ...rest } = parse(readFileSync(kubeconfig, "utf8")) as {
    readonly clusters: readonly { readonly name: string }[];
  };
  const context = { cluster: clusters[0]!.name, user: "account" };
  return {
    ...{ ...rest, clusters, users: [{ name: "account", user: { token } }] },
    ...{ contexts: [{ name: "account", context }], "current-context": "account" },
  };
}
