import type { ServerResponse } from "node:http";
import { describe, expect, test, vi } from "vitest";
import { answer, refuse } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { makerOf, makersOf, podOf, podsOf, serviceOf, servicesOf } from "./testing/objects.ts";
import { WAIT } from "./testing/stand.ts";
import { carriedBy, rest, statusOf, statusStand, type StatusStand } from "./testing/status-stand.ts";

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
    await rest();
    const before = writes().length;
    say({ "team.nb": { ...NB, problems: [TAKEN] } });
    await vi.waitFor(() => expect(events()[0]).toMatchObject({ series: { count: 2 } }), WAIT);
    expect(writes().length).toBeGreaterThan(before);
  });

  test("is what is wrong with an object that makes no task, from its provider and from the core", async () => {
    const { put, say, record, tasks, carries, events, server } = await statusStand();
    put({ name: "bad", annotations: { colour: "red" } }, { name: "refused" });
    await tasks(1);
    await vi.waitFor(() => expect(record.problems.length).toBe(1), WAIT);
    const refusal = { subject: "kubernetes/team.refused", code: "task_invalid", message: "It is no task." };
    say({}, [...record.problems, refusal]);
    await carries("refused", { problems: [{ code: "task_invalid", message: "It is no task." }] });
    await vi.waitFor(() => expect(events().length).toBe(2), WAIT);
    expect(carriedBy(server, "bad")).toMatchObject({ problems: [{ code: "task_invalid" }] });
  });

  test("is a problem and no address on a pod that is left out of its task", async () => {
    const { put, say, record, tasks, carries, server } = await statusStand({
      rights: [{ namespaces: ["*"], owners: ["*"] }],
    });
    put({ name: "a", annotations: { name: "job", owner: "ann" }, createdAt: "2026-01-01T00:00:00Z" });
    put({ name: "b", annotations: { name: "job", owner: "bob" }, createdAt: "2026-01-02T00:00:00Z" });
    await tasks(1);
    await vi.waitFor(() => expect(record.problems.length).toBe(1), WAIT);
    say({ "team.job": statusOf({ web: "https://job/" }) });
    await carries("a", { address: "https://job/" });
    await vi.waitFor(
      () => expect(carriedBy(server, "b")).toMatchObject({ problems: [{ code: "claim_refused" }] }),
      WAIT,
    );
    expect(carriedBy(server, "b").address).toBeUndefined();
  });

  test("has its bounds, however much is wrong", async () => {
    const { put, say, tasks, server, events } = await statusStand();
    for (let at = 0; at < 20; at += 1) put({ name: `job-${String(at)}`, annotations: { name: "job" } });
    await tasks(1);
    const long = { ...TAKEN, subject: "kubernetes/team.job", message: "x".repeat(5000) };
    const problems = Array.from({ length: 30 }, (_, at) => ({ ...long, code: `code_${String(at)}` }));
    say({ "team.job": statusOf({ web: "https://job/" }, problems) });
    await vi.waitFor(() => expect(carriedBy(server, "job-19").problems).toHaveLength(10), WAIT);
    const text = server.get(podsOf("team"), "job-19")?.metadata.annotations?.["taskgate.dev/problems"] ?? "";
    expect(text.length).toBeLessThan(4000);
    await vi.waitFor(() => expect(new Set(events().map(({ metadata }) => metadata.name)).size).toBe(5 * 30), WAIT);
  });

  test("is nobody's word, wherever it was copied", async () => {
    const { server, say, tasks, carries, record } = await statusStand();
    const pod = podOf({ name: "nb", annotations: { problems: "[]", address: "https://old/", addresses: "{}" } });
    server.put(podsOf("team"), { ...pod, metadata: { ...pod.metadata, labels: {} } });
    await tasks(1);
    expect(record.problems).toEqual([]);
    say({ "team.nb": NB });
    // Who made the pod has these three, and keeps them.
    await rest();
    await carries("nb", { address: "https://old/", addresses: {}, problems: [] });
  });
});

describe("nothing is written", () => {
  test("while nothing changes, whatever is heard and told, and by the next leader", async () => {
    const { server, say, record, writes, elect, put, carries, events } = await reached();
    put({ name: "bad", annotations: { colour: "red" } });
    await vi.waitFor(() => expect(record.problems.length).toBe(1), WAIT);
    say({});
    await vi.waitFor(() => expect(events().length).toBe(1), WAIT);
    await vi.waitFor(() => expect(carriedBy(server, "bad").problems).toBeDefined(), WAIT);
    await rest();
    const [calls, heard] = [writes().length, record.updates.length];
    const pod = server.get(podsOf("team"), "nb")!;
    const annotations = { ...pod.metadata.annotations, theirs: "1" };
    server.put(podsOf("team"), { ...pod, metadata: { ...pod.metadata, annotations } });
    say({ "team.nb": NB });
    elect();
    say({ "team.nb": NB });
    await rest();
    expect(writes().length).toBe(calls);
    // What comes back of one's own, and what others write beside, is no news.
    expect(record.updates.length).toBe(heard);
    await carries("nb", { address: "https://nb.gate.test/lab" });
  });

  test("over what somebody else has, who is asked no second time", async () => {
    const { server, say, writes, carries } = await reached();
    const pod = server.get(podsOf("team"), "nb")!;
    const theirs = { ...pod.metadata.annotations, "taskgate.dev/address": "https://theirs/" };
    server.put(podsOf("team"), { ...pod, metadata: { ...pod.metadata, annotations: theirs } });
    await vi.waitFor(() => expect(writes().length).toBe(2), WAIT);
    await rest();
    server.put(podsOf("team"), { ...pod, metadata: { ...pod.metadata, annotations: { ...theirs, more: "1" } } });
    say({ "team.nb": NB });
    await rest();
    expect(writes().length).toBe(2);
    await carries("nb", { address: "https://theirs/" });
    // What it does not say itself is said beside it.
    say({ "team.nb": { ...NB, problems: [TAKEN] } });
    await carries("nb", { address: "https://theirs/", problems: [SHOWN_TAKEN] });
    say({ "team.nb": NB });
    await carries("nb", { address: "https://theirs/" });
  });

  test("by who does not lead, or no longer does", async () => {
    const { server, put, tasks, say, resign, writes, carries } = await reached();
    resign();
    put({ name: "other" });
    await tasks(2);
    say({ "team.other": statusOf({ web: "https://other/" }) });
    await rest();
    expect(writes().length).toBe(1);
    await carries("other", {});
    expect(server.get(podsOf("team"), "other")).toBeDefined();
  });

  test("on what is to end, or is gone, or is another of that name", async () => {
    const { server, put, tasks, say, writes, carries } = await reached();
    server.remove(podsOf("team"), "nb");
    await tasks(0);
    say({ "team.nb": null });
    put({ name: "ending", leaving: true });
    await tasks(1);
    say({ "team.ending": statusOf({ web: "https://ending/" }) });
    await rest();
    expect(writes().length).toBe(1);
    const { metadata, ...pod } = podOf({ name: "nb" });
    server.put(podsOf("team"), { ...pod, metadata: { ...metadata, uid: "uid-of-another" } });
    await tasks(2);
    say({ "team.nb": NB });
    await carries("nb", { address: "https://nb.gate.test/lab" });
    expect(writes().at(-1)?.body).toMatchObject({ metadata: { uid: "uid-of-another" } });
  });

  test("where the configuration says so", async () => {
    const { server, put, tasks, say, writes } = await statusStand({ writeStatus: false });
    put({ name: "nb" });
    await tasks(1);
    say({ "team.nb": NB });
    await rest();
    expect([writes(), carriedBy(server, "nb")]).toEqual([[], {}]);
  });
});

describe("what was written", () => {
  test("is taken away from what is no task any more, on pods and Services", async () => {
    const { server, put, say, tasks, carries } = await reached();
    server.put(servicesOf("team"), serviceOf("front"));
    await tasks(2);
    say({ "team.service:front": statusOf({ http: "https://front/" }) });
    await carries("front", { address: "https://front/" }, servicesOf("team"));
    put({ name: "other" });
    for (const [path, name] of [[podsOf("team"), "nb"] as const, [servicesOf("team"), "front"] as const]) {
      const object = server.get(path, name)!;
      const annotations = { ...object.metadata.annotations, "taskgate.dev/enabled": "false" };
      server.put(path, { ...object, metadata: { ...object.metadata, annotations } });
      await carries(name, {}, path);
      expect(server.get(path, name)?.metadata.annotations).toEqual({ "taskgate.dev/enabled": "false" });
    }
  });

  test("because of what makes a pod is taken away with that, and what is wrong there is told there", async () => {
    const { server, put, say, record, tasks, carries, events, elect, writes } = await statusStand({ owners: true });
    const make = (annotations: Readonly<Record<string, string>>): void => {
      server.put(makersOf("statefulsets"), makerOf("nb", annotations));
    };
    make({ enabled: "true" });
    put({ name: "nb-0", annotations: null, controller: { kind: "StatefulSet", name: "nb" } });
    await tasks(1);
    say({ "team.nb": NB });
    await carries("nb-0", { address: "https://nb.gate.test/lab" });
    make({ enabled: "true", colour: "red" });
    await tasks(0);
    say({ "team.nb": null });
    await carries("nb-0", {});
    await vi.waitFor(() => expect(events().length).toBe(1), WAIT);
    const regarding = { apiVersion: "apps/v1", kind: "StatefulSet", namespace: "team", name: "nb" };
    expect(events()[0]).toMatchObject({ reason: "TaskInvalid", regarding });
    expect(server.get(makersOf("statefulsets"), "nb")?.metadata.annotations).not.toHaveProperty(
      "taskgate.dev/problems",
    );
    const calls = writes().length;
    elect();
    say({}, record.problems);
    await rest();
    expect(writes().length).toBe(calls);
  });

  test("is written again when it was lost, and ever more seldom for who takes it away each time", async () => {
    const pauses = { firstPauseMs: 10, mostPauseMs: 60_000, rowMs: 60_000 };
    const bounds = { perSecond: 10_000, burst: 1000, settleMs: 1, ...pauses };
    const { server, put, say, tasks, carries, writes } = await statusStand({}, { statusBounds: bounds });
    put({ name: "nb" });
    await tasks(1);
    say({ "team.nb": NB });
    await carries("nb", { address: "https://nb.gate.test/lab" });
    const until = performance.now() + 1500;
    while (performance.now() < until) {
      if (carriedBy(server, "nb").address !== undefined) put({ name: "nb" });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    // 5 at once, then after 20, 40, 80, 160, 320, 640 ms.
    expect(writes().length).toBeGreaterThan(5);
    expect(writes().length).toBeLessThanOrEqual(12);
  });
});

const FORBIDDEN = 'is forbidden: User "gate" cannot patch resource "pods" in API group "" in the namespace "team"';

function forbid(response: ServerResponse, message: string): true {
  answer(response, 403, { kind: "Status", status: "Failure", code: 403, reason: "Forbidden", message });
  return true;
}

describe("a server that refuses", () => {
  test("for want of a right is one Problem, however many objects there are, which goes with the right", async () => {
    const bounds = { perSecond: 10_000, burst: 1000, settleMs: 1, rightsMs: 400 };
    const { server, put, say, tasks, writes, record, carries } = await statusStand({}, { statusBounds: bounds });
    server.intercept = ({ method }, response) => method === "PATCH" && forbid(response, `pods "nb" ${FORBIDDEN}`);
    const names = Array.from({ length: 50 }, (_, at) => `nb-${String(at)}`);
    put(...names.map((name) => ({ name })));
    await tasks(50);
    say(Object.fromEntries(names.map((name) => [`team.${name}`, NB])));
    await vi.waitFor(() => expect(record.problems.length).toBe(1), WAIT);
    const [{ subject, code, message }] = record.problems as [(typeof record.problems)[0]];
    expect([subject, code]).toEqual(["kubernetes", "status_forbidden"]);
    expect(message).toContain("the gate may not patch pods in namespace team. Give it the right");
    await rest();
    expect(writes().length).toBeLessThanOrEqual(4);
    expect(record.tasks.size).toBe(50);
    server.intercept = () => false;
    for (const name of names) await carries(name, { address: "https://nb.gate.test/lab" });
    await vi.waitFor(() => expect(record.problems).toEqual([]), WAIT);
  });

  test("one object for what it is, is not asked again about that, and is no reason to say anything", async () => {
    const { server, put, say, tasks, writes, record, carries } = await statusStand();
    const refusals = [
      ["admitted", 403, 'admission webhook "x" denied the request'],
      ["invalid", 422, "it is invalid"],
      ["ending", 403, "unable to create new content in namespace team because it is being terminated"],
      ["gone", 404, "not found"],
    ] as const;
    server.intercept = ({ method, path }, response) => {
      const refusal = refusals.find(([name]) => method === "PATCH" && path.endsWith(name));
      if (refusal === undefined) return false;
      answer(response, refusal[1], { kind: "Status", reason: "Forbidden", message: refusal[2] });
      return true;
    };
    put({ name: "good" }, ...refusals.map(([name]) => ({ name })));
    await tasks(5);
    say(Object.fromEntries(["good", ...refusals.map(([name]) => name)].map((name) => [`team.${name}`, NB])));
    await carries("good", { address: "https://nb.gate.test/lab" });
    await vi.waitFor(() => expect(writes().length).toBe(5), WAIT);
    await rest();
    expect([writes().length, record.problems]).toEqual([5, []]);
  });

  test("for a while is asked again, with pauses", async () => {
    const { server, put, say, tasks, writes, carries } = await statusStand();
    let isAway = true;
    server.intercept = ({ method }, response) => {
      if (method !== "PATCH" || !isAway) return false;
      refuse(response, 503, "ServiceUnavailable");
      return true;
    };
    put({ name: "nb" });
    await tasks(1);
    say({ "team.nb": NB });
    await vi.waitFor(() => expect(writes().length).toBe(1), WAIT);
    await rest();
    expect(writes().length).toBe(1);
    isAway = false;
    await carries("nb", { address: "https://nb.gate.test/lab" });
  });

  test("all that is asked for one namespace keeps no other waiting", async () => {
    const { server, put, say, tasks, writes } = await statusStand();
    server.intercept = ({ method, path }, response) => {
      if (method !== "PATCH" || !path.startsWith(podsOf("broken"))) return false;
      answer(response, 500, { kind: "Status", reason: "InternalError", message: "failed calling webhook" });
      return true;
    };
    const names = Array.from({ length: 50 }, (_, at) => `nb-${String(at)}`);
    put(...names.flatMap((name) => [{ name, namespace: "broken" }, { name }]));
    await tasks(100);
    const began = performance.now();
    say(Object.fromEntries(names.flatMap((name) => [`broken.${name}`, `team.${name}`].map((id) => [id, NB]))));
    const inTeam = () => writes().filter(({ path }) => path.startsWith(podsOf("team"))).length;
    await vi.waitFor(() => expect(inTeam()).toBe(50), WAIT);
    expect(performance.now() - began).toBeLessThan(5000);
    await rest();
    expect(writes().length - inTeam()).toBeLessThan(20);
  });
});

describe("many objects", () => {
  test("are written at the rate that was set, and keep no other namespace waiting", async () => {
    const bounds = { perSecond: 100, burst: 10, settleMs: 1 };
    const { put, say, tasks, writes, server } = await statusStand({}, { statusBounds: bounds });
    const names = Array.from({ length: 200 }, (_, at) => `nb-${String(at)}`);
    put(...names.map((name) => ({ name })), { name: "one", namespace: "few" });
    await tasks(201);
    const began = performance.now();
    say({ ...Object.fromEntries(names.map((name) => [`team.${name}`, NB])), "few.one": NB });
    await vi.waitFor(() => expect(carriedBy(server, "one", podsOf("few"))).not.toEqual({}), WAIT);
    expect(writes().length).toBeLessThan(20);
    put({ name: "new", annotations: { colour: "red" } });
    await vi.waitFor(() => expect(writes().length).toBe(201), WAIT);
    const seconds = (performance.now() - began) / 1000;
    expect(200 / seconds).toBeLessThan(110);
    expect(new Set(writes().map(({ path }) => path)).size).toBe(201);
  });

  test("that were there before do not keep waiting what changes", async () => {
    const bounds = { perSecond: 100, burst: 10, settleMs: 300 };
    const { put, say, tasks, writes, server, elect } = await statusStand({}, { statusBounds: bounds });
    const names = Array.from({ length: 200 }, (_, at) => `nb-${String(at)}`);
    put(...names.map((name) => ({ name })));
    await tasks(200);
    elect();
    say(Object.fromEntries(names.map((name) => [`team.${name}`, NB])));
    put({ name: "new" });
    await tasks(201);
    say({ "team.new": NB });
    await vi.waitFor(() => expect(carriedBy(server, "new")).not.toEqual({}), WAIT);
    expect(writes().length).toBeLessThan(30);
  });
});
