import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { envoyProgram } from "../envoy.ts";
import { traefikProgram } from "../traefik.ts";
import { ADD_ON_NAMES, type AddOn, isAddOn } from "./add-ons.ts";
import { clusterNames, lockClusters, planOf, readRecord } from "./cluster-record.ts";
import { contour } from "./contour.ts";
import { envoyGateway } from "./envoy-gateway.ts";
import { adminKubeconfig } from "./kubeconfig.ts";
import { kubernetesPrograms } from "./programs.ts";
import { removeCluster } from "./remove-cluster.ts";
import { startCluster, whyNoCluster } from "./start-cluster.ts";
import { describeClusters, statusOfClusters } from "./status.ts";
import { taskGatewayConfiguration } from "./task-gateway.ts";

const DEFAULT_NAME = "testbed";

const USAGE = `Usage: npm run testbed -- COMMAND
  up [--name NAME] [--with ${ADD_ON_NAMES.join(",")}] [--api-only]   a real Kubernetes on this machine; seconds once it is built
  down [--name NAME | --all]    ends it, and leaves nothing of it
  status [--json]               the clusters, and which of their processes run
  build                         all that clusters and what is put on them are built of, once, a quarter of an hour; where it is there, nothing
  kubeconfig [--name NAME]      path of the file by which kubectl and taskgate find it; with npm run --silent, that alone
NAME: 1 to 10 letters and digits, ${DEFAULT_NAME} by default. It needs Linux and root.
`;

interface Asked {
  readonly command: string;
  readonly name: string;
  readonly addOns: readonly AddOn[];
  readonly apiOnly: boolean;
  readonly all: boolean;
  readonly json: boolean;
}

async function main(): Promise<number> {
  const asked = readArguments();
  const command = asked === null ? undefined : COMMANDS[asked.command];
  if (asked === null || command === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  try {
    return await command(asked);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

const COMMANDS: Readonly<Record<string, (asked: Asked) => Promise<number> | number>> = {
  async up({ name, addOns, apiOnly }) {
    // Who interrupts this first, which can be minutes, interrupts that alone.
    await kubernetesPrograms();
    const signal = onInterrupt();
    const on: readonly AddOn[] = apiOnly ? [] : ["dns", ...addOns];
    const options = { name, kind: apiOnly ? "api" : "node", with: on, signal } as const;
    const cluster = await startCluster(options);
    process.stdout.write(`export KUBECONFIG=${cluster.kubeconfig}\n`);
    const configuration = taskGatewayConfiguration(cluster);
    if (configuration !== null) process.stdout.write(describeConfiguration(configuration));
    return 0;
  },
  async down({ name, all }) {
    const held = await lockClusters();
    try {
      for (const one of all ? clusterNames() : [name]) await removeCluster(one);
    } finally {
      held[Symbol.dispose]();
    }
    return 0;
  },
  async build() {
    const impossible = whyNoCluster();
    if (impossible !== null) process.stdout.write(`nothing is built: ${impossible}\n`);
    else
      for (const build of [kubernetesPrograms, envoyProgram, contour, envoyGateway, () => traefikProgram(true)])
        await build();
    return 0;
  },
  status({ json }) {
    const clusters = statusOfClusters();
    process.stdout.write(json ? `${JSON.stringify(clusters, null, 2)}\n` : describeClusters(clusters));
    return 0;
  },
  kubeconfig({ name }) {
    const record = readRecord(name);
    if (record === null) throw new Error(`there is no cluster ${name}: npm run testbed -- up`);
    process.stdout.write(`${adminKubeconfig(planOf(record).folder)}\n`);
    return 0;
  },
};

function describeConfiguration(file: string): string {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return [
    `# A gate by way of its Gateway: taskgate up --config ${file}`,
    ...lines.map((line) => `#   ${line}`),
    "",
  ].join("\n");
}

/** Who interrupts a start leaves nothing behind. */
function onInterrupt(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => controller.abort(new Error(`interrupted by ${signal}: nothing is left`)));
  }
  return controller.signal;
}

function readArguments(): Asked | null {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        name: { type: "string", default: DEFAULT_NAME },
        with: { type: "string", multiple: true, default: [] },
        "api-only": { type: "boolean", default: false },
        all: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
    const named = values.with.flatMap((list) => list.split(","));
    const addOns = named.filter(isAddOn);
    if (positionals.length !== 1 || addOns.length < named.length) return null;
    const [command = ""] = positionals;
    return { command, name: values.name, addOns, apiOnly: values["api-only"], all: values.all, json: values.json };
  } catch {
    return null;
  }
}

process.exitCode = await main();
