import type { Endpoint, Identity, Task } from "../../model/index.ts";
import { canonicalIp } from "../../platform/target-check.ts";
import { buildAccess, buildService } from "../build-service.ts";
import type { ServiceEntry, TaskEntry } from "./task-schema.ts";

/** Why an address may not be a target, in words that follow it; null: it may. */
export type TargetCheck = (ip: string, port: number) => string | null;

/** A task, and what of its entry could not be taken. */
export interface BuiltTask {
  readonly task: Task;
  /** Endpoints that are left out; paths are within the entry. */
  readonly refused: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}

/** A task of the model from one entry of the file. Pure. */
export function buildTask(
  entry: TaskEntry,
  context: { readonly owner: Identity; readonly target: TargetCheck },
): BuiltTask {
  const owner = ownerOf(entry, context.owner);
  const refused: { path: readonly PropertyKey[]; message: string }[] = [];
  const endpoints = entry.services.map((service, index) => {
    const built = buildEndpoints(service, context.target);
    refused.push(...built.refused.map(({ at, message }) => ({ path: ["services", index, "endpoints", at], message })));
    return [service.name, built.list] as const;
  });
  const task: Task = {
    id: entry.name,
    name: entry.name,
    kind: entry.kind,
    owner,
    namespace: entry.namespace,
    labels: entry.labels,
    state: "running",
    services: entry.services.map((service) => buildService(service, owner)),
    endpoints: Object.fromEntries(endpoints),
    access: buildAccess(entry.access, owner),
  };
  return { task, refused };
}

function ownerOf(entry: TaskEntry, standard: Identity): Identity {
  if (entry.owner === undefined) return standard;
  return typeof entry.owner === "string" ? { realm: standard.realm, name: entry.owner } : entry.owner;
}

function buildEndpoints(
  entry: ServiceEntry,
  target: TargetCheck,
): {
  readonly list: readonly Endpoint[];
  readonly refused: readonly { readonly at: number; readonly message: string }[];
} {
  const list: Endpoint[] = [];
  const refused: { at: number; message: string }[] = [];
  for (const [at, raw] of entry.endpoints.entries()) {
    const { address, weight, replica } =
      typeof raw === "string" ? { address: raw, weight: 1, replica: undefined } : raw;
    const parsed = parseAddress(address);
    const reason =
      parsed === null ? "is no IP:PORT, such as 10.0.0.5:8888 or [2001:db8::1]:80" : target(parsed.ip, parsed.port);
    if (parsed === null || reason !== null) {
      refused.push({ at, message: `the endpoint is left out: ${JSON.stringify(address)} ${String(reason)}` });
      continue;
    }
    const ip = canonicalIp(parsed.ip);
    list.push({ address: { ip, port: parsed.port }, replica: replica ?? String(at), weight, health: "unknown" });
  }
  return { list, refused };
}

/** `10.0.0.5:8888`, `[2001:db8::1]:80`; null: neither. */
function parseAddress(text: string): { readonly ip: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const [, v6, v4, port] = match;
  return { ip: v6 ?? v4 ?? "", port: Number(port) };
}
