import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMap, isScalar, parseDocument, type YAMLMap } from "yaml";

const VALUES = join(import.meta.dirname, "..", "charts", "taskgate", "values.yaml");

const HEAD = `# Values of the Helm chart

Made by \`npm run generate\` from \`charts/taskgate/values.yaml\`; change it there. How they are used: [installing on
Kubernetes](../install-kubernetes.md).

| Value | Default | What it is |
| --- | --- | --- |
`;

/** The reference of the chart's values, Markdown, from their comments: what begins with \`# --\` right above a key is about it. */
export function chartReference(text = readFileSync(VALUES, "utf8")): string {
  const { contents } = parseDocument(text);
  if (!isMap(contents)) throw new Error(`${VALUES} is no map`);
  return HEAD + rowsOf(contents, "").join("");
}

function rowsOf(map: YAMLMap, prefix: string): readonly string[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error("a key of values.yaml is no text");
    const name = `${prefix}${String(key.value)}`;
    // What is above the first key of a map is its map's.
    const about = aboutOf(key.commentBefore ?? (index === 0 ? map.commentBefore : null) ?? "");
    if (!isMap(value) || value.items.length === 0) return [row(name, code(value), about)];
    return [...(about === "" ? [] : [row(name, "", about)]), ...rowsOf(value, `${name}.`)];
  });
}

function aboutOf(comment: string): string {
  const [, about = ""] = /(?:^|\n) -- ([^]*)$/.exec(comment) ?? [];
  return about.replaceAll(/\s*\n\s*/g, " ").trim();
}

function code(value: unknown): string {
  const plain = (value as { toJSON(): unknown }).toJSON();
  return plain === "" || plain === null ? "" : `\`${JSON.stringify(plain)}\``;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell, index) => (index === 0 ? `\`${cell}\`` : cell.replaceAll("|", "\\|"))).join(" | ")} |\n`;
}
