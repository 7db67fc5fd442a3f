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

/** What is wrong at a place of a text. */
export interface YamlFault {
  /** Into the text, in UTF-16 code units. */
  readonly offset: number;
  readonly message: string;
}

/** A key that cannot be taken. */
export interface BadKey extends YamlFault {
  readonly path: readonly PropertyKey[];
}

/** A text of YAML, read. */
export interface YamlText {
  readonly document: Document.Parsed;
  /** What keeps the text from being read: if there is any, nothing of the document is to be used. */
  readonly faults: readonly YamlFault[];
  /** What the reader would pass over: unknown tags and directives. */
  readonly oddities: readonly YamlFault[];
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

/**
 * Parses YAML 1.2, or JSON if the text is that, in time and memory that are bounded by its length, whoever wrote it: the reader by itself
 * hangs for minutes over texts of a few KiB. Offsets are those of the text. Throws RangeError for one that is nested too deeply.
 */
export function parseYamlText(text: string): YamlText {
  const source = isJson(text) ? text.replaceAll("\t", " ") : text;
  const explicitKey = findExplicitKey(source);
  if (explicitKey !== null) {
    const fault = { offset: explicitKey, message: "a key is written here without a question mark" };
    return { document: parse(""), faults: [fault], oddities: [] };
  }
  const document = parse(source);
  const faults = document.errors.map(describe);
  const oddities = document.warnings.map(describe);
  return { document, faults: faults.length > 0 ? faults : findBadAliases(document), oddities };
}

/** The document as plain data. A fault instead, if aliases of aliases make it grow beyond bounds. Throws RangeError as `parseYamlText` does. */
export function toPlainData(document: Document.Parsed): { readonly value: unknown } | { readonly fault: YamlFault } {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown };
  } catch (error) {
    // The reader throws ReferenceError when aliases of aliases come to more than the bound.
    if (error instanceof ReferenceError) {
      return { fault: { offset: 0, message: "aliases of aliases multiply to too much" } };
    }
    throw error;
  }
}

/** What a text is that is nested deeper than can be read. */
export const TOO_DEEP: YamlFault = { offset: 0, message: MEANING.RESOURCE_EXHAUSTION };

function describe(error: { readonly pos: readonly [number, number]; readonly code: ErrorCode }): YamlFault {
  return { offset: error.pos[0], message: MEANING[error.code] };
}

function parse(source: string): Document.Parsed {
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

function findBadAliases(document: Document.Parsed): readonly YamlFault[] {
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
export function findBadKeys(root: unknown): readonly BadKey[] {
  const bad: BadKey[] = [];
  const walk = (node: unknown, path: readonly PropertyKey[]): void => {
    if (isSeq(node)) node.items.forEach((item, index) => walk(item, [...path, index]));
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const pair of node.items) {
      const name = keyOf(pair.key);
      const at = [...path, name];
      const fault = seen.has(name) ? MEANING.DUPLICATE_KEY : name === "__proto__" ? "unknown key" : null;
      if (fault !== null) bad.push({ path: at, offset: startOf(pair.key) ?? 0, message: fault });
      seen.add(name);
      walk(pair.value, at);
    }
  };
  walk(root, []);
  return bad;
}

/** Text of a map's key; empty for what is none. */
export function keyOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : "";
}

/** Where a node starts; null: that is not known. */
export function startOf(node: unknown): number | null {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? (node.range?.[0] ?? null) : null;
}
