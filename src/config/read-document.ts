import { type Document, isAlias, isMap, isScalar, isSeq } from "yaml";
import { dotted } from "./config-keys.ts";
import { type ConfigProblem, type Place, problemAt } from "./config-problem.ts";
import { findBadKeys, keyOf, parseYamlText, startOf, toPlainData, TOO_DEEP, type YamlFault } from "./yaml-text.ts";

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

/** Reads YAML, or JSON if the text is that. `file` is only what problems say. Never throws. */
export function readDocument(text: string, file: string): ConfigDocument {
  const place = placesIn(text, file);
  const problemOf = ({ offset, message }: YamlFault, key = ""): ConfigProblem =>
    problemAt(place(offset), { key, message });
  const unreadable = (faults: readonly YamlFault[]): ConfigDocument => ({
    value: undefined,
    problems: faults.map((fault) => problemOf(fault)),
    locate: () => place(0),
    locateKey: () => place(0),
  });
  try {
    const { document, faults, oddities } = parseYamlText(text);
    const wrong = [...faults, ...oddities];
    if (wrong.length > 0) return unreadable(wrong);
    const plain = toPlainData(document);
    if ("fault" in plain) return unreadable([plain.fault]);
    return {
      value: plain.value ?? undefined,
      problems: findBadKeys(document.contents).map((bad) => problemOf(bad, dotted(bad.path))),
      locate: (path) => place(offsetOf(document, path, "value")),
      locateKey: (path) => place(offsetOf(document, path, "key")),
    };
  } catch (error) {
    // The reader recurses: the stack is full.
    if (error instanceof RangeError) return unreadable([TOO_DEEP]);
    throw error;
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
