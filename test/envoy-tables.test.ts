import { expect, test } from "vitest";
import { allTables, type Message } from "../src/dataplanes/envoy/proto/kit.ts";
import "../src/dataplanes/envoy/proto/tables.ts";
import { jsonName } from "../src/dataplanes/envoy/proto/testing/official-protos.ts";
import { envoyProgram } from "../testbed/envoy.ts";
import { describedBy, type DescribedField } from "../testbed/envoy-descriptors.ts";

/** Envoy says of nothing else what it knows of the messages that its operators write down. */
const OURS = /^(envoy|xds|google\.(rpc|api))\./;

/** Deprecated, and used: the expressions that take its place are the same bytes under other names, which no older Envoy reads. */
const STILL_USED = new Set(["xds.type.v3.CelExpression.parsedExpr"]);

test("every table is as the Envoy that we run has it, and uses nothing that it calls deprecated", async () => {
  const described = describedBy(await envoyProgram());
  expect(described.size).toBeGreaterThan(1000);
  const tables = [...allTables()].filter((table) => OURS.test(table.name));
  expect(tables.length).toBeGreaterThan(300);
  expect(tables.flatMap((table) => differences(table, described.get(table.name)))).toEqual([]);
});

function differences(table: Message<unknown>, described: readonly DescribedField[] | undefined): string[] {
  if (described === undefined) return [`${table.name} is unknown`];
  const byKey = new Map(described.map((field) => [jsonName(field.name), field]));
  return Object.entries(table.fields).flatMap(([key, field]) => {
    const id = `${table.name}.${key}`;
    const theirs = byKey.get(key);
    if (theirs === undefined) return [`${id} is unknown`];
    const found = `${field.number} ${field.label} ${field.type.name}`;
    const wanted = `${theirs.number} ${theirs.label} ${theirs.kind}`;
    const values = Object.entries(field.numbers ?? {}).filter(([name, number]) => theirs.numbers.get(name) !== number);
    return [
      ...(found === wanted ? [] : [`${id}: ${found}, Envoy has ${wanted}`]),
      ...(theirs.isDeprecated && !STILL_USED.has(id) ? [`${id} is deprecated`] : []),
      ...values.map(([name, number]) => `${id}=${name} is ${number}, Envoy has ${theirs.numbers.get(name)}`),
    ];
  });
}
