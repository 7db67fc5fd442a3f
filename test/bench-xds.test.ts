import { expect, test } from "vitest";
import { measureXds } from "../bench/xds.ts";

test("what it takes to tell Envoys of services is measured, and one change costs as little as it should", async () => {
  const rows = await measureXds(() => undefined, { services: 100, envoys: 5, changes: 3, answers: 4 });
  for (const { name, value } of rows) expect(value, name).toBeGreaterThan(0);
  const told = rows.filter(({ unit }) => unit === "B");
  expect(told.map(({ name }) => name)).toEqual([
    "one endpoint changed, sent to each Envoy, 100",
    "a new service, sent to each Envoy, 100",
    "a service removed, sent to each Envoy, 100",
    "a new certificate, sent to each Envoy, 100",
  ]);
  for (const { name, ratio } of told) expect(ratio, name).toBeLessThan(1);
});
