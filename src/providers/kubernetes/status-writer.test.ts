import { describe, expect, test, vi } from "vitest";
import { podsOf, serviceOf, servicesOf } from "./testing/objects.ts";
import { WAIT } from "./testing/stand.ts";
import { statusOf, statusStand, type StatusStand } from "./testing/status-stand.ts";

const NB = statusOf({ web: "https://nb.gate.test/lab" });
const TAKEN = { subject: "kubernetes/team.nb/web", code: "name_taken", message: "The host nb is another's." };
const SHOWN_TAKEN = { code: "name_taken", service: "web", message: "The host nb is another's." };

/** A stand with one pod that is reached. */
async function reached(config: object = {}): Promise<StatusStand> {
  const stand = await statusStand(config);
  stand.put({ name: "nb" });
  await stand.tasks(1);
  stand.say({ "team.nb": NB });
  await stand.carries("nb", { address: "https://nb.gate.test/lab" });
  return stand;
}

describe("what is written on an object", () => {
  test("is where it is reached, by its gate's own field manager and with its uid", async () => {
    const { writes, server } = await reached();
    expect(writes().map(({ method, path }) => `${method} ${path}`)).toEqual([`PATCH ${podsOf("team")}/nb`]);
    const [{ query, body }] = writes() as [ReturnType<typeof writes>[0]];
    expect([query.get("fieldManager"), query.get("force")]).toEqual(["taskgate", "false"]);
    expect(body).toEqual({
      ...{ apiVersion: "v1", kind: "Pod" },
      metadata: {
        ...{ namespace: "team", name: "nb", uid: "uid-of-nb" },
        annotations: { "taskgate.dev/address": "https://nb.gate.test/lab" },
      },
    });
    expect(server.get(podsOf("team"), "nb")?.metadata.annotations).toMatchObject({ "taskgate.dev/enabled": "true" });
  });

  test("is the address of each service, where there are several", async () => {
    const { put, say, tasks, carries } = await statusStand();
    put({ name: "nb", annotations: { services: "lab:1, api:2, raw:3/tcp" } });
    await tasks(1);
    const { services } = statusOf({ lab: "https://a/", api: "https://b/" });
    say({ "team.nb": { services: { raw: { urls: [], health: "unknown" }, ...services }, problems: [] } });
    await carries("nb", { address: "https://a/", addresses: { lab: "https://a/", api: "https://b/" } });
  });

  test("is on every pod of a task, and on a Service that is one", async () => {
    const { server, put, say, tasks, carries } = await statusStand();
    for (const name of ["a", "b", "c"]) put({ name, annotations: { name: "job" } });
    server.put(servicesOf("team"), serviceOf("front"));
    await tasks(2);
    say({ "team.job": statusOf({ web: "https://job/" }), "team.service:front": statusOf({ http: "https://front/" }) });
    for (const name of ["a", "b", "c"]) await carries(name, { address: "https://job/" });
    await carries("front", { address: "https://front/" }, servicesOf("team"));
  });

  test("is what is wrong with its task, as an Event, too; and it goes when that is mended", async () => {
    const { say, carries, events, writes } = await reached();
    say({ "team.nb": { ...NB, problems: [TAKEN] } });
    await carries("nb", { address: "https://nb.gate.test/lab", problems: [SHOWN_TAKEN] });
    await vi.waitFor(() => expect(events().length).toBe(1), WAIT);
    expect(events()[0]).toMatchObject({
      ...{ type: "Warning", reason: "NameTaken", note: TAKEN.message },
      regarding: { kind: "Pod", namespace: "team", name: "nb", uid: "uid-of-nb" },
    });
    say({ "team.nb": NB });
    await carries("nb", { address: "https://nb.gate.test/lab" });
    const before = writes().length;
    say({ "team.nb": { ...NB, problems: [TAKEN] } });
    await vi.waitFor(() => expect(events()[0]).toMatchObject({ series: { count: 2 } }), WAIT);
    expect(writes().length).toBeGreaterThan(before);
  });

  test("is what is wrong with an object that makes no task, from its provider and from the core", async () => {
    const { put, say, record, tasks, carries, events } = await statusStand();
    put({ name: "bad", annotations: { colour: "red" } }, { name: "refused" });
    await tasks(1);
    await vi.waitFor(() => expect(record.problems.length).toBe(1), WAIT);
    const refusal = { subject: "kubernetes/team.refused", code: "task_invalid", message: "It is no task." };
    say({}, [...record.problems, refusal]);
    await carries("refused", { problems: [{ code: "task_invalid", message: "It is no task." }] });
    await vi.waitFor(() => expect(events().length).toBe(2), WAIT);
  });
});
