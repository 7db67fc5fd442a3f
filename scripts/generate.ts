import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chartFiles } from "../src/app/chart-files.ts";
import { openApiDocument } from "../src/api/openapi.ts";
import { cliReference } from "../src/cli/reference.ts";
import { chartReference } from "./chart-values.ts";
import { metricReference } from "../src/app/metric-table.ts";
import { describeConfig } from "../src/config/describe-config.ts";

/** One file that is made from the code. */
export interface Generator {
  /** Its name in the folder. */
  readonly file: string;
  readonly generate: () => string | Promise<string>;
}

/** Everything that is generated for people to read. To add a file, add a line. */
const DOCUMENTS: readonly Generator[] = [
  { file: "chart.md", generate: () => chartReference() },
  { file: "cli.md", generate: cliReference },
  { file: "config.md", generate: () => describeConfig().markdown },
  { file: "config.schema.json", generate: () => toJson(describeConfig().jsonSchema) },
  { file: "metrics.md", generate: metricReference },
  { file: "openapi.json", generate: () => toJson(openApiDocument()) },
];

/** What the Helm chart starts its Envoys with. */
const CHART: readonly Generator[] = Object.entries(chartFiles()).map(([file, value]) => ({
  file,
  generate: () => toJson(value),
}));

const FOLDERS = [
  { path: ["docs", "generated"], generators: DOCUMENTS },
  { path: ["charts", "taskgate", "files", "envoy"], generators: CHART },
] as const;

/** JSON as the files hold it: indented, with a line end. */
function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Makes `folder` hold what the generators give and nothing else. Resolves to the names of the files that did not. */
export async function generateInto(folder: string, generators: readonly Generator[]): Promise<readonly string[]> {
  const wanted = await generateAll(generators);
  const drifted = findDrift(folder, wanted);
  mkdirSync(folder, { recursive: true });
  for (const file of drifted) {
    const text = wanted.get(file);
    if (text === undefined) rmSync(join(folder, file), { recursive: true });
    else writeFileSync(join(folder, file), text);
  }
  return drifted;
}

/** Changes nothing. Resolves to the names of the files in `folder` that are missing, different or of no generator. */
export async function checkGenerated(folder: string, generators: readonly Generator[]): Promise<readonly string[]> {
  return findDrift(folder, await generateAll(generators));
}

async function generateAll(generators: readonly Generator[]): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const { file, generate } of generators) texts.set(file, await generate());
  return texts;
}

function findDrift(folder: string, wanted: ReadonlyMap<string, string>): readonly string[] {
  const found = readFolder(folder);
  const names = new Set([...wanted.keys(), ...found]);
  return [...names]
    .filter((file) => !found.includes(file) || readFileSync(join(folder, file), "utf8") !== wanted.get(file))
    .sort();
}

function readFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** `npm run generate`, or with `-- --check`: says what differs, and fails if anything does. */
async function main(): Promise<void> {
  const isCheck = process.argv.includes("--check");
  const work = isCheck ? checkGenerated : generateInto;
  const changed: string[] = [];
  for (const { path, generators } of FOLDERS) {
    const files = await work(join(import.meta.dirname, "..", ...path), generators);
    changed.push(...files.map((file) => [...path, file].join("/")));
  }
  for (const file of changed) {
    if (isCheck) console.error(`${file} is not what the code says`);
    else console.log(file);
  }
  if (!isCheck || changed.length === 0) return;
  console.error("Run `npm run generate` and commit what it changes.");
  process.exitCode = 1;
}

if (import.meta.main) await main();
