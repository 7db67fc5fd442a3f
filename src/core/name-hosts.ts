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
}

/** `name` is the task's for people. */
export function nameTask(provider: string, id: string, name: string): NamedTask {
  return { identity: prefixed(provider) + prefixed(id), text: hostText(name) };
}

export function nameService(task: NamedTask, service: string): Named {
  return { identity: task.identity + prefixed(service), service: hostText(service), task: task.text };
}

/** `SERVICE-TASK-HASH`: the label that a service has by construction. Public: links hold it. */
export function serviceLabel(named: Named): string {
  const service = cut(named.service, SERVICE_LENGTH);
  const task = cut(named.task, TEXT_LENGTH - service.length - 1);
  return dashed(service) + dashed(task) + nameHash(named.identity);
}

/** `SERVICE-TASK-REPLICA-HASH`: likewise, of one replica. */
export function replicaLabel(named: Named, replica: string): string {
  const service = cut(named.service, SERVICE_LENGTH);
  const which = cut(hostText(replica), REPLICA_LENGTH);
  const task = cut(named.task, TEXT_LENGTH - service.length - which.length - 2);
  return dashed(service) + dashed(task) + dashed(which) + nameHash(named.identity + prefixed(replica));
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
  return eightLetters(digest, 0) + eightLetters(digest, 5);
}

// 40 bits from byte `at` on, in two halves because a number's bit operations have 32.
function eightLetters(digest: string, at: number): string {
  const middle = digest.charCodeAt(at + 2);
  const high = (digest.charCodeAt(at) << 12) | (digest.charCodeAt(at + 1) << 4) | (middle >> 4);
  const low = ((middle & 15) << 16) | (digest.charCodeAt(at + 3) << 8) | digest.charCodeAt(at + 4);
  const start = String.fromCharCode(letter(high >> 15), letter(high >> 10), letter(high >> 5), letter(high));
  return start + String.fromCharCode(letter(low >> 15), letter(low >> 10), letter(low >> 5), letter(low));
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
