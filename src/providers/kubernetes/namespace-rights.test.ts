import { describe, expect, test, vi } from "vitest";
import type { FakeApiServer } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { serviceOf, servicesOf } from "./testing/objects.ts";
import { stand, WAIT } from "./testing/stand.ts";

const ON = { rightsFromNamespaces: true };

function give(server: FakeApiServer, rights: unknown, name = "team"): void {
  const text = typeof rights === "string" ? rights : JSON.stringify(rights);
  const annotations = rights === null ? {} : { "taskgate.dev/rights": text };
  server.put("/api/v1/namespaces", { metadata: { name, annotations } });
}

describe("rights that a Namespace gives", () => {
  test("count at once, and no longer than it gives them", async () => {
    const { server, put, record, problem, task } = await stand(ON);
    put({ name: "nb", annotations: { owner: "corp/ann", path: "/nb/" } });
    await problem("namespace team has no right to owner corp/ann");
    give(server, { owners: ["corp/*"] });
    await task("team.nb", (found) => expect(found.owner).toEqual({ realm: "corp", name: "ann" }));
    await problem("namespace team has no right to path /nb/");
    give(server, { owners: ["corp/*"], paths: ["/nb/"] });
    await vi.waitFor(() => expect(record.problems).toEqual([]), WAIT);
    server.remove("/api/v1/namespaces", "team");
    await problem("namespace team has no right to owner corp/ann");
    expect(record.tasks.size).toBe(0);
  });

  test("are of that namespace alone, also for Services, and beside what is configured", async () => {
    const rights = [{ namespaces: ["team"], owner: "ann", hosts: ["a"] }];
    const { server, put, task } = await stand({ ...ON, rights });
    give(server, { owner: "bob", owners: ["local/eve"], hosts: ["b"] });
    const services = (host: string) => JSON.stringify([{ name: "web", targetPort: 1, hostLabel: host }]);
    put({ name: "configured", annotations: { services: services("a") } });
    server.put(servicesOf("team"), serviceOf("given", { services: services("b"), owner: "eve" }));
    put({ name: "other", namespace: "other", annotations: { services: services("b") } });
    await task("team.configured", ({ owner, services: [web] }) => {
      expect(owner).toEqual({ realm: "local", name: "ann" });
      expect(web?.exposures.length).toBe(1);
    });
    await task("team.service:given", ({ owner, services: [web] }) => {
      expect(owner).toEqual({ realm: "local", name: "eve" });
      expect(web?.exposures.length).toBe(1);
    });
    await task("other.other", ({ services: [web] }) => expect(web?.exposures).toEqual([]));
  });

  test("may say whose tasks are that name nobody", async () => {
    const { server, put, task } = await stand(ON);
    give(server, { owner: "corp/ann" });
    put({ name: "nb" });
    await task("team.nb", (found) => expect(found.owner).toEqual({ realm: "corp", name: "ann" }));
  });

  test.each([
    ["no JSON", "owners", "taskgate.dev/rights: expected JSON"],
    ["an unknown key", { namespaces: ["other"] }, "taskgate.dev/rights: Unrecognized key"],
    ["no list", { owners: "corp/*" }, "taskgate.dev/rights at owners: "],
    ["a group as owner", { owner: "group:ml" }, "taskgate.dev/rights at owner: expected one user"],
    ["no rights", "[]", "taskgate.dev/rights: "],
    ["too much", `["${"x".repeat(20_000)}"]`, "taskgate.dev/rights is longer than 16384 characters"],
  ])("that are %s are a Problem of the Namespace, and give nothing", async (_what, rights, message) => {
    const { server, put, record, problem } = await stand(ON);
    give(server, { owners: ["*"] });
    put({ name: "nb", annotations: { owner: "corp/ann" } }, { name: "plain" });
    await vi.waitFor(() => expect(record.names()).toEqual(["nb", "plain"]), WAIT);
    give(server, rights);
    await problem(`Namespace team gives no rights: ${message}`);
    expect(record.problems.map(({ subject, code }) => `${subject} ${code}`).sort()).toEqual([
      "kubernetes/Namespace/team rights_invalid",
      "kubernetes/team/Pod/nb claim_refused",
    ]);
    expect(record.names()).toEqual(["plain"]);
    give(server, null);
    await vi.waitFor(() => expect(record.problems.length).toBe(1), WAIT);
  });

  test("are not asked for unless that is switched on, and of named namespaces alone where some are named", async () => {
    const off = await stand();
    give(off.server, { owners: ["*"] });
    off.put({ name: "nb", annotations: { owner: "corp/ann" } });
    await off.problem("namespace team has no right to owner corp/ann");
    const asked = ({ requests }: FakeApiServer) =>
      new Set(
        requests.flatMap(({ path, query }) => (path === "/api/v1/namespaces" ? [query.get("fieldSelector")] : [])),
      );
    expect(asked(off.server).size).toBe(0);
    const named = await stand({ ...ON, namespaces: ["team", "other"] });
    expect([...asked(named.server)].sort()).toEqual(["metadata.name=other", "metadata.name=team"]);
    give(named.server, { owners: ["*"] });
    named.put({ name: "nb", annotations: { owner: "corp/ann" } });
    await named.task("team.nb", (found) => expect(found.owner?.name).toBe("ann"));
  });
});
