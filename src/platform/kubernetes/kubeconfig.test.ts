import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { systemClock } from "../clock.ts";
import { findCluster } from "./find-cluster.ts";
import { inCluster } from "./cluster.ts";
import { kubeconfigPaths, loadKubeconfig } from "./kubeconfig.ts";

const { signal } = new AbortController();

async function folderOf(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-kubeconfig-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), typeof content === "string" ? content : stringify(content));
  }
  return folder;
}

function kubeconfig(user: object, cluster: object = {}) {
  return {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    contexts: [
      { name: "here", context: { cluster: "c", user: "u", namespace: "team" } },
      { name: "broken", context: { cluster: "none" } },
    ],
    clusters: [{ name: "c", cluster: { server: "https://api.example:6443", ...cluster } }],
    users: [{ name: "u", user }],
  };
}

async function load(user: object, cluster: object = {}, files: Readonly<Record<string, unknown>> = {}) {
  const folder = await folderOf({ config: kubeconfig(user, cluster), ...files });
  return await loadKubeconfig([join(folder, "config")], null, systemClock);
}

describe("kubeconfig", () => {
  test("gives the current context's cluster, with authority and certificate from beside it", async () => {
    const cluster = await load(
      { "client-certificate": "me.crt", "client-key-data": Buffer.from("KEY").toString("base64") },
      { "certificate-authority": "ca.crt", "tls-server-name": "kubernetes" },
      { "ca.crt": "CA", "me.crt": "CHAIN" },
    );
    expect(cluster).toMatchObject({ serverName: "kubernetes", insecure: false, namespace: "team" });
    expect(cluster.server.href).toBe("https://api.example:6443/");
    expect(await cluster.authority?.read()).toBe("CA");
    const { certificate } = await cluster.credentials.get(signal);
    expect([certificate?.chain, certificate?.key.reveal()]).toEqual(["CHAIN", "KEY"]);
  });

  test.each([
    ["a token", { token: "t" }, "Bearer t"],
    ["a token's file, before a token", { token: "old", tokenFile: "token" }, "Bearer from-file"],
    ["a name and password", { username: "me", password: "pw" }, `Basic ${Buffer.from("me:pw").toString("base64")}`],
  ])("takes %s", async (_what, user, expected) => {
    const cluster = await load(user, {}, { token: "from-file\n" });
    expect((await cluster.credentials.get(signal)).authorization?.reveal()).toBe(expected);
  });

  test("runs a plugin from beside it, which is told of the cluster", async () => {
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin", provideClusterInfo: true };
    const folder = await folderOf({ config: kubeconfig({ exec }) });
    const answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}';
    await writeFile(
      join(folder, "plugin"),
      `#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *api.example*) printf '${answer}' plugin;; esac\n`,
      { mode: 0o755 },
    );
    const cluster = await loadKubeconfig([join(folder, "config")], "here", systemClock);
    expect((await cluster.credentials.get(signal)).authorization?.reveal()).toBe("Bearer plugin");
  });

  test("acts as somebody else where it says so", async () => {
    const cluster = await load({ token: "t", as: "bob", "as-groups": ["x"] });
    expect(cluster.headers).toEqual({ "impersonate-user": "bob", "impersonate-group": ["x"] });
  });

  test("is put together of several files, of which the first that has a name counts", async () => {
    const first = { "current-context": "here", clusters: [{ name: "c", cluster: { server: "https://first:1" } }] };
    const folder = await folderOf({ first, second: kubeconfig({ token: "t" }) });
    const cluster = await loadKubeconfig([join(folder, "first"), join(folder, "second")], null, systemClock);
    expect(cluster.server.hostname).toBe("first");
  });

  test.each([
    ["an authentication that Kubernetes has no more", { "auth-provider": { name: "gcp" } }, {}, "use exec"],
    ["what would let it do more than it says", { token: "secret", "as-uid": "1" }, {}, "as-uid: is not supported"],
    ["a proxy", {}, { "proxy-url": "http://secret:1" }, "a proxy is not supported"],
    ["plain HTTP to elsewhere", { token: "secret" }, { server: "http://api.example" }, "expected https"],
    ["no address", {}, { server: "secret" }, "cluster c: server:"],
    [
      "a plugin that asks people",
      { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "x", interactiveMode: "Always" } },
      {},
      "Never or IfAvailable",
    ],
  ])("with %s is refused, in words without its values", async (_what, user, cluster, message) => {
    const error = await load(user, cluster).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "bad_request", message: expect.stringContaining(message) as string });
    expect((error as Error).message).not.toContain("secret");
  });

  test.each([
    ["no such context", "none", "no context named none"],
    ["a context without its cluster", "broken", "no cluster named none"],
  ])("with %s is refused", async (_what, context, message) => {
    const folder = await folderOf({ config: kubeconfig({}) });
    await expect(loadKubeconfig([join(folder, "config")], context, systemClock)).rejects.toThrow(message);
  });

  test.each([
    ["is no YAML", "token: secret: x\n  - :", "is no YAML"],
    ["is a list", "- secret", "kubeconfig"],
    ["has no context", "{}", "has no current-context"],
  ])("that %s is refused", async (_what, content, message) => {
    const folder = await folderOf({ config: content });
    const error = await loadKubeconfig([join(folder, "config")], null, systemClock).catch((caught: unknown) => caught);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain("secret");
  });

  test("is looked for where kubectl does", () => {
    expect(kubeconfigPaths({ KUBECONFIG: "/a::/b" })).toEqual(["/a", "/b"]);
    expect(kubeconfigPaths({})[0]).toMatch(/\/\.kube\/config$/);
  });
});

describe("the cluster around a pod", () => {
  const environment = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };

  test("is found by its service account", async () => {
    const folder = await folderOf({ token: "sa\n", "ca.crt": "CA", namespace: "team\n" });
    const cluster = await inCluster(environment, systemClock, folder);
    expect(cluster.server.href).toBe("https://[fd00::1]/");
    expect(cluster.namespace).toBe("team");
    expect(await cluster.authority?.read()).toBe("CA");
    expect((await cluster.credentials.get(signal)).authorization?.reveal()).toBe("Bearer sa");
  });

  test("is meant where nothing else is named, and a kubeconfig where one is", async () => {
    const folder = await folderOf({ config: kubeconfig({ token: "t" }) });
    await mkdir(join(folder, "empty"));
    expect((await findCluster({}, environment, systemClock)).server.hostname).toBe("[fd00::1]");
    const named = await findCluster({ kubeconfig: join(folder, "config") }, environment, systemClock);
    expect(named.server.hostname).toBe("api.example");
    const byEnvironment = { KUBECONFIG: join(folder, "config") };
    expect((await findCluster({}, byEnvironment, systemClock)).server.hostname).toBe("api.example");
  });
});
