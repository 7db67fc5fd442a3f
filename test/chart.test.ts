import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { runHelm } from "../testbed/kubernetes/helm.ts";
import { CHART, valueOptions, type Values } from "./support/chart.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

const PUBLIC = { "service.type": "LoadBalancer", domain: "apps.example.com" };

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
    const none = await template({ "config.providers": [], "config.store.type": "embedded", replicas: 1 });
    expect(none).not.toMatch(/kind: (Cluster)?Role/);
    expect(none).toContain("type: Recreate");
  });
});
