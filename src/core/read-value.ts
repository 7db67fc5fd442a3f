/** Why one value of an update cannot be used; `message` says what was found and what was expected. Never leaves the core. */
export class Unusable extends Error {
  override readonly name = "Unusable";
}

// Control characters, line separators and what turns the direction of text around: they forge log lines and names on a page.
// eslint has no say here: control characters are the point.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/;

/** A non-empty line of text. Throws Unusable. */
export function readText(value: unknown, what: string, longest: number): string {
  if (typeof value === "string" && value !== "" && value.length <= longest) {
    if (!UNPRINTABLE.test(value) && value.isWellFormed()) return value;
  }
  throw new Unusable(`${what} is ${shown(value)}; expected one line of text, 1 to ${longest} characters.`);
}

/** Text that may be long, many lines, or broken: cut and mended, for people. Throws Unusable if it is no string. */
export function readProse(value: unknown, what: string, longest: number): string {
  if (typeof value !== "string") throw new Unusable(`${what} is ${shown(value)}; expected text.`);
  return (value.length <= longest ? value : `${value.slice(0, longest - 1)}…`).toWellFormed();
}

/** Text of one form, of which `example` tells. Throws Unusable. */
export function readWord(
  value: unknown,
  what: string,
  form: { readonly is: RegExp; readonly example: string },
): string {
  if (typeof value === "string" && value.length <= 4096 && form.is.test(value)) return value;
  throw new Unusable(`${what} is ${shown(value)}; expected ${form.example}.`);
}

/** A whole number within bounds, both included. Throws Unusable. */
export function readInteger(value: unknown, what: string, from: number, to: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= from && value <= to) return value;
  throw new Unusable(`${what} is ${shown(value)}; expected a whole number from ${from} to ${to}.`);
}

/** Throws Unusable. */
export function readBoolean(value: unknown, what: string): boolean {
  if (typeof value === "boolean") return value;
  throw new Unusable(`${what} is ${shown(value)}; expected true or false.`);
}

/** One of a few words. Throws Unusable. */
export function readChoice<T extends string>(value: unknown, what: string, choices: readonly T[]): T {
  for (const choice of choices) if (value === choice) return choice;
  throw new Unusable(`${what} is ${shown(value)}; expected ${choices.join(", ")}.`);
}

/** A copy, without holes where the list had some. Throws Unusable. */
export function readList(value: unknown, what: string, most: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new Unusable(`${what} is ${shown(value)}; expected a list.`);
  if (value.length > most) throw new Unusable(`${what} has ${value.length} entries; expected ${most} at most.`);
  return [...(value as readonly unknown[])];
}

/** An object's fields. Throws Unusable. */
export function readFields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Unusable(`${what} is ${shown(value)}; expected an object.`);
  }
  return value as Fields;
}

export type Fields = Readonly<Record<string, unknown>>;

/** A field whose name comes from elsewhere: undefined unless it is the object's own, for all objects have a `constructor`. */
export function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** What an exception that came out of reading says for people. Anything but Unusable is of a hostile object: an accessor that threw. */
export function whyUnusable(error: unknown): string {
  return error instanceof Unusable ? error.message : "It cannot be read; expected plain data.";
}

/** A found value for a message: short, on one line, whatever it is. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return JSON.stringify(value.length <= 60 ? value : `${value.slice(0, 60)}…`);
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  return Array.isArray(value) ? "a list" : `of type ${typeof value}`;
}
