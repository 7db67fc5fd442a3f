import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { runGolden } from "./testing/golden.ts";

const FOLDER = join(import.meta.dirname, "testdata");
const inputs = readdirSync(FOLDER).filter((name) => name.endsWith(".in.yaml"));

test.each(inputs)("%s gives what is on record", async (input) => {
  const { told } = runGolden(readFileSync(join(FOLDER, input), "utf8"));
  const output = stringify(told, { lineWidth: 0 });
  await expect(output).toMatchFileSnapshot(join(FOLDER, `${basename(input, ".in.yaml")}.out.yaml`));
});

test("every record has its input", () => {
  const outputs = readdirSync(FOLDER).filter((name) => name.endsWith(".out.yaml"));
  expect(outputs.filter((name) => !existsSync(join(FOLDER, name.replace(".out.", ".in."))))).toEqual([]);
  expect(readdirSync(FOLDER)).toHaveLength(inputs.length + outputs.length);
});

test.each(inputs)("%s with an unknown key is rejected", (input) => {
  const text = readFileSync(join(FOLDER, input), "utf8");
  expect(() => runGolden(`${text}\nsurplus: 1\n`)).toThrow(/surplus/);
});
