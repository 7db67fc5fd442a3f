import { hash } from "node:crypto";
import { z } from "zod";
import { STATUS_ANNOTATIONS } from "./status-annotations.ts";
import { AccessEntry, checkService, checkServiceNames, label, Name, serviceFields } from "../service-entry.ts";

/** What all annotations of ours begin with. */
export const PREFIX = "taskgate.dev/";

/** Characters of one, and of all that one object has: it may carry 256 KiB, and what is read stays in memory. */
const MOST_TEXT = 16 * 1024;
const MOST_ALL = 32 * 1024;
/** In the place of what goes beyond that. No annotation has a name like this. */
const OVERFLOW = "";
/** What is read is kept: most objects say what others say, and all of them the same whenever their state changes. */
const MOST_KEPT = 2000;
/** Characters beyond which a text is known again by its hash. */
const MOST_KEY = 512;
const MOST_SERVICES = 64;

/** A port of the pod or Service, by number or by name. */
const Target = z.union([z.int().min(1).max(65_535), z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)], {
  error: "expected a port, by its number or name",
});

const Service = z
  .strictObject({
    ...serviceFields,
    targetPort: Target.describe("A port of the pod or Service, by number or by name."),
  })
  .superRefine(checkService);
export type AnnotatedService = z.output<typeof Service>;

const Services = z
  .array(Service)
  .min(1)
  .max(MOST_SERVICES)
  .superRefine((services, context) => checkServiceNames(services, context, []));

const Plain = z.strictObject({
  enabled: z.enum(["true", "false"], { error: 'expected "true" or "false"' }),
  name: label("a name").optional(),
  kind: z.string().min(1).max(128).optional(),
  owner: Name.optional(),
  access: z.string().optional(),
  services: z.string().optional(),
  "landing-path": z.string().optional(),
  path: z.string().optional(),
  host: z.string().optional(),
});

/** What an object says of the task that it is of; absent: left to what the object is. */
export interface Annotated {
  readonly name?: string;
  readonly kind?: string;
  /** `[REALM/]NAME`, not read yet. */
  readonly owner?: string;
  readonly access: AccessEntry;
  /** null: each port that the object declares. */
  readonly services: readonly AnnotatedService[] | null;
  /** What is said of the first service apart; in `services` it is already. */
  readonly first: FirstFields;
}

type FirstFields = Pick<AnnotatedService, "landingPath" | "path" | "hostLabel">;

/** What there is to read: nothing for us, a task, or what is wrong with it. */
export type ReadAnnotations =
  | { readonly kind: "none" }
  | { readonly kind: "task"; readonly annotated: Annotated }
  | { readonly kind: "bad"; readonly message: string };

type Bad = ReadAnnotations & { readonly kind: "bad" };

const NONE: ReadAnnotations = Object.freeze({ kind: "none" });

/** Annotations of ours by their names without the prefix, as an object has them. */
export type Texts = Readonly<Record<string, string>>;

export const NO_TEXTS: Texts = Object.freeze({});

/** Those of ours among an object's annotations, but for what the gate itself writes; `NO_TEXTS` itself where there are none. */
export function ownTexts(all: Readonly<Record<string, string>> | undefined): Texts {
  const own = Object.entries(all ?? {}).filter(([key]) => key.startsWith(PREFIX) && !STATUS_ANNOTATIONS.has(key));
  if (own.length === 0) return NO_TEXTS;
  const size = own.reduce((sum, [key, text]) => sum + key.length + text.length, 0);
  if (size > MOST_ALL) return { enabled: all?.[`${PREFIX}enabled`] === "false" ? "false" : "true", [OVERFLOW]: "" };
  return Object.fromEntries(own.map(([key, text]) => [key.slice(PREFIX.length), text]));
}

/** Reads annotations, each text that differs once. */
export class AnnotationReader {
  readonly #kept = new Map<string, ReadAnnotations>();

  /** What these say together. Never throws. */
  read(texts: Texts): ReadAnnotations {
    if (texts.enabled === undefined || texts.enabled === "false") return NONE;
    const own = Object.entries(texts);
    const all = JSON.stringify(own.sort());
    const text = all.length > MOST_KEY ? hash("sha256", all, "base64") : all;
    const known = this.#kept.get(text);
    if (known !== undefined) return known;
    const read = readOwn(own);
    if (this.#kept.size >= MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? "");
    this.#kept.set(text, read);
    return read;
  }
}

function readOwn(own: readonly (readonly [name: string, text: string])[]): ReadAnnotations {
  if (own.some(([name]) => name === OVERFLOW)) return bad("*", `is more than ${String(MOST_ALL)} characters in all`);
  const long = own.find(([, text]) => text.length > MOST_TEXT);
  if (long !== undefined) return bad(long[0], `is longer than ${String(MOST_TEXT)} characters`);
  const plain = Plain.safeParse(Object.fromEntries(own));
  return plain.success ? readStructured(plain.data) : badIssue("", plain.error);
}

function readStructured(plain: z.output<typeof Plain>): ReadAnnotations {
  const services =
    plain.services === undefined
      ? { value: null }
      : readJson("services", plain.services, { schema: Services, short: readShort });
  if ("kind" in services) return services;
  const access = readJson("access", plain.access ?? "nobody", { schema: AccessEntry, short: (text) => text });
  if ("kind" in access) return access;
  const said = { landingPath: plain["landing-path"], path: plain.path, hostLabel: plain.host };
  const first = FirstService.safeParse(withoutUndefined(said));
  if (!first.success) return badIssue("", first.error, FIRST_NAMES);
  const merged = services.value === null ? null : mergeFirst(services.value, first.data);
  if (merged !== null && "refusal" in merged) return { kind: "bad", message: merged.refusal };
  const { name, kind, owner } = plain;
  const annotated = {
    ...withoutUndefined({ name, kind, owner }),
    access: access.value,
    services: merged,
    first: first.data,
  };
  return { kind: "task", annotated };
}

/** The services, of which the first is said to be so, too; or why it cannot be. */
export function mergeFirst(
  services: readonly AnnotatedService[],
  first: FirstFields,
): readonly AnnotatedService[] | { readonly refusal: string } {
  const [service, ...rest] = services;
  if (service === undefined || Object.keys(first).length === 0) return services;
  const merged = Service.safeParse({ ...first, ...service });
  return merged.success ? [merged.data, ...rest] : { refusal: badIssue("", merged.error, FIRST_NAMES).message };
}

const { landingPath, path, hostLabel } = serviceFields;
const FirstService = z.object({ landingPath, path, hostLabel });
const FIRST_NAMES: Readonly<Record<string, string>> = { landingPath: "landing-path", hostLabel: "host" };

/** What is left out is not there, and not there as undefined. */
function withoutUndefined<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

/** What an annotation says in JSON, which nobody can make dear to read; or in the words that `short` reads. */
export function readJson<T>(name: string, text: string, how: Reading<T>): { readonly value: T } | Bad {
  let value: unknown;
  try {
    value = /^\s*[[{]/.test(text) ? JSON.parse(text) : how.short(text);
  } catch {
    return bad(`${name}:`, "expected JSON");
  }
  const parsed = how.schema.safeParse(value);
  return parsed.success ? { value: parsed.data } : badIssue(name, parsed.error);
}

export interface Reading<T> {
  readonly schema: z.ZodType<T>;
  /** What text that does not begin as JSON does says; throws for none. */
  readonly short: (text: string) => unknown;
}

/** `web:8888, api:rpc/grpc`: what most services are. */
function readShort(text: string): unknown {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  return parts.slice(0, MOST_SERVICES + 1).map(readShortService);
}

function readShortService(text: string): unknown {
  const [, name = text, target, protocol] = /^([^:/]+):([^:/]+)(?:\/([^:/]+))?$/.exec(text) ?? [];
  return {
    name,
    ...(target === undefined ? {} : { targetPort: /^\d+$/.test(target) ? Number(target) : target }),
    ...(protocol === undefined ? {} : { protocol }),
  };
}

function bad(name: string, message: string): Bad {
  return { kind: "bad", message: `${PREFIX}${name} ${message}` };
}

/** The first thing that is wrong. `names`: what fields are called in annotations. */
function badIssue(name: string, error: z.ZodError, names: Readonly<Record<string, string>> = {}): Bad {
  const [issue] = error.issues;
  if (issue === undefined) return bad(name, "cannot be used");
  const [first = "", ...rest] = [name, ...issue.path].filter((part) => part !== "").map(String);
  if (issue.code === "unrecognized_keys" && first === "") return bad(issue.keys[0] ?? "", `is unknown; ${KNOWN}`);
  const where = `${names[first] ?? first}${rest.length === 0 ? "" : ` at ${rest.join(".")}`}`;
  return bad(`${where}:`, issue.message);
}

const KNOWN = `expected one of ${Object.keys(Plain.shape).join(", ")}`;
