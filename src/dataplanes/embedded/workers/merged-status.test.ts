import { expect, test } from "vitest";
import { MergedStatus } from "./merged-status.ts";

const PROBLEM = { subject: "local/db/sql", code: "port_unavailable", message: "taken" };

function twoWorkers(): MergedStatus {
  const status = new MergedStatus();
  for (const worker of ["one", "two"]) status.joined(worker);
  return status;
}

test("says of every worker what it serves, and what several say only once", () => {
  const status = twoWorkers();
  status.take("one", { applied: 4, endpoints: [], used: [], problems: [PROBLEM] });
  status.take("two", { applied: 3, endpoints: [], used: [], problems: [PROBLEM] });
  const { instances, problems } = status.read([]);
  expect([...instances.values()].map(({ applied }) => applied)).toEqual([4, 3]);
  expect(problems).toEqual([PROBLEM]);
});

test("believes of an endpoint whoever learned something last, for as long as that worker is there", () => {
  const status = twoWorkers();
  const { endpoints } = status.read([]);
  status.take("one", { applied: 1, endpoints: [["up a", "unhealthy"]], used: [] });
  status.take("two", { applied: 1, endpoints: [["up a", "healthy"]], used: [] });
  expect(endpoints.get("up a")).toBe("healthy");
  status.left("two");
  expect(endpoints.get("up a")).toBe("unhealthy");
  status.take("one", { applied: 2, endpoints: [["up a", null]], used: [] });
  expect(endpoints.has("up a")).toBe(false);
  status.take("two", { applied: 9, endpoints: [["up a", "healthy"]], used: [] }); // it is gone
  expect(endpoints.has("up a")).toBe(false);
});

test("keeps the latest use of a service over workers, until the service is forgotten", () => {
  const status = twoWorkers();
  const { lastUsed } = status.read([]);
  status.take("one", { applied: 1, endpoints: [], used: [["local/nb/web", 20]] });
  status.take("two", { applied: 1, endpoints: [], used: [["local/nb/web", 10]] });
  status.left("one");
  expect(lastUsed.get("local/nb/web")).toBe(20);
  status.forget("local/nb/web");
  expect(lastUsed.size).toBe(0);
});
