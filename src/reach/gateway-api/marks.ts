import { createHash } from "node:crypto";
import { GATE_LABEL, portOfAnnotation } from "../../platform/kubernetes/gate-marks.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";

/** Annotation of all that is made: for which unit. */
export const UNIT_ANNOTATION = "taskgate.dev/unit";

const DETERMINED_PORT_PREFIX = "determined.ai/det-gateway-port-";

/**
 * Whose something is: a value of a label, and part of a key of an annotation, so at most 50 letters of both.
 * `installation`: id of the gates that share a store, ten lower-case letters and digits.
 */
export function gateMark(installation: string, provider: string): string {
  const text = `${installation}-${provider}`;
  if (text.length <= 50 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text)) return text;
  return `${installation}-${shortHash(provider)}`;
}

/** `portAnnotation` as Determined's master writes it. */
export function determinedPortAnnotation(port: number): string {
  return `${DETERMINED_PORT_PREFIX}${String(port)}`;
}

/** Annotation of a Gateway or ListenerSet: which lead wrote it last. */
export function fenceAnnotation(mark: string): string {
  return `taskgate.dev/fence-${mark}`;
}

/** Value of `portAnnotation`. `unit` is empty of a listener that is kept for nobody, since a Gateway must have one. */
export function portMark(mark: string, unit: string): string {
  return `${mark}/${unit}`;
}

/** Whose ports are, by annotations of the object, be there listeners or not. */
export interface PortMarks {
  /** Ids of units by port, of those that are this mark's. */
  readonly own: ReadonlyMap<number, string>;
  /** Ports of other gates. */
  readonly others: readonly number[];
}

export function readPortMarks({ metadata }: KubernetesObject, mark: string): PortMarks {
  const own = new Map<number, string>();
  const others: number[] = [];
  const start = portMark(mark, "");
  const { annotations = {} } = metadata;
  for (const key in annotations) {
    const port = portOfAnnotation(key);
    if (port === null) continue;
    const value = annotations[key] ?? "";
    if (value.startsWith(start)) own.set(port, value.slice(start.length));
    else others.push(port);
  }
  return { own, others };
}

/** Fence of the lead that wrote it last; 0: none did. */
export function readFence(object: KubernetesObject, mark: string): number {
  const fence = Number(object.metadata.annotations?.[fenceAnnotation(mark)] ?? 0);
  return Number.isSafeInteger(fence) ? fence : 0;
}

export function isMarked(object: KubernetesObject, mark: string): boolean {
  return object.metadata.labels?.[GATE_LABEL] === mark;
}

/** Ten letters and digits that begin with a letter. */
export function shortHash(text: string): string {
  const digest = createHash("sha256").update(text).digest();
  const letters = digest.readBigUInt64BE().toString(36).padStart(13, "0").slice(-9);
  return `h${letters}`;
}

/** A DNS label (RFC 1035) of at most 63 characters that begins as `text` does: with a hash of `text` where that is none itself. */
export function dnsLabel(text: string): string {
  if (/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
  return hashedLabel(text, text);
}

/** The same, always with a hash: of `key`. */
export function hashedLabel(text: string, key: string): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "");
  return [plain.slice(0, 52).replace(/-+$/, ""), shortHash(key)].filter((part) => part !== "").join("-");
}
