import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatConfigProblems } from "../config-problem.ts";
import { loadConfig, type Loaded } from "../load-config.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "taskgate-determined-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** A master.yaml, read by `determined.config`. */
function master(text: string, more = ""): Loaded {
  write("master.yaml", text);
  return loadConfig({ file: write("gate.yaml", `determined:\n  config: master.yaml\n${more}`), environment: {} });
}
const said = (loaded: Loaded): string => formatConfigProblems(loaded.problems).replaceAll(`${folder}/`, "");
const providers = (loaded: Loaded) => {
  expect(said(loaded)).not.toMatch(/^(?!.*warning)./m);
  return loaded.config?.providers;
};

const BLOCK = `    gateway_name: contour
    gateway_namespace: projectcontour
    gateway_ip: 203.0.113.7
`;
/** A default manager with a block that says this. */
const withBlock = (block: string): string =>
  `resource_manager:\n  type: kubernetes\n  max_slots_per_pod: 1\n  internal_task_gateway:\n${block}`;
/** Beside it one other. */
const withOther = (other: string): string =>
  `resource_manager:\n  type: kubernetes\nadditional_resource_managers:\n  - ${other.trimStart()}`;

describe("a master.yaml as it is", () => {
  const TWO = `
db: { user: postgres, password: hunter2, host: db }
port: 8080
task_container_defaults: { cpu_pod_spec: {} }
resource_manager:
  type: kubernetes
  default_namespace: default
  max_slots_per_pod: 4
  slot_type: cuda
  determined_master_ip: 10.0.0.9
  determined_master_port: 8080
  determined_master_scheme: https
  internal_task_gateway:
${BLOCK}
resource_pools:
  - pool_name: default
    kubernetes_namespace: training
additional_resource_managers:
  - resource_manager:
      type: kubernetes
      name: gpu-west
      kubeconfig_path: ~/.kube/west
      metadata: { region: west }
      internal_task_gateway:
        gateway_name: eg
        gateway_namespace: gateways
        gateway_ip: gateway.west.example.com
        gateway_port_range_start: 49152
        gateway_port_range_end: 65535
    resource_pools:
      - pool_name: west
  - resource_manager:
      type: kubernetes
      cluster_name: "Lab #1 (old)"
      kubeconfig_path: lab.yaml
    resource_pools:
      - { pool_name: lab, task_container_defaults: {} }
`;

  test("gives a provider for each of its resource managers of Kubernetes, reached as each says", () => {
    const common = { type: "kubernetes", kinds: ["determined"], selector: "determined", namespaces: [] };
    const gateway = { listenerSets: "auto" };
    expect(providers(master(TWO))).toMatchObject([
      {
        ...common,
        name: "determined",
        reach: "gateway-api",
        gateway: {
          ...gateway,
          gateways: [{ name: "contour", namespace: "projectcontour", address: "203.0.113.7" }],
          ports: { from: 32_768, to: 65_535 },
        },
      },
      {
        ...common,
        name: "determined-gpu-west",
        kubeconfig: join(homedir(), ".kube/west"),
        reach: "gateway-api",
        gateway: {
          ...gateway,
          gateways: [{ name: "eg", namespace: "gateways", address: "gateway.west.example.com" }],
          ports: { from: 49_152, to: 65_535 },
        },
      },
      {
        ...common,
        name: expect.stringMatching(/^determined-lab-1-old-[0-9a-f]{6}$/) as string,
        kubeconfig: join(folder, "lab.yaml"),
        reach: "direct",
      },
    ]);
    expect(master(TWO).config?.providers[0]).not.toHaveProperty("kubeconfig");
  });

  test("can be written below our key as well, and then nothing of it but what is ours is kept", () => {
    const text = `determined:\n${TWO.replaceAll(/^(?=.)/gm, "  ")}`;
    const loaded = loadConfig({ file: write("gate.yaml", text), environment: {} });
    expect(providers(loaded)?.map(({ name }) => name)).toEqual(providers(master(TWO))?.map(({ name }) => name));
    expect(JSON.stringify(loaded.config)).not.toContain("hunter2");
  });

  test("is told the rest by keys beside it", () => {
    const more = `  owner: ops
  reach: port-forward
  gateway: { listenerSets: only }
  namespaces: [training]
  rights: [{ namespaces: ["*"], owners: ["local/*"] }]
`;
    expect(providers(master(TWO, more))).toMatchObject([
      { owner: "ops", gateway: { listenerSets: "only" }, namespaces: ["training"], rights: [{ owners: ["local/*"] }] },
      { owner: "ops", gateway: { listenerSets: "only" } },
      { owner: "ops", reach: "port-forward" },
    ]);
  });

  test("may name several Gateways, which Determined itself cannot", () => {
    const block = `    gateway_name:
      - { name: one, address: 10.0.0.1 }
      - { name: two, namespace: others, address: 10.0.0.2 }
    gateway_namespace: gateways
`;
    expect(providers(master(withBlock(block)))?.[0]?.gateway?.gateways).toEqual([
      { name: "one", namespace: "gateways", address: "10.0.0.1" },
      { name: "two", namespace: "others", address: "10.0.0.2" },
    ]);
  });

  test("may be of before there were resource managers", () => {
    const text = "scheduler:\n  fit: best\n  resource_provider:\n    type: kubernetes\n    kubeconfig_path: /k\n    master_service_name: x\n"; // prettier-ignore
    expect(providers(master(text))).toMatchObject([{ name: "determined", kubeconfig: "/k", reach: "direct" }]);
  });

  test.each([
    ["no block", "resource_manager:\n  type: kubernetes\n  internal_task_gateway:\n", "direct"],
    ["the least port to the greatest", withBlock(`${BLOCK}    gateway_port_range_start: 1025\n`), "gateway-api"],
    [
      "two ports",
      withBlock(`${BLOCK}    gateway_port_range_start: 65534\n    gateway_port_range_end: 65535\n`),
      "gateway-api",
    ],
    ["null for what has a default", withBlock(`${BLOCK}    gateway_port_range_start:\n`), "gateway-api"],
    ["63 characters", withBlock(BLOCK.replace("contour", "a".repeat(63))), "gateway-api"],
  ])("with %s is good", (_name, text, reach) => {
    const loaded = master(text);
    expect(said(loaded)).toBe("");
    expect(providers(loaded)).toMatchObject([{ reach }]);
  });
});

const RULE =
  "1 to 63 letters, digits, dashes, dots and underscores, with a letter or digit at both ends (kubectl get gateways --all-namespaces lists them)";
const NAME = `expected the name of a Gateway that exists, such as contour: ${RULE}`;
const AT = "resource_manager.internal_task_gateway";
const OTHER = "additional_resource_managers[0]";

/** Each with Determined's own verdict: it refuses all of them. */
describe("what Determined refuses is refused, at its place in the file", () => {
  test.each([
    [
      "gateway_name is missing",
      withBlock(BLOCK.replace(/.*gateway_name.*\n/, "")),
      `5:5: ${AT}.gateway_name: is missing: ${NAME}`,
    ],
    [
      "gateway_name is empty",
      withBlock(BLOCK.replace("contour\n", '""\n')),
      `5:19: ${AT}.gateway_name: ${NAME}, got ""`,
    ],
    [
      "gateway_name is null",
      withBlock(BLOCK.replace("contour\n", "\n")),
      `5:5: ${AT}.gateway_name: ${NAME}, got nothing`,
    ],
    [
      "gateway_name has a bad end",
      withBlock(BLOCK.replace("contour\n", "contour-\n")),
      `5:19: ${AT}.gateway_name: ${NAME}, got "contour-"`,
    ],
    [
      "gateway_name is too long",
      withBlock(BLOCK.replace("contour\n", `${"a".repeat(64)}\n`)),
      `5:19: ${AT}.gateway_name: ${NAME}, got "${"a".repeat(57)}..."`,
    ],
    [
      "gateway_name is a number",
      withBlock(BLOCK.replace("contour\n", "7\n")),
      `5:19: ${AT}.gateway_name: ${NAME}, got 7`,
    ],
    [
      "gateway_namespace is missing",
      withBlock(BLOCK.replace(/.*gateway_namespace.*\n/, "")),
      `5:5: ${AT}.gateway_namespace: is missing: expected the namespace of the Gateway, such as projectcontour: ${RULE}`,
    ],
    [
      "gateway_namespace has a slash",
      withBlock(BLOCK.replace("projectcontour", "a/b")),
      `6:24: ${AT}.gateway_namespace: expected the namespace of the Gateway, such as projectcontour: ${RULE}, got "a/b"`,
    ],
    [
      "gateway_ip is empty",
      withBlock(BLOCK.replace("203.0.113.7", '""')),
      `7:17: ${AT}.gateway_ip: expected the address of the Gateway's proxy as the gate can dial it: an IP address or a host name, such as 203.0.113.7, got ""`,
    ],
    [
      "gateway_ip is missing",
      withBlock(BLOCK.replace(/.*gateway_ip.*\n/, "")),
      `5:5: ${AT}.gateway_ip: is missing: expected the address of the Gateway's proxy as the gate can dial it: an IP address or a host name, such as 203.0.113.7`,
    ],
    [
      "the first port is too low",
      withBlock(`${BLOCK}    gateway_port_range_start: 0\n`),
      `8:31: ${AT}.gateway_port_range_start: expected a whole number from 1025 to 65535, got 0`,
    ],
    [
      "the first port is one too low",
      withBlock(`${BLOCK}    gateway_port_range_start: 1024\n`),
      `8:31: ${AT}.gateway_port_range_start: expected a whole number from 1025 to 65535, got 1024`,
    ],
    [
      "the last port is too high",
      withBlock(`${BLOCK}    gateway_port_range_end: 65536\n`),
      `8:29: ${AT}.gateway_port_range_end: expected a whole number from 1025 to 65535, got 65536`,
    ],
    [
      "a port is text",
      withBlock(`${BLOCK}    gateway_port_range_end: "65000"\n`),
      `8:29: ${AT}.gateway_port_range_end: expected a whole number from 1025 to 65535, got "65000"`,
    ],
    [
      "the range is upside down",
      withBlock(`${BLOCK}    gateway_port_range_start: 50000\n    gateway_port_range_end: 40000\n`),
      `8:31: ${AT}.gateway_port_range_start: the range 50000-40000 holds no two ports; expected gateway_port_range_start to be less than gateway_port_range_end (Determined refuses a single port, too)`,
    ],
    [
      "the range is one port",
      withBlock(`${BLOCK}    gateway_port_range_start: 65535\n`),
      `8:31: ${AT}.gateway_port_range_start: the range 65535-65535 holds no two ports; expected gateway_port_range_start to be less than gateway_port_range_end (Determined refuses a single port, too)`,
    ],
    [
      "the range ends before it starts by default",
      withBlock(`${BLOCK}    gateway_port_range_end: 30000\n`),
      `8:29: ${AT}.gateway_port_range_end: the range 32768-30000 holds no two ports; expected gateway_port_range_start to be less than gateway_port_range_end (Determined refuses a single port, too)`,
    ],
    [
      "the block is no section",
      "resource_manager:\n  type: kubernetes\n  internal_task_gateway: on\n",
      `3:26: ${AT}: expected a section with gateway_name, gateway_namespace and gateway_ip, got "on"`,
    ],
    [
      "the block is an agent's",
      `resource_manager:\n  type: agent\n  internal_task_gateway:\n${BLOCK}`,
      `4:5: ${AT}: is for type: kubernetes alone; the type is agent`,
    ],
    [
      "there is no type",
      "resource_manager:\n  cluster_name: a\n",
      "2:3: resource_manager.type: is missing: expected the type of a resource manager: agent, kubernetes, slurm, pbs",
    ],
    [
      "there is no such type",
      "resource_manager:\n  type: kubernets\n",
      '2:9: resource_manager.type: expected the type of a resource manager: agent, kubernetes, slurm, pbs, got "kubernets"; did you mean kubernetes?',
    ],
    [
      "the manager is text",
      "resource_manager: kubernetes\n",
      `1:19: resource_manager: expected a section with type: kubernetes, as in Determined's master.yaml, got "kubernetes"`,
    ],
    [
      "cluster_name is a number",
      "resource_manager:\n  type: kubernetes\n  cluster_name: 7\n",
      "3:17: resource_manager.cluster_name: expected text, got 7",
    ],
    [
      "kubeconfig_path is a list",
      "resource_manager:\n  type: kubernetes\n  kubeconfig_path: []\n",
      "3:20: resource_manager.kubeconfig_path: expected text, got a list",
    ],
    [
      "a list of pools is empty",
      "resource_manager:\n  type: kubernetes\nresource_pools: []\n",
      "3:17: resource_pools: expected at least one resource pool, such as - pool_name: gpus",
    ],
    [
      "a pool has no name",
      "resource_manager:\n  type: kubernetes\nresource_pools:\n  - description: x\n",
      "4:5: resource_pools[0].pool_name: is missing: expected the name of the resource pool, such as default",
    ],
    [
      "a pool's name is empty",
      'resource_manager:\n  type: kubernetes\nresource_pools:\n  - pool_name: ""\n',
      '4:16: resource_pools[0].pool_name: expected the name of the resource pool, such as default, got ""',
    ],
    [
      "a pool is there twice",
      "resource_manager:\n  type: kubernetes\nresource_pools:\n  - pool_name: a\n  - pool_name: a\n",
      "5:16: resource_pools[1].pool_name: a is the name of a resource pool already, at resource_pools[0]; expected a name of its own, over all resource managers",
    ],
    [
      "a pool of another manager has the same name",
      "resource_manager:\n  type: kubernetes\nresource_pools:\n  - pool_name: a\nadditional_resource_managers:\n  - resource_manager: { type: kubernetes, cluster_name: b }\n    resource_pools: [{ pool_name: a }]\n",
      `7:35: ${OTHER}.resource_pools[0].pool_name: a is the name of a resource pool already, at resource_pools[0]; expected a name of its own, over all resource managers`,
    ],
    [
      "a pool of another manager is called as the one that Determined makes",
      withOther(
        "resource_manager: { type: kubernetes, cluster_name: b }\n    resource_pools: [{ pool_name: default }]\n",
      ),
      `5:35: ${OTHER}.resource_pools[0].pool_name: default is the name of a resource pool already, at the default resource manager, whose only pool is made by Determined; expected a name of its own, over all resource managers`,
    ],
    [
      "another manager has no pools",
      withOther("resource_manager: { type: kubernetes, cluster_name: b }\n"),
      `4:5: ${OTHER}.resource_pools: expected at least one resource pool, such as - pool_name: gpus`,
    ],
    [
      "another manager has no name",
      withOther("resource_manager: { type: kubernetes }\n    resource_pools: [{ pool_name: a }]\n"),
      `4:23: ${OTHER}.resource_manager.cluster_name: is missing: expected the name of the cluster, which is one of a kind among all resource managers`,
    ],
    [
      "another manager has the default one's name",
      withOther("resource_manager: { type: kubernetes, name: default }\n    resource_pools: [{ pool_name: a }]\n"),
      `4:23: ${OTHER}.resource_manager.cluster_name: default is the name of a resource manager already, at resource_manager; expected a name of its own, over all resource managers`,
    ],
    [
      "another manager is of agents",
      withOther("resource_manager: { type: agent, cluster_name: b }\n    resource_pools: [{ pool_name: a }]\n"),
      `4:31: ${OTHER}.resource_manager.type: expected kubernetes, the only type that additional_resource_managers take, got "agent"`,
    ],
    [
      "another manager is none",
      withOther("resource_pools: [{ pool_name: a }]\n"),
      `4:5: ${OTHER}.resource_manager: is missing: expected a section with type: kubernetes, as in Determined's master.yaml`,
    ],
    [
      "the others are no list",
      "resource_manager:\n  type: kubernetes\nadditional_resource_managers: {}\n",
      "3:31: additional_resource_managers: expected a list, each item with resource_manager and resource_pools, got a section",
    ],
    [
      "the old schema is beside the new",
      "resource_manager:\n  type: kubernetes\nscheduler: {}\n",
      "3:12: scheduler: scheduler is of the old schema, and cannot stand beside resource_manager and resource_pools; expected those alone",
    ],
    [
      "a key is there twice",
      "port: 1\nport: 2\nresource_manager:\n  type: kubernetes\n",
      "2:1: port: this key is there twice",
    ],
    ["it is no YAML", "resource_manager: {\n", "2:1: this is not indented as what belongs with it"],
  ])("%s", (_name, text, message) => {
    const loaded = master(text);
    expect(loaded.config).toBeNull();
    expect(said(loaded).split("\n")).toContain(`master.yaml:${message}`);
  });

  test("all at once, and in our own file by our own keys", () => {
    const file = write(
      "gate.yaml",
      "determined:\n  resource_manager:\n    type: kubernetes\n    internal_task_gateway: {}\n",
    );
    const text = said(loadConfig({ file, environment: {} }));
    for (const key of ["gateway_name", "gateway_namespace", "gateway_ip"]) {
      expect(text).toContain(`gate.yaml:4:28: determined.resource_manager.internal_task_gateway.${key}: is missing: `);
    }
  });
});

describe("what only we can say", () => {
  test.each([
    [
      "a Gateway of a list has no address",
      withBlock("    gateway_name: [{ name: a, namespace: b }]\n"),
      `5:20: ${AT}.gateway_name[0].address: is missing: expected it here, or gateway_ip`,
    ],
    [
      "a Gateway of a list has no namespace",
      withBlock("    gateway_name: [{ name: a, address: b }]\n"),
      `5:20: ${AT}.gateway_name[0].namespace: is missing: expected it here, or gateway_namespace`,
    ],
    [
      "a Gateway is there twice",
      withBlock("    gateway_name: [{ name: a, address: b }, { name: a, address: c }]\n    gateway_namespace: n\n"),
      `5:45: ${AT}.gateway_name[1]: Gateway n/a is named twice; expected each once`,
    ],
    [
      "a list is empty",
      withBlock("    gateway_name: []\n"),
      `5:19: ${AT}.gateway_name: expected 1 to 16 Gateways, each with name and address, got a list`,
    ],
  ])("%s", (_name, text, message) => {
    expect(master(text).config).toBeNull();
    expect(said(master(text)).split("\n")).toContain(`master.yaml:${message}`);
  });

  test.each([
    ["no file", "determined:\n  config: gone.yaml\n", "gone.yaml: cannot be read (ENOENT)"],
    [
      "a key that is nobody's",
      "determined:\n  confg: master.yaml\n",
      "gate.yaml:2:3: determined.confg: unknown key; did you mean config?",
    ],
    [
      "a file and its keys",
      "determined:\n  config: master.yaml\n  resource_manager: {}\n",
      "gate.yaml:3:21: determined.resource_manager: stands in ",
    ],
    [
      "a certificate without its key",
      "determined:\n  config: master.yaml\n  tls: { authority: a, certificate: b }\n",
      "gate.yaml:3:8: determined.tls.key: certificate and key belong together: expected both or none",
    ],
    [
      "files that are not there",
      "determined:\n  config: master.yaml\n  tls: { authority: gone.pem }\n",
      "gate.yaml:3:21: determined.tls.authority: the file cannot be read (ENOENT)",
    ],
    [
      "the name of another provider",
      "determined:\n  config: master.yaml\nproviders: [{ type: kubernetes, name: determined }]\n",
      "gate.yaml:2:3: determined: there is a provider determined already",
    ],
  ])("%s is wrong", (_name, text, message) => {
    write("master.yaml", "resource_manager:\n  type: kubernetes\n");
    const loaded = loadConfig({ file: write("gate.yaml", text), environment: {} });
    expect(loaded.config).toBeNull();
    expect(said(loaded)).toContain(message);
  });

  test.each([
    [
      "agents are passed over",
      "resource_manager:\n  type: agent\n",
      "2:3: warning: resource_manager: is passed over: tasks of type agent run in no cluster of Kubernetes",
    ],
    [
      "nothing is of Kubernetes",
      "db: {}\n",
      "1:1: warning: names no resource manager of type kubernetes: no task of Determined is reached by it",
    ],
    [
      "a key that Determined does not know",
      withBlock(`${BLOCK}    gateway_port_range_strat: 40000\n`),
      `8:5: warning: ${AT}.gateway_port_range_strat: unknown key, which Determined passes over, and the gate with it; did you mean gateway_port_range_start?`,
    ],
    [
      "a name that nothing in Kubernetes can have",
      withBlock(BLOCK.replace("contour\n", "My_Gateway\n")),
      `5:19: warning: ${AT}.gateway_name: nothing in Kubernetes can be called My_Gateway: names there are lower-case letters, digits, dashes and dots`,
    ],
    [
      "an address that nobody can dial",
      withBlock(BLOCK.replace("203.0.113.7", "https://gw:443/")),
      `7:17: warning: ${AT}.gateway_ip: "https://gw:443/" is no IP address and no host name, so nothing can be dialled there; expected no scheme, port or path`,
    ],
  ])("%s: a warning, as Determined takes it", (_name, text, message) => {
    const loaded = master(text);
    expect(loaded.config).not.toBeNull();
    expect(said(loaded).split("\n")).toContain(`master.yaml:${message}`);
  });
});

test("a variable alone means nothing of Determined's, keys of a file without its configuration are told", () => {
  expect(loadConfig({ environment: { TASKGATE_DETERMINED_REACH: "direct" } }).problems).toEqual([]);
  const loaded = loadConfig({ file: write("gate.yaml", "determined:\n  owner: ops\n"), environment: {} });
  expect(said(loaded)).toBe("gate.yaml:2:3: warning: determined: names no resource manager of type kubernetes: no task of Determined is reached by it"); // prettier-ignore
});

test("the example is good, and its Gateway where it says", () => {
  const file = join(import.meta.dirname, "../../../examples/determined/taskgate.yaml");
  const loaded = loadConfig({ file, environment: {} });
  expect(loaded.problems).toEqual([]);
  expect(loaded.config?.providers).toMatchObject([
    { name: "determined", reach: "direct", rights: [{ owners: ["local/*"] }] },
    { name: "determined-west", gateway: { gateways: [{ address: "gateway.west.example.com" }] } },
  ]);
});

const DOCS = readFileSync(join(import.meta.dirname, "../../../docs/determined.md"), "utf8");
const EXAMPLES = [...DOCS.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = ""]) => text);

test.each(EXAMPLES)("an example of docs/determined.md is a configuration: %s", (text) => {
  if (text.startsWith("internal_task_gateway")) {
    expect(said(master(`resource_manager:\n  type: kubernetes\n${text.replaceAll(/^/gm, "  ")}`))).toBe("");
    return;
  }
  write("master.yaml", "resource_manager:\n  type: kubernetes\n");
  const here = text
    .replace("/etc/determined/master.yaml", "master.yaml")
    .replace("  tls:", "  config: master.yaml\n  tls:");
  const loaded = loadConfig({ file: write("gate.yaml", here), environment: {} });
  // The files of the example are nowhere here.
  const problems = loaded.problems.filter(({ message }) => !message.startsWith("the file cannot be read"));
  expect(problems).toEqual([]);
});
