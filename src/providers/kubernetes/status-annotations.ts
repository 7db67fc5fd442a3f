import type { Problem, TaskStatus } from "../../model/index.ts";

/** What the gate writes on objects: never anybody's word, and passed over where annotations are read. */
const NAMES = {
  address: "taskgate.dev/address",
  addresses: "taskgate.dev/addresses",
  problems: "taskgate.dev/problems",
} as const;

/** Full names of the annotations that the gate writes. */
export const STATUS_ANNOTATIONS: ReadonlySet<string> = new Set(Object.values(NAMES));

/** Characters. */
const MOST_MESSAGE = 300;
const MOST_TEXT = 8 * 1024;
const MOST_PROBLEMS = 10;

/** Texts of these annotations on an object; absent: it has no such annotation. */
export type Shown = { readonly [Name in keyof typeof NAMES]?: string };

export const NOTHING_SHOWN: Shown = Object.freeze({});

/** Where people reach a task. */
export type Addresses = Pick<Shown, "address" | "addresses">;

/** What an object carries of a status; texts longer than any of ours are cut, and still differ from ours. */
export function readShown(annotations: Readonly<Record<string, string>> = {}): Shown {
  const shown = Object.entries(NAMES).flatMap(([name, full]) => {
    const text = annotations[full];
    return text === undefined ? [] : [[name, text.slice(0, MOST_TEXT + 1)] as const];
  });
  return shown.length === 0 ? NOTHING_SHOWN : Object.fromEntries(shown);
}

/** One text of each status, different for different ones. */
export function shownText({ address, addresses, problems }: Shown): string {
  return JSON.stringify([address ?? null, addresses ?? null, problems ?? null]);
}

/** The annotations themselves. */
export function shownAnnotations(shown: Shown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(shown).map(([name, text]) => [NAMES[name as keyof typeof NAMES], text] as const),
  );
}

/** What is left without those that somebody else has, as a conflict of the API server names them; null: it names none of them. */
export function withoutConflicts(shown: Shown, conflict: string): Shown | null {
  const taken = new Set([...conflict.matchAll(/\.metadata\.annotations\.([\w./-]+)/g)].map(([, name]) => name));
  const rest = Object.entries(shown).filter(([name]) => !taken.has(NAMES[name as keyof typeof NAMES]));
  return rest.length === Object.keys(shown).length ? null : Object.fromEntries(rest);
}

/** The address of the first service that has one; and where several have, those of all by name. */
export function buildAddresses({ services }: TaskStatus): Addresses {
  const all = Object.entries(services).flatMap(([name, { urls }]) => (urls[0] === undefined ? [] : [[name, urls[0]]]));
  const [first] = all;
  if (first?.[1] === undefined) return NOTHING_SHOWN;
  if (all.length === 1) return { address: first[1] };
  for (let count = all.length; ; count -= 1) {
    const addresses = JSON.stringify(Object.fromEntries(all.slice(0, count)));
    if (addresses.length <= MOST_TEXT) return { address: first[1], addresses };
  }
}

/** One problem as it is shown: of a service only where it is not of the whole object. */
export function problemText({ subject, code, message }: Problem, task: string | null): string {
  const service = task !== null && subject.startsWith(`${task}/`) ? subject.slice(task.length + 1) : undefined;
  return JSON.stringify({ code, ...(service === undefined ? {} : { service }), message: cut(message) });
}

/** The status that is those addresses and problems, each as `problemText` has it. */
export function buildShown(addresses: Addresses, problems: readonly string[]): Shown {
  if (problems.length === 0) return addresses;
  return { ...addresses, problems: `[${problems.slice(0, MOST_PROBLEMS).join(",")}]` };
}

function cut(message: string): string {
  return message.length <= MOST_MESSAGE ? message : `${message.slice(0, MOST_MESSAGE - 1)}…`;
}
