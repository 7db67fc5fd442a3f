import { createHash } from "node:crypto";
import type { KubernetesObject, OwnerReference } from "../../platform/kubernetes/objects.ts";
import type { Resource } from "../../platform/kubernetes/resource.ts";
import type { Entry } from "../entry.ts";

/** `data` is in base64. */
export interface Secret extends KubernetesObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>> | null;
}

export const SECRETS: Resource<Secret> = { apiVersion: "v1", kind: "Secret", plural: "secrets", namespaced: true };

/** Where a store's Secrets are: several stores may be in one namespace. */
export interface StorePlaceName {
  readonly namespace: string;
  /** A DNS label. */
  readonly store: string;
  /** What all of it belongs to. */
  readonly owner?: OwnerReference | undefined;
}

/** What one Secret says. Its version is the Secret's: the API server's count of writes. */
export interface KeptEntry extends Entry {
  /** Of the Secret. */
  readonly name: string;
  /** Epoch ms; null: it stays. */
  readonly expiresAt: number | null;
  /** Whether it only says that the entry was removed: watches of earlier versions are told so. */
  readonly isRemoved: boolean;
  /** Another one for each write, by which its writer knows it again when the answer was lost. */
  readonly write: string;
}

export type Draft = Omit<KeptEntry, "version">;

const LABEL = "taskgate.dev/store";
const TYPE = "taskgate.dev/entry";

export function storeSelector({ store }: StorePlaceName): string {
  return `${LABEL}=${store}`;
}

/** Name of the Secret that has an entry: keys may be longer than names, and hold anything. */
export function secretName({ store }: StorePlaceName, kind: string, key: string): string {
  return `${store}-${kind}-${createHash("sha256").update(key).digest("hex")}`;
}

/** The Secret that says it; `version` null makes it. All is in `data`, the key too, for clusters that encrypt Secrets. */
export function toSecret({ namespace, store, owner }: StorePlaceName, draft: Draft, version: number | null): Secret {
  const { name, kind, key, value, expiresAt, write } = draft;
  const data: Record<string, string> = { kind, key, write };
  if (value !== null) data.value = value;
  if (expiresAt !== null) data.expiresAt = String(expiresAt);
  const labels = { "app.kubernetes.io/managed-by": "taskgate", [LABEL]: store };
  const metadata = { namespace, name, labels, ...(owner !== undefined && { ownerReferences: [owner] }) };
  return {
    metadata: version === null ? metadata : { ...metadata, resourceVersion: String(version) },
    type: TYPE,
    data: Object.fromEntries(Object.entries(data).map(([field, text]) => [field, toBase64(text)])),
  };
}

/** null: it is no entry of this store, or somebody broke it. */
export function readSecret(place: StorePlaceName, { metadata, type, data }: Secret): KeptEntry | null {
  const fields = data ?? {};
  const [kind, key, value] = [fromBase64(fields.kind), fromBase64(fields.key), fromBase64(fields.value)];
  if (type !== TYPE || kind === null || key === null) return null;
  if (metadata.name !== secretName(place, kind, key) || !isJson(value ?? "null")) return null;
  const version = Number(metadata.resourceVersion);
  const expiresAt = toTime(fromBase64(fields.expiresAt));
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(expiresAt ?? 0)) return null;
  const write = fromBase64(fields.write) ?? "";
  return { name: metadata.name, kind, key, value, version, expiresAt, isRemoved: value === null, write };
}

function toTime(text: string | null): number | null {
  return text === null ? null : Number(text);
}

function fromBase64(text: string | undefined): string | null {
  return typeof text === "string" ? Buffer.from(text, "base64").toString() : null;
}

function toBase64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
