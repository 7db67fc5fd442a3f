import { z } from "zod";
import { dotted } from "../config-keys.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { readGatewayBlock } from "./gateway-block.ts";
import type { KeyReader } from "./key-reader.ts";

type Path = readonly PropertyKey[];

/** A resource manager of Determined that runs tasks in a cluster of Kubernetes. */
export interface Manager {
  /** null: the default one. */
  readonly clusterName: string | null;
  /** As it is written; null: the cluster that the gate runs in. */
  readonly kubeconfig: string | null;
  /** null: it has no internal_task_gateway. */
  readonly gateway: Pick<GatewayConfig, "gateways" | "ports"> | null;
}

const DEFAULT_NAME = "default";
const TYPES = ["agent", "kubernetes", "slurm", "pbs"] as const;
const OLD_KEYS = ["scheduler", "provisioner"] as const;

const TEXT = "expected text";
const text = z
  .string({ error: TEXT })
  .nullish()
  .transform((value) => value ?? "");
const TYPE_ERROR = `expected the type of a resource manager: ${TYPES.join(", ")}`;
const SECTION_ERROR = "expected a section with type: kubernetes, as in Determined's master.yaml";
const ResourceManager = z.object(
  {
    type: z.enum(TYPES, { error: TYPE_ERROR }),
    cluster_name: text,
    name: text,
    kubeconfig_path: text,
  },
  { error: SECTION_ERROR },
);

const POOL_ERROR = "expected the name of the resource pool, such as default";
const Pools = z
  .array(
    z.object(
      { pool_name: z.string({ error: POOL_ERROR }).min(1, { error: POOL_ERROR }) },
      { error: "expected a section with pool_name" },
    ),
    { error: "expected a list of resource pools, each with pool_name" },
  )
  .nullish();

const LIST_ERROR = "expected a list, each item with resource_manager and resource_pools";
const Additional = z.array(z.record(z.string(), z.unknown(), { error: LIST_ERROR }), { error: LIST_ERROR }).nullish();

/** What has been named, for what has to be unique over all resource managers. */
interface Seen {
  readonly clusters: Map<string, string>;
  readonly pools: Map<string, string>;
}

/** The Kubernetes resource managers of a master.yaml, below `at`, by Determined's own rules. What is wrong is noted. */
export function readManagers(reader: KeyReader, at: Path): readonly Manager[] {
  const seen: Seen = { clusters: new Map(), pools: new Map() };
  const first = readDefault(reader, at, seen);
  const list = [...at, "additional_resource_managers"];
  const items = reader.read(Additional, list) ?? [];
  const others = items.map((_item, index) => readAdditional(reader, [...list, index], seen));
  const managers = [first, ...others].filter((manager) => manager !== null);
  if (managers.length === 0 && reader.findings.every(({ severity }) => severity === "warning")) {
    reader.warn(at, "names no resource manager of type kubernetes: no task of Determined is reached by it");
  }
  return managers;
}

function readDefault(reader: KeyReader, at: Path, seen: Seen): Manager | null {
  const path = defaultPath(reader, at);
  const pools = [...at, "resource_pools"];
  const value = reader.valueAt(path);
  const isNone = value === undefined || value === null || isEmpty(value);
  const manager = isNone ? null : reader.read(typed(path), path);
  const clusterName = manager === null ? DEFAULT_NAME : nameOf(manager) || DEFAULT_NAME;
  note(reader, seen.clusters, { name: clusterName, path: [...path, "cluster_name"], what: "resource manager" });
  // Determined makes one where no list is.
  const given = reader.read(Pools, pools);
  if (given === undefined)
    seen.pools.set(DEFAULT_NAME, "the default resource manager, whose only pool is made by Determined"); // prettier-ignore
  else if (given !== null) notePools(reader, pools, given, seen);
  if (manager === null) return null;
  return clusterOf(reader, path, { manager, clusterName: null });
}

/** Where the default resource manager is: `resource_manager`, or what was there before that (until 0.13). */
function defaultPath(reader: KeyReader, at: Path): Path {
  const old = OLD_KEYS.filter((key) => reader.valueAt([...at, key]) !== undefined);
  const [key] = old;
  const path = [...at, "resource_manager"];
  if (key === undefined) return path;
  const isNew = ["resource_manager", "resource_pools"].some((name) => reader.valueAt([...at, name]) !== undefined);
  if (isNew) {
    reader.fail([...at, key], `${key} is of the old schema, and cannot stand beside resource_manager and resource_pools; expected those alone`); // prettier-ignore
    return path;
  }
  return [...at, "scheduler", "resource_provider"];
}

/** Of the old schema the type may be left out, or be `default`: agents. */
function typed(path: Path): typeof ResourceManager {
  if (path.at(-1) !== "resource_provider") return ResourceManager;
  const type = z.preprocess((value) => (value === "default" || value === undefined ? "agent" : value), ResourceManager.shape.type); // prettier-ignore
  return ResourceManager.extend({ type }) as unknown as typeof ResourceManager;
}

function readAdditional(reader: KeyReader, at: Path, seen: Seen): Manager | null {
  const path = [...at, "resource_manager"];
  const manager = reader.read(ResourceManager, path);
  const pools = reader.read(Pools, [...at, "resource_pools"]);
  if (pools !== null) notePools(reader, [...at, "resource_pools"], pools ?? [], seen);
  if (manager === null) return null;
  const clusterName = nameOf(manager);
  if (clusterName === "") {
    reader.fail([...path, "cluster_name"], "is missing: expected the name of the cluster, which is one of a kind among all resource managers"); // prettier-ignore
  } else note(reader, seen.clusters, { name: clusterName, path: [...path, "cluster_name"], what: "resource manager" });
  if (manager.type !== "kubernetes") {
    reader.fail([...path, "type"], `expected kubernetes, the only type that additional_resource_managers take, got "${manager.type}"`); // prettier-ignore
    return null;
  }
  return clusterOf(reader, path, { manager, clusterName });
}

type Read = z.output<typeof ResourceManager>;

/** `name` is what `cluster_name` was called. */
function nameOf(manager: Read): string {
  return manager.cluster_name === "" ? manager.name : manager.cluster_name;
}

function clusterOf(
  reader: KeyReader,
  path: Path,
  { manager, clusterName }: { readonly manager: Read; readonly clusterName: string | null },
): Manager | null {
  const block = [...path, "internal_task_gateway"];
  const written = reader.valueAt(block) ?? null;
  if (manager.type !== "kubernetes") {
    if (written !== null) reader.fail(block, `is for type: kubernetes alone; the type is ${manager.type}`);
    reader.warn(path, `is passed over: tasks of type ${manager.type} run in no cluster of Kubernetes`);
    return null;
  }
  const gateway = written === null ? null : readGatewayBlock(reader, block);
  if (written !== null && gateway === null) return null;
  return { clusterName, kubeconfig: manager.kubeconfig_path === "" ? null : manager.kubeconfig_path, gateway };
}

function notePools(reader: KeyReader, path: Path, pools: readonly { readonly pool_name: string }[], seen: Seen): void {
  if (pools.length === 0) reader.fail(path, "expected at least one resource pool, such as - pool_name: gpus");
  pools.forEach(({ pool_name: name }, index) =>
    note(reader, seen.pools, { name, path: [...path, index, "pool_name"], what: "resource pool" }),
  );
}

function note(
  reader: KeyReader,
  seen: Map<string, string>,
  { name, path, what }: { readonly name: string; readonly path: Path; readonly what: string },
): void {
  const holder = seen.get(name);
  if (holder === undefined) seen.set(name, dotted(path.slice(0, -1)));
  else reader.fail(path, `${name} is the name of a ${what} already, at ${holder}; expected a name of its own, over all resource managers`); // prettier-ignore
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
