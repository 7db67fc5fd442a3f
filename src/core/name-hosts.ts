import { hash } from "node:crypto";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
// Two characters (ten bits) at a time: names are hashed for every service and replica of a full build.
const PAIRS = Array.from({ length: 1024 }, (_, bits) => (ALPHABET[bits >> 5] ?? "") + (ALPHABET[bits & 31] ?? ""));

/** RFC 1035, section 2.3.4. */
const LABEL_LENGTH = 63;
const HASH_LENGTH = 16;
const TEXT_LENGTH = LABEL_LENGTH - HASH_LENGTH - 1;
const SERVICE_LENGTH = 20;
const REPLICA_LENGTH = 14;

/** What a name is made from. `task` is the task's id, `taskName` its name for people. */
export interface Named {
  readonly provider: string;
  readonly task: string;
  readonly taskName: string;
  readonly service: string;
}

/** `SERVICE-TASK-HASH`: the label that a service has by construction. Public: links hold it. */
export function serviceLabel(named: Named): string {
  const service = cut(hostText(named.service), SERVICE_LENGTH);
  const task = cut(hostText(named.taskName), TEXT_LENGTH - service.length - 1);
  return join(service, task, nameHash([named.provider, named.task, named.service]));
}

/** `SERVICE-TASK-REPLICA-HASH`: likewise, of one replica. */
export function replicaLabel(named: Named, replica: string): string {
  const service = cut(hostText(named.service), SERVICE_LENGTH);
  const which = cut(hostText(replica), REPLICA_LENGTH);
  const task = cut(hostText(named.taskName), TEXT_LENGTH - service.length - which.length - 2);
  return join(service, task, which, nameHash([named.provider, named.task, named.service, replica]));
}

/** The short label: `TASKNAME` for the first service of a task, `SERVICE-TASKNAME` for the others; empty where the name has no letters. */
export function aliasLabel(taskName: string, service: string, first: boolean): string {
  const task = hostText(taskName);
  if (task === "") return "";
  return cut(first ? task : `${hostText(service)}-${task}`, LABEL_LENGTH);
}

/** Whether a label has the shape of a name by construction. Nobody gets such a label by asking, so those never collide. */
export function isHashLabel(label: string): boolean {
  return /-[a-z2-7]{16}$/.test(label);
}

/**
 * First 80 bits of SHA-256 over every part as `BYTES:PART` (its length in UTF-8 and itself), in lower-case base32 (RFC 4648, section 6):
 * 16 characters.
 */
export function nameHash(parts: readonly string[]): string {
  let text = "";
  for (const part of parts) text += `${String(Buffer.byteLength(part))}:${part}`;
  const digest = hash("sha256", text, "binary");
  return eightLetters(digest, 0) + eightLetters(digest, 5);
}

// 40 bits from byte `at` on.
function eightLetters(digest: string, at: number): string {
  const middle = digest.charCodeAt(at + 2);
  const high = (digest.charCodeAt(at) << 12) | (digest.charCodeAt(at + 1) << 4) | (middle >> 4);
  const low = ((middle & 15) << 16) | (digest.charCodeAt(at + 3) << 8) | digest.charCodeAt(at + 4);
  return `${pair(high >> 10)}${pair(high)}${pair(low >> 10)}${pair(low)}`;
}

function pair(bits: number): string {
  return PAIRS[bits & 1023] ?? "";
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

function join(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("-");
}
