import { expect, test } from "vitest";
import { chartReference } from "./chart-values.ts";

const VALUES = `# What this file is.

# -- How many.
replicas: 2
# Not for the reference.
image:
  # -- Where it is, or
  # elsewhere.
  repository: a|b
  tag: ""
# -- Some of it.
more:
  # -- Whether.
  enabled: false
extra: {}
`;

test("has each value with its default and what is said right above it", () => {
  const [, rows = ""] = chartReference(VALUES).split("| --- | --- | --- |\n");
  expect(rows).toBe(
    `| \`replicas\` | \`2\` | How many. |
| \`image.repository\` | \`"a|b"\` | Where it is, or elsewhere. |
| \`image.tag\` |  |  |
| \`more\` |  | Some of it. |
| \`more.enabled\` | \`false\` | Whether. |
| \`extra\` | \`{}\` |  |
`.replace('"a|b"', '"a\\|b"'),
  );
});

test("is of values alone", () => {
  expect(() => chartReference("- 1\n")).toThrow("is no map");
});
