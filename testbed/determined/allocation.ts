import { randomUUID } from "node:crypto";
import { packFiles, type RunFile } from "./run-archive.ts";

/** Kinds of tasks, as the master writes them. */
export type TaskType = "NOTEBOOK" | "TENSORBOARD" | "SHELL" | "COMMAND" | "TRIAL";

/** What is asked of a master. */
export interface AllocationSpec {
  readonly type: TaskType;
  readonly namespace: string;
  /** Who asked. */
  readonly user: string;
  /** Ports that are declared; of what the master starts itself its own first. */
  readonly ports: readonly number[];
  /** Default: 1. */
  readonly pods?: number;
  /** Default: a new one. */
  readonly task?: string;
  /** Of a trial, its number. Default: 42. */
  readonly trial?: number;
  /** How often the task was started before. Default: 0. */
  readonly attempt?: number;
  /** Whether the master has internal_task_gateway itself. Default: false. */
  readonly masterLeads?: boolean;
  readonly program: Program;
}

/** What runs in the pods, beside what the master adds. */
export interface Program {
  readonly image: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files by absolute path. */
  readonly files?: Readonly<Record<string, RunFile>>;
  /** Folders of the machine that the pods see at the same paths. */
  readonly folders?: readonly string[];
}

/** An allocation as it is in a cluster. */
export interface Allocation {
  readonly task: string;
  /** `TASK.ATTEMPT`. */
  readonly id: string;
  /** Name of its Job and of its ConfigMap. */
  readonly job: string;
  /** What the gate calls the task, where nothing else has the name. */
  readonly name: string;
  /** A ConfigMap and a Job, in the order in which the master makes them. */
  readonly objects: readonly object[];
}

/** First eight characters of the master's own id. */
const CLUSTER = "1b2c3d4e";
const EXPERIMENT = 7;
const SOURCE = "/run/determined/temp/tar/src";
const DESTINATION = "/run/determined/temp/tar/dst";
const WORK_FOLDER = "/run/determined/temp/";
const INIT_SCRIPT = "k8_init_container_entrypoint.sh";

/** As the master has it (master/static/srv), but for the z, which busybox has to be told. */
const INIT = `#!/bin/bash
if [ $1 -le 0 ]; then
    exit 0
fi
for var in $(seq 1 1 $1); do
    IDX=$((var - 1))
    SRC=$2/$IDX.tar.gz
    DST=$3/$IDX
    mkdir $DST
    tar -xzvf $SRC -C $DST
done
`;

/**
 * What Determined's master (0.38) makes in a cluster for a task: names, labels, environment, ports and volumes as `createSpec` of its
 * Kubernetes resource manager writes them. Left out is what no cluster but its own has: its priority classes, images and log shipper.
 */
export function allocate(spec: AllocationSpec): Allocation {
  const { task = randomUUID(), type, attempt = 0, trial: number = 42, namespace } = spec;
  const id = `${task}.${String(attempt)}`;
  const trial = `exp-${String(EXPERIMENT)}-trial-${String(number)}`;
  const isTrial = type === "TRIAL";
  const job = `det-${CLUSTER}-${isTrial ? `${trial}-attempt-${String(attempt)}` : `cmd-${task}`}`;
  const metadata = { namespace, name: job };
  const archive = { [INIT_SCRIPT]: Buffer.from(INIT), ...packFiles(spec.program.files ?? {}) };
  const binaryData = Object.fromEntries(Object.entries(archive).map(([key, data]) => [key, data.toString("base64")]));
  const labels = labelsOf(spec, { task, id });
  const template = { metadata: { ...metadata, labels }, spec: podSpec(spec, { task, id, job }) };
  const pods = spec.pods ?? 1;
  return {
    ...{ task, id, job, name: isTrial ? trial : `${type.toLowerCase()}-${task.slice(0, 8)}` },
    objects: [
      { apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, labels: { determined: id } }, binaryData },
      {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { ...metadata, labels },
        spec: { parallelism: pods, completions: pods, backoffLimit: 0, ttlSecondsAfterFinished: 900, template },
      },
    ],
  };
}

interface Names {
  readonly task: string;
  readonly id: string;
  readonly job: string;
}

function labelsOf({ type, user, trial = 42 }: AllocationSpec, { task, id }: Pick<Names, "task" | "id">) {
  return {
    "determined.ai/user": user,
    "determined.ai/workspace": "Uncategorized",
    "determined.ai/resource_pool": "default",
    "determined.ai/task_type": type,
    "determined.ai/task_id": task,
    "determined.ai/container_id": randomUUID(),
    determined: id,
    "determined.ai/allocation_id": id,
    ...(type === "TRIAL"
      ? { "determined.ai/experiment_id": String(EXPERIMENT), "determined.ai/trial_id": String(trial) }
      : {}),
  };
}

function podSpec(spec: AllocationSpec, names: Names): object {
  const { image, command, files = {}, folders = [] } = spec.program;
  const own = folders.map((path, index) => ({ name: `machine-${String(index)}`, path }));
  const archives = Object.keys(files).map((path) => ({ name: "additional-files-volume", mountPath: path, subPath: `0${path}` })); // prettier-ignore
  const affinity = { key: CLUSTER, operator: "DoesNotExist" };
  const initMounts = [
    { name: "archive-volume", mountPath: SOURCE, readOnly: true },
    { name: "entrypoint-volume", mountPath: WORK_FOLDER, readOnly: true },
    { name: "additional-files-volume", mountPath: DESTINATION },
  ];
  return {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 15,
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [affinity] }] } } }, // prettier-ignore
    initContainers: [
      {
        name: "determined-init-container",
        ...{ image, imagePullPolicy: "Never", workingDir: WORK_FOLDER, volumeMounts: initMounts },
        // The testbed's images have no bash.
        command: ["/bin/sh", `${WORK_FOLDER}${INIT_SCRIPT}`],
        args: [Object.keys(files).length === 0 ? "0" : "1", SOURCE, DESTINATION],
      },
    ],
    containers: [
      {
        name: "determined-container",
        ...{ image, imagePullPolicy: "Never", command, env: envOf(spec, names) },
        ports: spec.ports.map((containerPort) => ({ containerPort })),
        volumeMounts: [
          { name: "det-shm-volume", mountPath: "/dev/shm" },
          ...archives,
          ...own.map(({ name, path }) => ({ name, mountPath: path, readOnly: true })),
        ],
      },
    ],
    volumes: [
      { name: "det-shm-volume", emptyDir: { medium: "Memory" } },
      { name: "archive-volume", configMap: { name: names.job } },
      {
        name: "entrypoint-volume",
        configMap: { name: names.job, items: [{ key: INIT_SCRIPT, path: INIT_SCRIPT }], defaultMode: 0o555 },
      },
      { name: "additional-files-volume", emptyDir: {} },
      ...own.map(({ name, path }) => ({ name, hostPath: { path } })),
    ],
  };
}

function envOf({ type, pods = 1, masterLeads = false, program }: AllocationSpec, { task, id }: Names): object[] {
  const variables = {
    DET_TASK_ID: task,
    DET_TASK_TYPE: type,
    DET_ALLOCATION_ID: id,
    DET_RESOURCES_TYPE: "k8s-job",
    DET_CLUSTER_ID: `${CLUSTER}-0000-4000-8000-000000000000`,
    DET_MASTER: "http://master.determined.svc:8080",
    DET_MASTER_HOST: "master.determined.svc",
    DET_MASTER_ADDR: "master.determined.svc",
    DET_MASTER_PORT: "8080",
    DET_SLOT_IDS: "[]",
    NVIDIA_VISIBLE_DEVICES: "void",
    DET_KUBERNETES_JOB_PARALLELISM: String(pods),
    ...(masterLeads ? { DET_PROXY_THROUGH_GATEWAY: "true" } : {}),
    ...program.env,
  };
  const fields = { DET_AGENT_ID: "spec.nodeName", DET_KUBERNETES_POD_IP: "status.podIP" };
  return [
    ...Object.entries(variables).map(([name, value]) => ({ name, value })),
    ...Object.entries(fields).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } })),
  ];
}
