import { CONFIG_KEYS, configJsonSchema, type ConfigKey } from "./config-keys.ts";

/** The reference of the configuration, from its schema. */
export interface ConfigReference {
  /** Markdown. */
  readonly markdown: string;
  /** JSON Schema, draft 2020-12, of what people write: for editors. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
}

const HEAD = `# Configuration

Made by \`npm run generate\` from \`src/config/schema.ts\`; change it there.

One file, YAML or JSON by its content: \`taskgate up --config FILE\`, or \`TASKGATE_CONFIG\`. Every key has a default, so no file is
needed. What a key says is taken from the defaults, then the file, then the environment, then the flags of the command line, each over
the one before. An environment variable that is empty counts as not set. Unknown keys and variables are errors; \`taskgate check FILE\`
says what is wrong with a file, and where. For editors there is [config.schema.json](config.schema.json).

Durations are written \`500ms\`, \`30s\`, \`15m\`, \`8h\`, \`30d\`; sizes \`512B\`, \`64KiB\`, \`10MiB\`, \`1GiB\`. A relative path is relative to
the file that says it, and in the environment to the working directory. Secrets are given as the path of a file, never as themselves.

`;

const COLUMNS = ["Key", "Type", "Default", "Environment", "What it is"];

/** What `docs/generated/` holds of the configuration. */
export function describeConfig(): ConfigReference {
  const rows = CONFIG_KEYS.map((key) => [
    code(key.key),
    escape(key.type),
    standard(key),
    key.environment === null ? "" : code(key.environment),
    escape(key.description),
  ]);
  const table = [COLUMNS, COLUMNS.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`);
  return { markdown: `${HEAD}${table.join("")}`, jsonSchema: configJsonSchema() };
}

function standard(key: ConfigKey): string {
  if (key.required) return "none, required";
  // The default of a section is that of the keys in it.
  if (key.standard === undefined || key.type === "section") return "";
  return code(typeof key.standard === "string" ? key.standard : JSON.stringify(key.standard));
}

function code(text: string): string {
  return `\`${text}\``;
}

function escape(text: string): string {
  return text.replaceAll("|", "\\|");
}
