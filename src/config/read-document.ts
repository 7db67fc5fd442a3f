import {
  type Alias,
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  parseDocument,
  visit,
} from "yaml";
import { dotted } from "./config-keys.ts";
import { type ConfigProblem, type Place, problemAt } from "./config-problem.ts";

/** The text of a configuration, read. */
export interface ConfigDocument {
  /** Plain data; undefined if the text is empty or cannot be read. */
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
  /** Where the value at `path` is, or the nearest there is around it. */
  locate(path: readonly PropertyKey[]): Place;
  /** Where the key at `path` is. */
  locateKey(path: readonly PropertyKey[]): Place;
}

/** Aliases are for saying a thing twice; more of them multiply a small file into gigabytes. */
const MAX_ALIASES = 100;

/** What the YAML reader's codes mean. Its own messages quote the text, which may hold secrets; the position says where to look. */
const MEANING: Record<ErrorCode, string> = {
  ALIAS_PROPS: "an alias cannot have an anchor or tag of its own",
  BAD_ALIAS: "this alias names no anchor before it, or is badly spelt",
  BAD_COLLECTION_TYPE: "the tag does not fit what follows it",
  BAD_DIRECTIVE: "a line that starts with % is a directive, and this one is not known",
  BAD_DQ_ESCAPE: "an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes",
  BAD_INDENT: "this is not indented as what belongs with it",
  BAD_PROP_ORDER: "an anchor or tag stands in the wrong place",
  BAD_SCALAR_START: "text cannot start with this character; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a second key on the same line; put it on a line of its own, or the text in quotes",
  BLOCK_IN_FLOW: "indented text cannot stand within brackets or braces",
  DUPLICATE_KEY: "this key is there twice",
  IMPOSSIBLE: "this cannot be read",
  KEY_OVER_1024_CHARS: "a key of more than 1,024 characters",
  MISSING_CHAR: "a character is missing: a colon, comma, quote, bracket, brace or space",
  MULTILINE_IMPLICIT_KEY: "a key must be on one line; is a colon or a quote missing?",
  MULTIPLE_ANCHORS: "more than one anchor",
  MULTIPLE_DOCS: "a second document starts here; a configuration is one",
  MULTIPLE_TAGS: "more than one tag",
  NON_STRING_KEY: "a key must be plain text",
  RESOURCE_EXHAUSTION: "this is nested too deeply",
  TAB_AS_INDENT: "a tab; indent with spaces",
  TAG_RESOLVE_FAILED: "a tag that is not known here; write the value without it",
  UNEXPECTED_TOKEN: "this was not expected here; does the text before it lack quotes?",
};

/** Reads YAML, or JSON if the text is that. `file` is only what problems say. Never throws. */
export function readDocument(text: string, file: string): ConfigDocument {
  const source = isJson(text) ? text.replaceAll("\t", " ") : text;
  const place = placesIn(source, file);
  const unreadable = (problems: readonly ConfigProblem[]): ConfigDocument => ({
    value: undefined,
    problems,
    locate: () => place(0),
    locateKey: () => place(0),
  });
  const fault = (offset: number, message: string): ConfigProblem => problemAt(place(offset), { key: "", message });

  const explicitKey = findExplicitKey(source);
  if (explicitKey !== null) return unreadable([fault(explicitKey, "a key is written here without a question mark")]);
  const document = parseYaml(source);
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) return unreadable(faults.map((one) => fault(one.pos[0], MEANING[one.code])));
  try {
    const badAliases = findBadAliases(document);
    if (badAliases.length > 0) return unreadable(badAliases.map(({ offset, message }) => fault(offset, message)));
    const value = document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
    return {
      value: value ?? undefined,
      problems: findBadKeys(document.contents, place),
      locate: (path) => place(offsetOf(document, path, "value")),
      locateKey: (path) => place(offsetOf(document, path, "key")),
    };
  } catch (error) {
    // The reader throws ReferenceError when aliases of aliases come to more than the bound, RangeError when the stack is full.
    if (error instanceof ReferenceError) return unreadable([fault(0, "aliases of aliases multiply to too much")]);
    if (error instanceof RangeError) return unreadable([fault(0, MEANING.RESOURCE_EXHAUSTION)]);
    throw error;
  }
}

function parseYaml(source: string): Document.Parsed {
  return parseDocument(source, {
    prettyErrors: false,
    // The reader compares every key with every other: minutes for a file of a megabyte. See findBadKeys.
    uniqueKeys: false,
    stringKeys: true,
    schema: "core",
    resolveKnownTags: false,
    // "silent" would also keep quiet about a second document.
    logLevel: "error",
  });
}

/** Valid JSON may be indented with tabs, which YAML refuses. In JSON a tab is never part of a string, so a space does as well. */
function isJson(text: string): boolean {
  if (!/^\s*[{[]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Then it is YAML in braces, and the YAML reader says what is wrong with it.
    return false;
  }
}

/** From an offset in the text to line and column. */
function placesIn(source: string, file: string): (offset: number) => Place {
  const starts = [0];
  for (let at = source.indexOf("\n"); at !== -1; at = source.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let [line, after] = [0, starts.length];
    while (after - line > 1) {
      const middle = (line + after) >> 1;
      if ((starts[middle] ?? 0) <= offset) line = middle;
      else after = middle;
    }
    return { file, line: line + 1, column: offset - (starts[line] ?? 0) + 1 };
  };
}

/** Tokens of the reader's lexer that stand for no text: document, error in brackets, scalar (yaml: parse/cst.ts). */
const SCALAR = "\u001f";
const MARKS: ReadonlySet<string> = new Set(["\u0002", "\u0018", SCALAR]);

/**
 * Offset of the first `? key`; null if there is none. Nobody needs them in a configuration, and the reader takes time that doubles with
 * their depth: 16,384 of them, 32 KiB, hang it.
 */
function findExplicitKey(source: string): number | null {
  if (!source.includes("?")) return null;
  let offset = 0;
  let before = "";
  for (const token of new Lexer().lex(source)) {
    if (token === "?" && before !== SCALAR) return offset;
    if (!MARKS.has(token)) offset += token.length;
    before = token;
  }
  return null;
}

function findBadAliases(document: Document.Parsed): readonly { readonly offset: number; readonly message: string }[] {
  const aliases: Alias[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      aliases.push(alias);
    },
  });
  const [tooMany] = aliases.slice(MAX_ALIASES);
  // To resolve one takes a walk through the whole document, so only few are.
  if (tooMany !== undefined) return [{ offset: startOf(tooMany) ?? 0, message: `more than ${MAX_ALIASES} aliases` }];
  return aliases
    .filter((alias) => alias.resolve(document) === undefined)
    .map((alias) => ({ offset: startOf(alias) ?? 0, message: MEANING.BAD_ALIAS }));
}

/** Keys that are there twice, and `__proto__`, which is no key of anything and which readers skip. */
function findBadKeys(root: unknown, place: (offset: number) => Place): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const walk = (node: unknown, path: readonly PropertyKey[]): void => {
    if (isSeq(node)) node.items.forEach((item, index) => walk(item, [...path, index]));
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const pair of node.items) {
      const name = keyOf(pair.key);
      const at = [...path, name];
      const fault = seen.has(name) ? MEANING.DUPLICATE_KEY : name === "__proto__" ? "unknown key" : null;
      if (fault !== null) problems.push(problemAt(place(startOf(pair.key) ?? 0), { key: dotted(at), message: fault }));
      seen.add(name);
      walk(pair.value, at);
    }
  };
  walk(root, []);
  return problems;
}

/** Where the value or key at `path` starts; where it is missing, its nearest surrounding. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], what: "value" | "key"): number {
  let node: unknown = document.contents;
  let [key, value] = [startOf(node) ?? 0, startOf(node) ?? 0];
  for (const part of path) {
    const child = childOf(isAlias(node) ? node.resolve(document) : node, part);
    if (child === null) return value;
    key = startOf(child.key) ?? key;
    // A key without value has a value of no length behind the colon; the key is the better place.
    value = isScalar(child.value) && child.value.value === null ? key : (startOf(child.value) ?? key);
    node = child.value;
  }
  return what === "key" ? key : value;
}

/** What is at `part` of a map or list; an item of a list is its own key. */
function childOf(node: unknown, part: PropertyKey): { readonly key: unknown; readonly value: unknown } | null {
  if (isMap(node)) return node.items.find((pair) => keyOf(pair.key) === String(part)) ?? null;
  if (!isSeq(node) || typeof part !== "number") return null;
  return { key: node.items[part], value: node.items[part] };
}

function keyOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : "";
}

function startOf(node: unknown): number | null {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? (node.range?.[0] ?? null) : null;
}
