import { randomUUID } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { ownVersion } from "../src/platform/package-info.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { planOf, readRecord } from "../testbed/kubernetes/cluster-record.ts";
import { BUSYBOX_IMAGE, PYTHON_IMAGE, TASKGATE_IMAGE } from "../testbed/kubernetes/images.ts";
import { hasRemains } from "../testbed/kubernetes/remove-cluster.ts";
import { startCluster } from "../testbed/kubernetes/start-cluster.ts";
import { runProgram } from "../testbed/run-program.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { clusterPrefix } from "./support/cluster-run.ts";
import { get, startWebServer } from "./support/cluster-web.ts";
import { ROOT } from "./support/gate.ts";

const TESTBED = `${ROOT}/testbed/kubernetes/main.ts`;

/** What a program in a pod of its own says until it ends. */
async function runPod(cluster: Cluster, image: string, command: readonly string[]): Promise<string> {
  const name = `once-${randomUUID()}`;
  await cluster.kubectl([
    "run",
    name,
    `--image=${image}`,
    "--image-pull-policy=Never",
    "--restart=Never",
    "--command",
    "--",
    ...command,
  ]);
  await cluster.kubectl(["wait", "--for=jsonpath={.status.phase}=Succeeded", `pod/${name}`, "--timeout=60s"]);
  return (await cluster.kubectl(["logs", name])).trim();
}

/** Names are known a moment after Services. */
function fetch(url: string): readonly string[] {
  return ["sh", "-c", `until wget -qO- ${url} 2>&-; do sleep 0.1; done`];
}

/** Everything on this machine that is of a cluster. */
async function remainsOf({ name, link, folder, cgroup }: Cluster["plan"]): Promise<readonly string[]> {
  const inGroup = (pid: string): boolean => readIfThere(`/proc/${pid}/cgroup`).includes(cgroup);
  const ofFolder = (pid: string): boolean => readIfThere(`/proc/${pid}/cmdline`).includes(`${folder}/`);
  const routes = await runProgram("ip", ["route", "show", "table", "all"]);
  return [
    ...readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && (inGroup(pid) || ofFolder(pid))),
    ...lines(readFileSync("/proc/self/mountinfo", "utf8")).filter((line) => line.includes(`${folder}/`)),
    ...lines(routes).filter((line) => line.includes(link)),
    ...readdirSync("/sys/class/net").filter((one) => one === link),
    ...globSync(`/sys/fs/cgroup/**/${cgroup}`),
    ...(existsSync(folder) || hasRemains(name) ? [folder] : []),
  ];
}

/** What a node could have left outside of its own. */
async function machine(): Promise<unknown> {
  const folders = [
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/netns",
    "/opt/cni",
  ];
  const settings = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"];
  return {
    folders: [...folders, "/run/containerd", "/opt/containerd", "/etc/cni/net.d"].filter(existsSync),
    filters: lines(await runProgram("iptables-save", [])).filter((line) => !line.startsWith("#")),
    settings: settings.map((setting) => readFileSync(`/proc/sys/${setting}`, "utf8")),
  };
}

function lines(content: string): readonly string[] {
  return content.trim().split("\n");
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

describe.skipIf(NO_OWN_CLUSTER !== null)("the testbed's Kubernetes (Linux, as root)", () => {
  let before: unknown;
  let cluster: Cluster;
  beforeAll(async () => {
    before = await machine();
    cluster = await ownCluster("", { with: ["dns"] });
  });

  test("runs a pod, which answers by its Service's address and name, here and in pods", async () => {
    const address = await startWebServer(cluster, "web", "hello");
    await expect.poll(() => get(address).catch(String)).toBe("hello");
    expect(await runPod(cluster, BUSYBOX_IMAGE, fetch("http://web.default.svc.cluster.local"))).toBe("hello");
    expect(await runPod(cluster, BUSYBOX_IMAGE, fetch(`http://${address}`))).toBe("hello");
  });

  test("runs commands in pods and shows what they wrote", async () => {
    expect(await cluster.kubectl(["exec", "web", "--", "cat", "/tmp/www/index.html"])).toBe("hello\n");
    expect(await cluster.kubectl(["logs", "web"])).toBe("serving hello\n");
  });

  test("has images with Python and with this checkout's taskgate", async () => {
    const program = "import ssl, sqlite3, ctypes, lzma, json; print(json.dumps(6 * 7))";
    expect(await runPod(cluster, PYTHON_IMAGE, ["python3", "-c", program])).toBe("42");
    expect(await runPod(cluster, TASKGATE_IMAGE, ["taskgate", "--version"])).toContain(ownVersion());
  });

  test("is there at once where it runs", async () => {
    const { node } = readRecord(cluster.name)!;
    await ownCluster("", { with: ["dns"] });
    expect(readRecord(cluster.name)!.node).toEqual(node);
  });

  test("says by its commands what runs and where", async () => {
    const status = await runProgram(process.execPath, [TESTBED, "status", "--json"]);
    const own = (JSON.parse(status) as { name: string }[]).find(({ name }) => name === cluster.name);
    // Other suites of the run may have asked for more on it.
    const addOns = expect.arrayContaining(["dns"]) as string[];
    expect(own).toMatchObject({ state: "running", server: cluster.plan.server, addOns });
    const path = await runProgram(process.execPath, [TESTBED, "kubeconfig", "--name", cluster.name]);
    expect(path).toBe(`${cluster.kubeconfig}\n`);
    await expect(runProgram(process.execPath, [TESTBED, "up", "--with", "nonsense"])).rejects.toThrow("Usage");
  });

  test("has room for a second cluster, which comes up again after it was killed, and leaves nothing", async () => {
    const killed = await ownCluster("b");
    process.kill(readRecord(killed.name)!.node!.pid, "SIGKILL");
    const second = await ownCluster("b", { with: ["dns"] });
    const address = await startWebServer(second, "web", "second");
    await expect.poll(() => get(address).catch(String)).toBe("second");
    expect(await runPod(second, BUSYBOX_IMAGE, fetch("http://web"))).toBe("second");
    expect(await get(await cluster.kubectl(["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]))).toBe(
      "hello",
    );
    for (const { process: part } of Object.values(readRecord(second.name)!.parts)) process.kill(part.pid, "SIGKILL");
    await runProgram(process.execPath, [TESTBED, "down", "--name", second.name]);
    expect(await remainsOf(second.plan)).toEqual([]);
    expect(await cluster.kubectl(["get", "pod", "web", "-o", "jsonpath={.status.phase}"])).toBe("Running");
    expect(await machine()).toEqual(before);
  });

  test("goes on after its API server was killed, stood still, lost what is past, or was cut off", async () => {
    await using api = await ownCluster("c", { kind: "api" });
    await api.kubectl(["create", "configmap", "kept"]);
    await api.stopPart("kube-apiserver");
    await expect(api.kubectl(["get", "configmap", "kept", "--request-timeout=2s"])).rejects.toThrow("ended with 1");
    await api.startPart("kube-apiserver");
    await expect.poll(() => api.kubectl(["get", "--raw", "/readyz"]).catch(() => ""), { timeout: 30_000 }).toBe("ok");
    expect(await api.kubectl(["get", "configmap", "kept", "-o", "name"])).toBe("configmap/kept\n");
    api.pausePart("kube-apiserver");
    await expect(api.kubectl(["get", "configmaps", "--request-timeout=1s"])).rejects.toThrow("ended with 1");
    api.resumePart("kube-apiserver");
    await expect.poll(() => api.kubectl(["get", "--raw", "/readyz"]).catch(() => ""), { timeout: 30_000 }).toBe("ok");
    await api.compact();
    const old = "/api/v1/configmaps?watch=1&resourceVersion=1&timeoutSeconds=5";
    expect(await api.kubectl(["get", "--raw", old]).catch(String)).toMatch(/410|Expired|too old/);
    await api.cutOff();
    await expect(api.kubectl(["get", "namespaces", "--request-timeout=1s"])).rejects.toThrow("ended with 1");
    await api.reconnect();
    await expect.poll(() => api.kubectl(["get", "--raw", "/readyz"]).catch(() => ""), { timeout: 30_000 }).toBe("ok");
  });

  test.each(["SIGINT", "SIGKILL"] as const)("leaves nothing where its start ends by %s", async (signal) => {
    const name = `${clusterPrefix()}h`;
    const start = spawn(process.execPath, [TESTBED, "up", "--name", name], { stdio: "ignore" });
    const ended = once(start, "exit");
    await expect.poll(() => readRecord(name)?.parts.etcd, { timeout: 60_000 }).toBeDefined();
    const plan = planOf(readRecord(name)!);
    start.kill(signal);
    await ended;
    if (signal === "SIGKILL") await runProgram(process.execPath, [TESTBED, "down", "--name", name]);
    expect(await remainsOf(plan)).toEqual([]);
  });

  test("ends with its owner, and the next start removes what that left", async () => {
    const owner = spawn("sleep", ["600"]);
    await once(owner, "spawn");
    const owned = await startCluster({ name: `${clusterPrefix()}e`, kind: "api", owner: owner.pid! });
    owner.kill("SIGKILL");
    await expect.poll(() => owned.isPartAlive("etcd"), { timeout: 15_000 }).toBe(false);
    await using next = await ownCluster("f", { kind: "api" });
    expect(next.isPartAlive("etcd")).toBe(true);
    expect(await remainsOf(owned.plan)).toEqual([]);
  });
});

if (NO_OWN_CLUSTER !== null) {
  test("the testbed says why it starts no cluster here", async () => {
    await expect(startCluster({ name: "none" })).rejects.toThrow(NO_OWN_CLUSTER);
  });
}
