import type { Task } from "../../../model/index.ts";
import type { KnownService, PodFacts, PodKind, Recognized } from "./pod-kind.ts";

/** Ports that Determined's master draws at random for what it starts itself, and what is behind them. */
const SYSTEM: Readonly<Record<string, KnownSystem>> = {
  TENSORBOARD: { from: 2600, to: 2899, name: "tensorboard", hasPages: true },
  // Its certificate is of the master's own authority, for no name that anybody asks for.
  NOTEBOOK: { from: 2900, to: 3199, name: "notebook", hasPages: true, policy: { upstreamTls: { verify: "none" } } },
  SHELL: { from: 3200, to: 3499, name: "ssh", protocol: "tcp" },
};

interface KnownSystem extends Omit<KnownService, "targetPort"> {
  readonly from: number;
  readonly to: number;
  /** They are below `/proxy/TASK/`, as the program is told. */
  readonly hasPages?: boolean;
}

/** Where ranks of a trial meet; declared, and nothing for anybody else. */
const RENDEZVOUS_PORT = 1734;
const ALLOCATION_LABEL = "determined";
/** Of a pod, beside those that its specification adds. */
const CONTAINER = "determined-container";
/** What the master writes for a user whom no label can hold. */
const NO_USER = "invalid_value";

/**
 * A task of Determined (0.38): all pods of its allocations, one after the other. Which of a user's `proxy_ports` are raw TCP, no pod says:
 * each is taken for HTTP.
 */
export const determined: PodKind = ({ labels, containers, ports }) => {
  const task = labels["determined.ai/task_id"];
  const type = labels["determined.ai/task_type"];
  if (task === undefined || type === undefined) return null;
  const system = SYSTEM[type];
  // In the order of numbers: the master writes them in any.
  const numbers = [...new Set(ports.map(({ port }) => port))].filter((port) => port !== RENDEZVOUS_PORT);
  numbers.sort((a, b) => a - b);
  const own = numbers.find((port) => system !== undefined && port >= system.from && port <= system.to);
  const first = system === undefined || own === undefined ? [] : [systemService(system, own)];
  const others = numbers
    .filter((port) => port !== own)
    .map((port) => ({ name: `port-${String(port)}`, targetPort: port }));
  const user = labels["determined.ai/user"];
  return {
    group: task,
    name: nameOf(labels, { task, type }),
    label: type.toLowerCase(),
    ...(user === undefined || user === NO_USER ? {} : { owner: user }),
    // A trial that is restarted has another Job, and is the same.
    instance: task,
    ...allocationOf(labels, { task, containers }),
    services: [...first, ...others],
    ...(own !== undefined && system?.hasPages === true ? { landingPath: `/proxy/${task}/` } : {}),
  };
};

/**
 * What tells the pods of the one allocation that is under way. A pod that is alone in it is always the same replica; several draw their ranks
 * among themselves, where nobody else sees it, unless their Job is indexed.
 */
function allocationOf(
  labels: PodFacts["labels"],
  { task, containers }: { readonly task: string } & Pick<PodFacts, "containers">,
): Pick<Recognized, "selector" | "size" | "rank"> {
  const env = containers.find(({ name }) => name === CONTAINER)?.env ?? [];
  const valueOf = (variable: string): string => env.find(({ name }) => name === variable)?.value ?? "";
  const size = valueOf("DET_KUBERNETES_JOB_PARALLELISM");
  const allocation = labels[ALLOCATION_LABEL];
  const isWhole = allocation?.startsWith(`${task}.`) === true && labels["determined.ai/allocation_id"] === allocation;
  // A master that leads through a Gateway by itself counts the objects of an allocation, and kills it after a restart where there are more.
  const isLeftToUs = valueOf("DET_PROXY_THROUGH_GATEWAY") === "";
  return {
    ...(isWhole && isLeftToUs ? { selector: { [ALLOCATION_LABEL]: allocation } } : {}),
    ...(/^[1-9]\d{0,5}$/.test(size) ? { size: Number(size) } : {}),
    ...(size === "1" ? { rank: "0" } : {}),
  };
}

/** Whether it is a notebook that Determined's master started: one that speaks TLS by the master's authority. */
export function isNotebook({ id, kind }: Task): boolean {
  return kind === "notebook" && id.includes(".determined:");
}

function systemService({ name, protocol, policy }: KnownSystem, targetPort: number): KnownService {
  return {
    name,
    targetPort,
    ...(protocol === undefined ? {} : { protocol }),
    ...(policy === undefined ? {} : { policy }),
  };
}

function nameOf(labels: PodFacts["labels"], { task, type }: { readonly task: string; readonly type: string }): string {
  const { "determined.ai/experiment_id": experiment, "determined.ai/trial_id": trial } = labels;
  if (experiment !== undefined && trial !== undefined) return `exp-${experiment}-trial-${trial}`;
  return `${type.toLowerCase().replaceAll("_", "-")}-${task.slice(0, 8)}`;
}
