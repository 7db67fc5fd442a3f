import { closeSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CONFIG_KEYS, type ConfigKey } from "./config-keys.ts";
import { type ConfigProblem, type Place, problemAt } from "./config-problem.ts";
import { nearest } from "./nearest.ts";
import { type ConfigDocument, readDocument } from "./read-document.ts";

/** Of a configuration file. */
const MAX_BYTES = 1024 * 1024;

/** Values set one by one, by the environment or by flags. */
export interface Setting {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly place: Place;
}

export interface Settings {
  readonly settings: readonly Setting[];
  readonly problems: readonly ConfigProblem[];
}

/** Our own configuration file: `readFileDocument` with its paths made absolute. */
export function readConfigFile(name: string): ConfigDocument {
  const document = readFileDocument(name);
  return { ...document, value: resolvePaths(document.value, dirname(resolve(name))) };
}

/** The file as a document; what is wrong with the file itself is a problem of it. `name` is as the user wrote it. */
export function readFileDocument(name: string): ConfigDocument {
  const place: Place = { file: name, line: null, column: null };
  const unreadable = (message: string): ConfigDocument => ({
    value: undefined,
    problems: [problemAt(place, { key: "", message })],
    locate: () => place,
    locateKey: () => place,
  });
  let bytes: Uint8Array;
  try {
    bytes = readBounded(name);
  } catch (error) {
    return unreadable(`cannot be read (${errnoOf(error)})`);
  }
  if (bytes.length > MAX_BYTES) return unreadable("has more than 1 MiB; expected a configuration");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return unreadable("is not UTF-8 text");
  }
  return readDocument(text, name);
}

/** `ENOENT` and the like: why the system refused, without what it was asked. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
}

/** Stops behind the bound: the name may be that of a device or a pipe. */
function readBounded(name: string): Uint8Array {
  const file = openSync(name, "r");
  try {
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const read = readSync(file, buffer, length, buffer.length - length, null);
      length += read;
      if (read === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/** `TASKGATE_` names that are not keys of the configuration. */
const RESERVED = new Set([
  "TASKGATE_HOME",
  "TASKGATE_TOKEN",
  "TASKGATE_GATE",
  "TASKGATE_CONFIG",
  "TASKGATE_ENVOY",
  "TASKGATE_TASK",
  "TASKGATE_REPLICA",
]);
const RESERVED_PATTERNS = [
  /^TASKGATE_PORT_\d+$/,
  /^TASKGATE_TEST_/,
  // What Kubernetes gives every pod in a namespace that has a Service named taskgate.
  /^TASKGATE_SERVICE_(HOST|PORT(_\w+)?)$/,
  /^TASKGATE_PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?$/,
];

/** Settings of `TASKGATE_` variables; an empty one counts as not set. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Settings {
  const place: Place = { file: "environment", line: null, column: null };
  const known = new Map(CONFIG_KEYS.flatMap((key) => (key.environment === null ? [] : [[key.environment, key]])));
  const settings: Setting[] = [];
  const problems: ConfigProblem[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith("TASKGATE_") || text === undefined || text === "" || isReserved(name)) continue;
    const key = known.get(name);
    if (key === undefined) {
      const suggestion = nearest(name, [...known.keys(), ...RESERVED]);
      problems.push(problemAt(place, { key: name, message: "unknown variable", suggestion }));
    } else settings.push({ path: key.path, value: valueOf(key.kind, text), place: { ...place, file: name } });
  }
  return { settings, problems };
}

function isReserved(name: string): boolean {
  return RESERVED.has(name) || RESERVED_PATTERNS.some((pattern) => pattern.test(name));
}

/** Settings by key: `listen.address`. A key that there is not is reported as one in a file is. */
export function readFlags(flags: Readonly<Record<string, string>>): readonly Setting[] {
  const place: Place = { file: "command line", line: null, column: null };
  return Object.entries(flags).map(([name, text]) => {
    const key = CONFIG_KEYS.find((one) => one.key === name);
    // An entry of a map is no key of its own: tcp.services.local/echo/tcp.
    return { path: name.split("."), value: valueOf(key?.kind ?? "count", text), place };
  });
}

/** Text as the type that the key has; text that is none of that type stays, and the schema says what was expected. */
function valueOf(kind: ConfigKey["kind"], text: string): unknown {
  if (kind === "file") return resolve(text);
  if (kind === "flag" && (text === "true" || text === "false")) return text === "true";
  if (kind === "count" && /^-?\d{1,15}$/.test(text)) return Number(text);
  return text;
}

/** Makes the paths in a file's value absolute; they are relative to the file. */
function resolvePaths(value: unknown, folder: string): unknown {
  const absolute = (path: unknown): unknown => (typeof path === "string" && path !== "" ? resolve(folder, path) : path);
  return CONFIG_KEYS.filter((key) => key.kind === "file").reduce(
    (now, key) => changeAt(now, key.path, absolute),
    value,
  );
}

/** A copy with what is at `path` changed; `[]` stands for each item. What is not there stays so. */
function changeAt(value: unknown, path: readonly string[], change: (value: unknown) => unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return change(value);
  if (part === "[]") return Array.isArray(value) ? value.map((item) => changeAt(item, rest, change)) : value;
  if (!isSection(value) || !Object.hasOwn(value, part)) return value;
  return { ...value, [part]: changeAt(value[part], rest, change) };
}

/** The value with the setting in it. Where a value stands that has no keys, it stays: the schema says so. */
export function applySetting(value: unknown, path: readonly string[], setting: unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return setting;
  if (value !== undefined && !isSection(value)) return value;
  const inside = value !== undefined && Object.hasOwn(value, part) ? value[part] : undefined;
  return { ...value, [part]: applySetting(inside, rest, setting) };
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
