import { z } from "zod";
import { Config } from "./schema.ts";
import { FILE_TITLE } from "./units.ts";

/** One key that a configuration may hold. */
export interface ConfigKey {
  /** As people write it: `listen.address`, `files[].path`. */
  readonly key: string;
  /** Its segments; `[]` stands for each item of a list. */
  readonly path: readonly string[];
  /** How its text in the environment is read; `other` is not set there. */
  readonly kind: "text" | "file" | "flag" | "count" | "other";
  /** For people: `duration`, `true or false`. */
  readonly type: string;
  /** As it is written; undefined: none. */
  readonly standard: unknown;
  readonly required: boolean;
  /** The environment variable that sets it; null for what is no single value. */
  readonly environment: string | null;
  readonly description: string;
}

/** What we read of a JSON Schema (draft 2020-12) that zod wrote. */
const Node = z.looseObject({
  type: z.string().optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  default: z.json().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  required: z.array(z.string()).optional(),
  get properties() {
    return z.record(z.string(), Node).optional();
  },
  get anyOf() {
    return z.array(Node).optional();
  },
  get oneOf() {
    return z.array(Node).optional();
  },
  get items() {
    return Node.optional();
  },
  const: z.string().optional(),
});
type Node = z.output<typeof Node>;

/** The schema of what people write, before defaults and units. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(Config, { io: "input" });
}

/** Every key, in the order of the schema; a section comes before what is in it. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.freeze(keysIn(Node.parse(configJsonSchema()), []));

function keysIn(node: Node, path: readonly string[]): ConfigKey[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const at = [...path, name];
    const required = node.required?.includes(name) ?? false;
    const inside = child.items === undefined ? keysIn(child, at) : keysInItems(child.items, [...at, "[]"]);
    return [toKey(child, at, required), ...inside];
  });
}

/** Of a list whose items are of several types, each with keys of its own: `login.methods[oidc].issuer`. */
function keysInItems(item: Node, path: readonly string[]): ConfigKey[] {
  if (item.oneOf === undefined) return keysIn(item, path);
  return item.oneOf.flatMap((variant) => {
    const type = variant.properties?.type?.const ?? "";
    return keysIn(variant, path).map((key) => ({ ...key, key: key.key.replace("[]", `[${type}]`) }));
  });
}

function toKey(node: Node, path: readonly string[], required: boolean): ConfigKey {
  const kind = kindOf(node);
  return {
    key: dotted(path),
    path,
    kind,
    type: typeOf(node),
    standard: node.default,
    required,
    environment: kind !== "other" && !path.includes("[]") ? environmentName(path) : null,
    description: node.description ?? "",
  };
}

function kindOf(node: Node): ConfigKey["kind"] {
  if (node.type === "boolean") return "flag";
  // A number, or a word in its place.
  if (node.type === "integer" || node.anyOf?.some(({ type }) => type === "integer") === true) return "count";
  if (node.type !== "string") return "other";
  return node.title === FILE_TITLE ? "file" : "text";
}

function typeOf(node: Node): string {
  if (node.title !== undefined) return node.title;
  if (node.enum !== undefined) return node.enum.join(", ");
  if (node.properties !== undefined) return "section";
  if (node.items !== undefined) return node.items.type === "string" ? "list of texts" : "list of sections";
  if (node.type === "boolean") return "true or false";
  if (node.type === "integer") return `whole number, ${String(node.minimum)} to ${String(node.maximum)}`;
  return "text";
}

/** `listen.plainOnPublicAddress` → `TASKGATE_LISTEN_PLAIN_ON_PUBLIC_ADDRESS`. */
function environmentName(path: readonly string[]): string {
  return ["TASKGATE", ...path.map((part) => part.replace(/[A-Z]/g, "_$&").toUpperCase())].join("_");
}

/** `["files", 0, "path"]` → `files[0].path`. */
export function dotted(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (part === "[]") return `${text}[]`;
    if (typeof part === "number") return `${text}[${part}]`;
    const name = /^[\w-]+$/.test(String(part)) ? String(part) : JSON.stringify(String(part));
    return text === "" ? name : `${text}.${name}`;
  }, "");
}
