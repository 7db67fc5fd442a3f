import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { runHelm } from "../testbed/kubernetes/helm.ts";
import { CHART, valueOptions, type Values } from "./support/chart.ts";

interface Rule {
  readonly ports?: readonly { readonly port: number; readonly endPort?: number }[];
  readonly from?: readonly object[];
  readonly to?: readonly object[];
}

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly policyTypes: readonly string[];
    readonly ingress: readonly Rule[];
    readonly egress: readonly Rule[];
  };
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "taskgate-policies-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const template = (said: Values): Promise<string> =>
  runHelm({ folder }, ["template", "gate", CHART, "--namespace", "gates", ...valueOptions(said)]);

/** By the component of the pods that they are for. */
async function policies(said: Values): Promise<Readonly<Record<string, Policy["spec"]>>> {
  const objects = parseAllDocuments(await template({ "networkPolicy.enabled": true, ...said }));
  const found = objects
    .map((each) => each.toJS() as Policy | null)
    .filter((each): each is Policy => each?.kind === "NetworkPolicy");
  const component = ({ spec }: Policy): string => spec.podSelector.matchLabels["app.kubernetes.io/component"] ?? "";
  return Object.fromEntries(found.map((each) => [component(each), each.spec]));
}

/** `7083,20000-20003`, with who is on the other side; undefined: everybody, or everything. */
const brief = (rules: readonly Rule[]): readonly (readonly [ports: string, peers: readonly object[] | undefined])[] =>
  rules.map(({ ports = [], from, to }) => [
    ports.map(({ port, endPort }) => (endPort === undefined ? port : `${String(port)}-${String(endPort)}`)).join(","),
    from ?? to,
  ]);

const podsOf = (component: string): object => ({
  podSelector: {
    matchLabels: {
      "app.kubernetes.io/name": "taskgate",
      "app.kubernetes.io/instance": "gate",
      "app.kubernetes.io/component": component,
    },
  },
});
const NAMES = [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }];
const TASKS = [{ namespaceSelector: {} }];

test("gates that move the bytes let everybody in at the served ports, and nobody else anywhere", async () => {
  const { gate, ...others } = await policies({ "service.tcpPorts": "20000-20003" });
  expect(others).toEqual({});
  expect(gate?.policyTypes).toEqual(["Ingress", "Egress"]);
  expect(brief(gate?.ingress ?? [])).toEqual([["7080,20000-20003", undefined]]);
  expect(brief(gate?.egress ?? [])).toEqual([
    ["53,53", NAMES],
    ["443,6443", undefined],
    ["", TASKS],
  ]);
});

test("with Envoys, these take the visitors, and they alone reach the gates", async () => {
  const { gate, envoy } = await policies({ dataPlane: "envoy" });
  expect(brief(gate?.ingress ?? [])).toEqual([["7083,7084", [podsOf("envoy")]]]);
  expect(brief(gate?.egress ?? []), "gates have nothing to ask of tasks").toEqual([
    ["53,53", NAMES],
    ["443,6443", undefined],
  ]);
  expect(brief(envoy?.ingress ?? [])).toEqual([["7080", undefined]]);
  expect(brief(envoy?.egress ?? []), "Envoys have nothing to ask of the API server").toEqual([
    ["53,53", NAMES],
    ["7083,7084", [podsOf("gate")]],
    ["", TASKS],
  ]);
});

test("metrics and visitors are for whom the values name", async () => {
  const [watchers, balancer] = [
    { namespaceSelector: { matchLabels: { team: "sre" } } },
    { ipBlock: { cidr: "192.0.2.0/24" } },
  ];
  const { gate } = await policies({
    "networkPolicy.metricsFrom": [watchers],
    "networkPolicy.visitorsFrom": [balancer],
  });
  const [visitors, metrics] = brief(gate?.ingress ?? []);
  expect(visitors?.[1]?.[0]).toEqual(balancer);
  expect(visitors?.[1], "and the release's own pods, by which it is tested").toHaveLength(2);
  expect(metrics).toEqual(["7081", [watchers]]);
});

test.each<[said: Values, message: string]>([
  [{ "envoy.kind": "StatefulSet" }, "at '/envoy/kind'"],
  [{ "envoy.hostPort": true }, "envoy.hostPort: of a DaemonSet alone"],
  [{ "envoy.kind": "DaemonSet", "envoy.autoscaling.enabled": true }, "as many pods as there are nodes"],
  [{ "envoy.tls.gateSecret": "mine" }, "gateSecret and envoySecret belong together"],
  [{ "envoy.tls.certManager.enabled": true }, "envoy.tls.certManager.issuerRef.name: who issues"],
])("what cannot be right of Envoys is refused: %j", async (said, message) => {
  await expect(template({ dataPlane: "envoy", ...said })).rejects.toThrow(message);
});

test.each<[what: string, said: Values, kinds: readonly string[]]>([
  ["made by Helm", {}, ["Secret gate-taskgate-envoy-tls", "Secret gate-taskgate-gate-tls"]],
  ["from cert-manager", { "envoy.tls.certManager.enabled": true, "envoy.tls.certManager.issuerRef.name": "ca" }, ["Certificate gate-taskgate-envoy-tls", "Certificate gate-taskgate-gate-tls"]], // prettier-ignore
  ["of one's own", { "envoy.tls.gateSecret": "a", "envoy.tls.envoySecret": "b" }, []],
])("certificates of gates and Envoys: %s", async (_what, said, expected) => {
  const objects = parseAllDocuments(await template({ dataPlane: "envoy", ...said }));
  const found = objects
    .map((each) => each.toJS() as Policy | null)
    .map((each) => `${each?.kind ?? ""} ${each?.metadata.name ?? ""}`);
  expect(found.filter((each) => each.endsWith("-tls")).sort()).toEqual(expected);
});
