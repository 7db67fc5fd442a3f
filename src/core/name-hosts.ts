import { hash } from "node:crypto";

const LETTERS = Buffer.from("abcdefghijklmnopqrstuvwxyz234567");

/** RFC 1035, section 2.3.4. */
const LABEL_LENGTH = 63;
const HASH_LENGTH = 16;
const TEXT_LENGTH = LABEL_LENGTH - HASH_LENGTH - 1;
const SERVICE_LENGTH = 20;
const REPLICA_LENGTH = 14;

/** What the names of a task's services start from, prepared once for all of them: full builds make names by the hundred thousand. */
export interface NamedTask {
  /** Length-prefixed provider and task id. */
  readonly identity: string;
  /** The task's name, as hosts may hold it. */
  readonly text: string;
}

/** What the names of a service are made from. */
export interface Named {
  /** Length-prefixed provider, task id and service name: what is hashed. */
  readonly identity: string;
  /** The service's and the task's names, as hosts may hold them. */
  readonly service: string;
  readonly task: string;
  /** Of `identity`. */
  readonly hash: string;
}

/** `name` is the task's for people. */
export function nameTask(provider: string, id: string, name: string): NamedTask {
  return { identity: prefixed(provider) + prefixed(id), text: hostText(name) };
}

export function nameService(task: NamedTask, service: string): Named {
  const identity = task.identity + prefixed(service);
  return { identity, service: hostText(service), task: task.text, hash: nameHash(identity) };
}

/** `SERVICE-TASK-HASH`: the label that a service has by construction. Public: links hold it. */
export function serviceLabel(named: Named): string {
  const service = cut(named.service, SERVICE_LENGTH);
  const task = cut(named.task, TEXT_LENGTH - service.length - 1);
  return dashed(service) + dashed(task) + named.hash;
}

/**
 * `SERVICE-TASK-REPLICA-HASH`: likewise, of one replica. The hash is the service's where the label holds all three names in full; what is
 * cut or respelled could be two replicas' or the service's own, so there the replica is hashed too.
 */
export function replicaLabel(named: Named, replica: string): string {
  const service = cut(named.service, SERVICE_LENGTH);
  const which = cut(hostText(replica), REPLICA_LENGTH);
  const task = cut(named.task, TEXT_LENGTH - service.length - which.length - 2);
  const isWhole = which === replica && task === named.task && service === named.service;
  const hash = isWhole ? named.hash : nameHash(named.identity + prefixed(replica));
  return dashed(service) + dashed(task) + dashed(which) + hash;
}

/** The short label: `TASKNAME` for the first service of a task, `SERVICE-TASKNAME` for the others; empty where the name has no letters. */
export function aliasLabel(named: Named, first: boolean): string {
  if (named.task === "") return "";
  return cut(first ? named.task : dashed(named.service) + named.task, LABEL_LENGTH);
}

/** Whether a label has the shape of a name by construction. Nobody gets such a label by asking, so those never collide. */
export function isHashLabel(label: string): boolean {
  return /-[a-z2-7]{16}$/.test(label);
}

/** First 80 bits of SHA-256 over the UTF-8 of `text`, in lower-case base32 (RFC 4648, section 6): 16 characters. */
export function nameHash(text: string): string {
  const digest = hash("sha256", text, "binary");
  const [a, b, c, d] = [
    twentyBits(digest, 0),
    lowTwentyBits(digest, 2),
    twentyBits(digest, 5),
    lowTwentyBits(digest, 7),
  ];
  // All at once: names are made by the hundred thousand, and every joining leaves an object behind.
  // prettier-ignore
  return String.fromCharCode(
    letter(a >> 15), letter(a >> 10), letter(a >> 5), letter(a), letter(b >> 15), letter(b >> 10), letter(b >> 5), letter(b),
    letter(c >> 15), letter(c >> 10), letter(c >> 5), letter(c), letter(d >> 15), letter(d >> 10), letter(d >> 5), letter(d),
  );
}

/** Those from byte `at` on. */
function twentyBits(digest: string, at: number): number {
  return (digest.charCodeAt(at) << 12) | (digest.charCodeAt(at + 1) << 4) | (digest.charCodeAt(at + 2) >> 4);
}

/** Those from the middle of byte `at` on. */
function lowTwentyBits(digest: string, at: number): number {
  return ((digest.charCodeAt(at) & 15) << 16) | (digest.charCodeAt(at + 1) << 8) | digest.charCodeAt(at + 2);
}

function letter(bits: number): number {
  return LETTERS[bits & 31] ?? 0;
}

/** `BYTES:PART`, so that no two lists of parts are one text (`ab`, `c` and `a`, `bc`). */
function prefixed(part: string): string {
  return `${Buffer.byteLength(part)}:${part}`;
}

// Letters, digits and single dashes: nothing of it can look like an encoded label (RFC 5890, `xn--`).
function hostText(text: string): string {
  if (/^[a-z0-9]+(-[a-z0-9]+)*$/.test(text)) return text;
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/-$/, "");
}

function dashed(text: string): string {
  return text === "" ? "" : `${text}-`;
}
