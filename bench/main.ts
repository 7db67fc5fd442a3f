import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benchStart } from "./start.ts";
import type { Row, Suite } from "./suite.ts";
import { benchTable } from "./table.ts";

const SUITES: Readonly<Record<string, Suite>> = { start: benchStart, table: benchTable };

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { json: { type: "string" } }, allowPositionals: true });
  const name = positionals[0] ?? "";
  const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
  if (suite === undefined || positionals.length > 1) {
    process.stderr.write(`Usage: npm run bench -- SUITE [--json FILE]. Suites: ${Object.keys(SUITES).join(", ")}.\n`);
    return 2;
  }
  const rows = await suite((line) => process.stderr.write(`${line}\n`));
  process.stdout.write(asText(rows));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ suite: name, rows }, null, 2)}\n`);
  return 0;
}

function asText(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    row.value.toPrecision(3),
    row.unit,
    row.ratio === null ? "" : `× ${row.ratio.toFixed(2)}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map(([first = "", ...rest]) =>
    [first.padEnd(widths[0] ?? 0), ...rest.map((cell, index) => cell.padStart(widths[index + 1] ?? 0))]
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

process.exitCode = await main();
