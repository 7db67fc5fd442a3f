import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { Config } from "../src/config/schema.ts";
import { runHelm } from "../testbed/kubernetes/helm.ts";
import { CHART, valueOptions, type Values } from "./support/chart.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

const PUBLIC = { "service.type": "LoadBalancer", domain: "apps.example.com" };

const FRONT = { "front.enabled": true, "front.gateway.name": "visitors", domain: "apps.example.com" };

function read(path: string): string {
  return readFileSync(path, "utf8");
}

/** `service.type`: every key that the chart itself has a meaning for. */
function keysOf(schema: Schema, prefix = ""): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) =>
    inner.properties === undefined ? [prefix + key] : keysOf(inner, `${prefix}${key}.`),
  );
}

function has(values: unknown, key: string): boolean {
  const found = key.split(".").reduce<unknown>((at, name) => (at as Values | undefined)?.[name], values);
  return found !== undefined;
}

/** Rules of one role, as `RESOURCES NAMES: VERBS`. */
function rulesOf(made: string, kind: string, name: string): readonly string[] {
  interface Role {
    readonly kind: string;
    readonly metadata: { readonly name: string };
    readonly rules: readonly Readonly<Record<"resources" | "resourceNames" | "verbs", readonly string[] | undefined>>[];
  }
  const objects = parseAllDocuments(made).map((document) => document.toJS() as Role | null);
  const role = objects.find((object) => object?.kind === kind && object.metadata.name === name);
  return (role?.rules ?? []).map(
    ({ resources = [], resourceNames, verbs = [] }) =>
      `${[resources.join(","), ...(resourceNames === undefined ? [] : [resourceNames.join(",")])].join(" ")}: ${verbs.join(",")}`,
  );
}

/** What the gate is configured by. */
function configOf(made: string): object {
  const annotations = parseAllDocuments(made).map((document) =>
    document.getIn(["spec", "template", "metadata", "annotations", "taskgate.dev/config"]),
  );
  return parse(annotations.find((text) => typeof text === "string") ?? "") as object;
}

describe("the chart", () => {
  const schema = JSON.parse(read(join(CHART, "values.schema.json"))) as Schema;
  const values = parse(read(join(CHART, "values.yaml"))) as Values;

  test("has the version of the program", () => {
    const { version } = JSON.parse(read("package.json")) as { readonly version: string };
    expect(parse(read(join(CHART, "Chart.yaml")))).toMatchObject({ version, appVersion: version });
  });

  test("has a default for every value of its schema, and no others", () => {
    const keys = keysOf(schema).filter((key) => key !== "global");
    expect(keys.filter((key) => !has(values, key))).toEqual([]);
    const unknown = Object.keys(values).filter((key) => schema.properties?.[key] === undefined);
    expect(unknown).toEqual([]);
  });
});

describe("what Helm makes of the chart", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "taskgate-chart-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function template(said: Values): Promise<string> {
    return runHelm({ folder }, ["template", "gate", CHART, ...valueOptions(said)]);
  }

  test("has nothing that its linter finds wrong", async () => {
    expect(await runHelm({ folder }, ["lint", "--strict", CHART])).toContain("0 chart(s) failed");
  });

  test.each<[said: Values, message: string]>([
    [{ replicas: 0 }, "at '/replicas': minimum: got 0, want 1"],
    [{ "service.typ": "x" }, "additional properties 'typ' not allowed"],
    [PUBLIC, "without TLS: logins would cross the network unencrypted"],
    [{ "tls.secretName": "t" }, "a certificate is for a domain of yours, not for localhost"],
    [{ "tls.certManager.enabled": true }, "tls.certManager.issuerRef.name: who issues"],
    [{ "service.type": "NodePort", "tls.allowPlain": true }, "a NodePort is from 30000 to 32767"],
    [{ "config.listen.address": "0.0.0.0:1" }, "config.listen.address: say it by the value service.port"],
    [{ "config.domain": "a" }, "config.domain: say it by the value domain"],
    [{ "config.store.type": "embedded" }, "with config.store.type embedded there is one gate"],
    [{ "service.tcpPorts": "20000-20100" }, "service.tcpPorts: 100 ports at most"],
    [{ "service.tcpPorts": "7000-7090" }, "service.tcpPorts: 7080 is a port of the gate's own"],
    [{ "front.enabled": true }, "front.gateway.name: by which Gateway"],
    [{ ...FRONT, "front.listeners.https": "" }, "front.listeners: which listener is for HTTP"],
    [{ ...FRONT, "front.tcp": "listeners" }, "front.tcp: the Service has no raw ports"],
  ])("refuses %j", async (said, message) => {
    await expect(template(said)).rejects.toThrow(message);
  });

  test("keeps state where the configuration says, and what it belongs to beside it", async () => {
    const elsewhere = await template({ "config.store.namespace": "kept" });
    expect(elsewhere).toMatch(/kind: ConfigMap\nmetadata:\n {2}name: gate-taskgate-state\n {2}namespace: kept\n/);
    expect(elsewhere).toMatch(/kind: Role\nmetadata:\n {2}name: gate-taskgate-store\n {2}namespace: kept\n/);
    expect(elsewhere).toContain("resourceNames: [gate-taskgate-state]");
    const far = await template({ "config.store.kubeconfig": "/etc/far" });
    expect(far).not.toMatch(/gate-taskgate-(state|store)$/m);
    expect(far).not.toContain("anchor:");
  });

  test("gives each provider the rights that its configuration needs, where it needs them", async () => {
    const providers = [
      { type: "kubernetes", name: "teams", namespaces: ["team-a", "team-b"] },
      { type: "kubernetes", name: "far", kubeconfig: "/etc/far" },
    ];
    const made = await template({ "config.providers": providers });
    expect(made).not.toMatch(/kind: ClusterRole/);
    expect(made.match(/^ {2}name: gate-taskgate-teams\n {2}namespace: team-[ab]$/gm)).toHaveLength(4);
    expect(made).not.toContain("gate-taskgate-far");
    expect(made.match(/verbs: \[patch\]/g)).toHaveLength(2);
    const more = { type: "kubernetes", writeStatus: false, rightsFromNamespaces: true, owners: true };
    const rights = await template({ "config.providers": [more] });
    expect(rights).not.toContain("patch");
    expect(rights).toContain("resources: [namespaces]");
    expect(rights).toContain("resources: [jobs, cronjobs]");
    const gateways = [
      { name: "tasks", namespace: "edge", address: "192.0.2.7" },
      { name: "more", namespace: "edge", address: "192.0.2.8" },
    ];
    const far = { type: "kubernetes", name: "teams", namespaces: ["team-a"], reach: "gateway-api" };
    const reach = await template({ "config.providers": [{ ...far, gateway: { gateways, tls: "terminate" } }] });
    expect(rulesOf(reach, "Role", "gate-taskgate-teams-gateway")).toEqual([
      "gateways tasks,more: get,list,watch,update",
      "listenersets: get,list,watch,create,update,delete",
      "pods,services: list",
      "secrets: create",
      "secrets taskgate-tunnel-teams: get,update",
    ]);
    expect(rulesOf(reach, "ClusterRole", "default-gate-taskgate-teams-gateway")).toHaveLength(3);
    expect(rulesOf(reach, "Role", "gate-taskgate-teams")).toContain("networkpolicies: list,watch,create,update,delete");
    const least = { gateways, networkPolicy: false, listenerSets: "never" };
    const few = await template({ "config.providers": [{ ...far, gateway: least }] });
    expect(few).not.toMatch(/networkpolicies|listenersets\]|taskgate-tunnel/);
    expect(rulesOf(few, "Role", "gate-taskgate-teams")).toContain("tcproutes: get,list,watch,create,update,delete");
    const forward = await template({ "config.providers": [{ ...far, reach: "port-forward" }] });
    expect(rulesOf(forward, "Role", "gate-taskgate-teams")).toContain("pods/portforward: get,create");
    const none = await template({ "config.providers": [], "config.store.type": "embedded", replicas: 1 });
    expect(none).not.toMatch(/kind: (Cluster)?Role/);
    expect(none).toContain("type: Recreate");
  });

  test("puts a Gateway before the gate, with the rights for what the gate makes and no more", async () => {
    expect(await template({})).not.toMatch(/front|forwarded/);
    const made = await template({ ...FRONT, "front.forwardedFrom": ["10.0.0.0/8"] });
    expect(configOf(made)).toMatchObject({
      listen: { plainOnPublicAddress: true, public: { scheme: "https" }, forwarded: { from: ["10.0.0.0/8"] } },
      front: {
        ...{ type: "gateway-api", gateway: { name: "visitors", namespace: "default" }, listeners: { https: "https" } },
        ...{ service: { name: "gate-taskgate", namespace: "default", port: 7080 }, tcp: "off" },
      },
    });
    expect(Config.safeParse(configOf(made)).error).toBeUndefined();
    expect(rulesOf(made, "Role", "gate-taskgate-front-routes")).toEqual([
      "httproutes: list,watch,create,update,delete",
    ]);
    expect(rulesOf(made, "Role", "gate-taskgate-front-service")).toEqual(["services gate-taskgate: list,watch"]);
    expect(rulesOf(made, "Role", "gate-taskgate-front-gateway")).toEqual(["gateways visitors: list,watch"]);
    const all = await template({
      ...FRONT,
      ...{ "front.gateway.namespace": "ingress", "front.listeners.grpc": "grpc", "front.listeners.tls": "tls" },
      ...{ "front.tcp": "listeners", "service.tcpPorts": "20000-20009", "front.grpcPort": 9090, "front.port": 8443 },
      "config.front.namespace": "routes",
    });
    expect(configOf(all)).toMatchObject({ listen: { public: { port: 8443, grpcPort: 9090 } } });
    expect(rulesOf(all, "Role", "gate-taskgate-front-routes")).toEqual([
      "httproutes,grpcroutes,tlsroutes,tcproutes: list,watch,create,update,delete",
    ]);
    expect(rulesOf(all, "Role", "gate-taskgate-front-service")).toHaveLength(2);
    expect(rulesOf(all, "Role", "gate-taskgate-front-gateway")).toEqual(["gateways visitors: list,watch,update"]);
    expect(all).toMatch(/name: gate-taskgate-front-gateway\n {2}namespace: ingress\n/);
    const far = await template({ ...FRONT, "config.front.kubeconfig": "/etc/far" });
    expect(far).not.toContain("gate-taskgate-front");
  });
});
