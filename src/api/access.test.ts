import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Principal } from "../model/index.ts";
import { startTestGate, type TestGate } from "./testing/start-gate.ts";
import { OWNER, webTask } from "./testing/web-task.ts";
import { TasksView, TaskView } from "./wire.ts";
import { AccessHistoryView, AccessView, GrantCreated, SharedLinkView } from "./wire-access.ts";

const person = (name: string, groups: string[] = []): Principal => ({
  realm: "corp",
  name,
  groups: groups.map((group) => ({ realm: "corp", name: group })),
  admin: false,
});
const CAROL = person("carol");
const BOB = person("bob");
const MLER = person("mia", ["ml"]);
const HOUR = 3_600_000;

let gate: TestGate;
let tokens: { carol: string; bob: string; mia: string };

beforeAll(async () => {
  gate = await startTestGate();
  const [carol, bob, mia] = await Promise.all([CAROL, BOB, MLER].map((one) => gate.tokenOf(one)));
  tokens = { carol: carol ?? "", bob: bob ?? "", mia: mia ?? "" };
});
afterAll(() => gate[Symbol.asyncDispose]());

let count = 0;
let task: string;
/** A new task of carol's with the services web and db. */
beforeEach(() => {
  task = `nb-${String(++count)}`;
  const services = ["web", "db"].map((name) => ({ name, protocol: "http", guard: "gate", exposures: [], policy: {} }) as const); // prettier-ignore
  gate.provider.set(webTask(task, { owner: { realm: "corp", name: "carol" }, services, instance: task }));
});

const path = (rest = "access") => `/tasks/${task}/${rest}`;
const ask = (method: string, where: string, body?: unknown, token = tokens.carol) =>
  gate.ask(where, { method, token, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
const share = async (body: unknown) => GrantCreated.parse((await ask("POST", path(), body)).json());
const access = async (where = path()) => AccessView.parse((await ask("GET", where)).json());
const seenBy = async (token: string) =>
  TasksView.parse((await gate.ask("/tasks", { token })).json()).tasks.find(({ name }) => name === task);

describe("sharing", () => {
  test("lets a user, of the owner's realm where none is named, use the task and see that", async () => {
    expect(await seenBy(tokens.bob)).toBeUndefined();
    const created = await share({ to: "bob", lifetimeMs: HOUR });
    expect(created).toMatchObject({ source: "owner", to: "corp/bob", service: null, by: "corp/carol", link: null });
    expect(created.until).toBeGreaterThan(Date.now() + HOUR - 10_000);
    expect(await seenBy(tokens.bob)).toMatchObject({ manageable: false, owner: "carol", controllable: false });
    expect(await seenBy(tokens.mia)).toBeUndefined();
    expect((await access()).grants).toEqual([expect.objectContaining({ id: created.id, effective: true })]);
  });

  test("shows who it is shared with the way in, and nothing that is the owner's", async () => {
    gate.provider.set(webTask(task, { owner: CAROL, instance: task, state: "failed", reason: "secret reason" }));
    await share({ to: "group:ml", service: "web" });
    const seen = TaskView.parse((await gate.ask(`/tasks/${task}`, { token: tokens.mia })).json());
    expect(seen).toMatchObject({ reason: null, problems: [], removable: false, manageable: false });
    expect(seen.services).toEqual([expect.objectContaining({ name: "web", sharedWith: [] })]);
    for (const [method, rest] of [
      ["GET", "logs"],
      ["POST", "stop"],
      ["GET", "access"],
      ["POST", "access"],
      ["GET", "access/history"],
    ] as const) {
      const body = method === "POST" ? { to: "bob" } : undefined;
      const answer = await ask(method, path(rest), body, tokens.mia);
      expect([rest, answer.status]).toEqual([rest, 403]);
    }
    expect((await ask("DELETE", `/tasks/${task}`, undefined, tokens.mia)).status).toBe(403);
    expect((await ask("GET", path(), undefined, tokens.bob)).status).toBe(404);
  });

  test("of one service is of that service alone", async () => {
    await ask("POST", path("services/db/access"), { to: "bob" });
    expect((await seenBy(tokens.bob))?.services.map(({ name }) => name)).toEqual(["db"]);
    expect((await access(path("services/web/access"))).grants).toEqual([]);
    expect((await access(path("services/db/access"))).grants).toHaveLength(1);
    expect((await ask("POST", path("services/x/access"), { to: "bob" })).body).toMatch(/no service named x; it has/);
    expect((await ask("POST", path("services/db/access"), { to: "bob", service: "web" })).status).toBe(400);
  });

  test("tells its owner with whom, live", async () => {
    await share({ to: "bob" });
    await share({ to: "group:corp/ml", service: "db" });
    const view = TaskView.parse((await ask("GET", `/tasks/${task}`)).json());
    expect(view.services.map(({ name, sharedWith }) => [name, sharedWith])).toEqual([
      ["web", ["corp/bob"]],
      ["db", ["corp/bob", "group:corp/ml"]],
    ]);
  });

  test("by an administrator of the gate's own realm means those of the first login method", async () => {
    const answer = await gate.ask(path(), { method: "POST", body: JSON.stringify({ to: "someone" }) });
    expect(GrantCreated.parse(answer.json())).toMatchObject({ to: `${OWNER.realm}/someone`, by: "local/alice" });
  });

  test.each([
    [{ to: "public" }, 403, /access\.ceiling/],
    [{ to: "elsewhere/bob" }, 403, /access\.realms/],
    [{ to: "link", lifetimeMs: HOUR + 1000 }, 403, /1h \(access\.longestLink\)/],
    [{ to: "link/g-x" }, 400, /a link is taken back by its id/],
    [{ to: "" }, 400, /to/],
    [{ to: "a\u202eb" }, 400, /expected/],
    [{ to: "bob", until: 1 }, 400, /a time to come/],
    [{ to: "bob", until: 1, lifetimeMs: HOUR }, 400, /not both/],
    [{ to: "bob", service: "none" }, 404, /no service named none/],
    [{ to: "bob", role: "admin" }, 400, /role/],
  ])("%j is refused with %i and says why", async (body, status, why) => {
    const answer = await ask("POST", path(), body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(why);
    expect((await access()).grants).toEqual([]);
  });
});

describe("taking back", () => {
  test("one thing by its id, all of a service, or all", async () => {
    const bob = await share({ to: "bob" });
    await share({ to: "authenticated", service: "db" });
    await share({ to: "link" });
    expect((await ask("DELETE", path(`access/${bob.id ?? ""}`))).status).toBe(204);
    expect((await ask("DELETE", path(`access/${bob.id ?? ""}`))).status).toBe(404);
    expect((await seenBy(tokens.bob))?.services.map(({ name }) => name)).toEqual(["db"]);
    expect((await ask("DELETE", path("services/db/access"))).status).toBe(204);
    expect(await seenBy(tokens.bob)).toBeUndefined();
    expect((await access()).grants).toHaveLength(1);
    expect((await ask("DELETE", path())).status).toBe(204);
    expect((await access()).grants).toEqual([]);
  });

  test("saying all of it keeps what stays as it was, and links", async () => {
    const [bob] = [await share({ to: "bob" }), await share({ to: "mia" })];
    const link = await share({ to: "link" });
    const put = await ask("PUT", path(), { grants: [{ to: "bob" }, { to: "group:ml", service: "web" }] });
    const now = AccessView.parse(put.json()).grants;
    expect(now.map(({ to, service }) => [to, service]).toSorted()).toEqual([
      ["corp/bob", null],
      ["group:corp/ml", "web"],
      ["link", null],
    ]);
    expect(now.map(({ id }) => id)).toEqual(expect.arrayContaining([bob.id, link.id]));
    expect((await ask("PUT", path(), { grants: [{ to: "link" }] })).status).toBe(400);
    expect((await ask("PUT", path(), { grants: [{ to: "bob" }, { to: "public" }] })).status).toBe(403);
    expect((await access()).grants).toHaveLength(3);
  });

  test("is in the history with who did it, and never a secret", async () => {
    const bob = await share({ to: "bob" });
    const link = await share({ to: "link" });
    await gate.ask(path(`access/${bob.id ?? ""}`), { method: "DELETE" });
    const answer = await ask("GET", path("access/history"));
    const { changes } = AccessHistoryView.parse(answer.json());
    expect(changes.map(({ did, by, grant }) => [did, by, grant.to])).toEqual([
      ["took", "local/alice", "corp/bob"],
      ["gave", "corp/carol", "link"],
      ["gave", "corp/carol", "corp/bob"],
    ]);
    expect(answer.body).not.toContain(link.link?.slice(-30));
  });
});

test("what is given goes with the task, and who gave it is not the next owner", async () => {
  await share({ to: "bob" });
  await ask("DELETE", `/tasks/${task}`);
  gate.provider.set(webTask(task, { owner: { realm: "corp", name: "carol" }, instance: "later" }));
  expect(await seenBy(tokens.bob)).toBeUndefined();
  expect((await access()).grants).toEqual([]);
});

test("what the provider and rules give is shown, and is not the owner's to take", async () => {
  const grants = [{ to: { realm: "corp", name: "bob" }, by: { realm: "corp", name: "carol" } }];
  gate.provider.set(webTask(task, { owner: CAROL, instance: task, access: { grants, anyone: "authenticated" } }));
  const view = await access();
  expect(view.services).toEqual([{ name: "web", anyone: "authenticated" }]);
  expect(view.grants).toEqual([
    expect.objectContaining({ id: null, source: "provider", to: "corp/bob", service: null, by: "corp/carol" }),
  ]);
  expect(view.bounds).toMatchObject({ anyone: "authenticated", longestLinkMs: HOUR, realms: ["local", "corp"] });
});

describe("a link", () => {
  const redeem = (link: string) => gate.ask("/links/redeem", { token: null, body: JSON.stringify({ link }) });

  test("is an address whose secret no server is sent, good for as long as allowed", async () => {
    const { link, until } = await share({ to: "link" });
    expect(link).toMatch(/^http:\/\/taskgate\.localhost:7080\/\.taskgate\/share#link=g-[a-z2-7]{12}_[\w-]{43}$/);
    expect(until).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test("is exchanged for a token that is good for its services and nothing else here", async () => {
    const { id, link } = await share({ to: "link", service: "web" });
    const opened = SharedLinkView.parse((await redeem(link ?? "")).json());
    expect(opened).toMatchObject({ link: id, task, services: [{ name: "web", protocol: "http" }] });
    const with_ = (method: string, where: string, body?: unknown) => ask(method, where, body, opened.token);
    expect((await with_("GET", "/login")).json()).toMatchObject({ realm: "link", name: id, admin: false });
    for (const [method, where, body] of [
      ["GET", "/tasks", undefined],
      ["GET", "/events", undefined],
      ["GET", path(), undefined],
      ["POST", path(), { to: "bob" }],
      ["POST", "/tokens", { name: "x" }],
      ["GET", "/tokens", undefined],
      ["POST", "/links", {}],
      ["DELETE", `/tasks/${task}`, undefined],
      ["GET", "/nothing", undefined],
    ] as const) {
      expect([where, (await with_(method, where, body)).status]).toEqual([where, 403]);
    }
  });

  test("that is wrong, or taken back, opens nothing, and nobody can tell which", async () => {
    const { id, link } = await share({ to: "link" });
    const text = link?.split("#link=")[1] ?? "";
    expect((await redeem(text)).status).toBe(200);
    await ask("DELETE", path(`access/${id ?? ""}`));
    const gone = await redeem(text);
    const wrong = await redeem(`${text.slice(0, -2)}zz`);
    expect([gone.status, wrong.status]).toEqual([401, 401]);
    expect(gone.body).toBe(wrong.body);
  });
});
