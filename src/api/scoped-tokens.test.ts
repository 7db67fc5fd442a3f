import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Scope } from "../model/index.ts";
import { startTestGate, type TestGate } from "./testing/start-gate.ts";
import { OWNER, webTask } from "./testing/web-task.ts";
import { ErrorView, OPERATIONS, TasksView, TaskView } from "./wire.ts";
import { TokenCreated, TokensView } from "./wire-tokens.ts";

let gate: TestGate;

beforeAll(async () => {
  gate = await startTestGate();
  const tasks = [webTask("nb"), webTask("other"), webTask("shared", { owner: { realm: "corp", name: "bob" } })];
  gate.publish("local", { kind: "whole", tasks, problems: [] });
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
});

const post = (path: string, body: unknown, more = {}) => gate.ask(path, { body: JSON.stringify(body), ...more });

async function tokenWith(scope: Scope): Promise<TokenCreated> {
  return TokenCreated.parse((await post("/tokens", { name: "ci", scope })).json());
}

async function namesFor(scope: Scope): Promise<readonly string[]> {
  const { token } = await tokenWith(scope);
  const { tasks } = TasksView.parse((await gate.ask("/tasks", { token })).json());
  return tasks.map(({ name, manageable }) => (manageable ? `${name}!` : name));
}

describe("a token with a scope", () => {
  test("sees the tasks that are in it, and may act on those it manages", async () => {
    expect(await namesFor({ actions: ["connect"], services: ["nb"] })).toEqual(["nb"]);
    expect(await namesFor({ actions: ["read"], services: ["n*", "shared"] })).toEqual(["nb", "shared"]);
    expect(await namesFor({ actions: ["manage"], services: ["other"] })).toEqual(["other!"]);
    expect(await namesFor({ actions: ["manage"], services: ["other/web"] })).toEqual(["other"]);
    expect(await namesFor({ actions: ["connect"], services: ["nobody"] })).toEqual([]);
    expect(await namesFor({ actions: ["read"] })).toEqual(["nb", "other", "shared"]);
  });

  test("is told of another's task that it is not there", async () => {
    const { token } = await tokenWith({ actions: ["read"], services: ["nb"] });
    expect((await gate.ask("/tasks/nb", { token })).status).toBe(200);
    expect((await gate.ask("/tasks/other", { token })).status).toBe(404);
    expect((await gate.ask("/tasks/other/logs", { token })).status).toBe(404);
  });

  test("acts on no task without the action", async () => {
    const reading = (await tokenWith({ actions: ["connect", "read"] })).token;
    for (const [method, path] of [
      ["POST", "/tasks/nb/stop"],
      ["POST", "/tasks/nb/restart"],
      ["DELETE", "/tasks/nb"],
    ] as const) {
      const answer = await gate.ask(path, { method, token: reading });
      expect(answer.status, path).toBe(403);
      expect(ErrorView.parse(answer.json()).error.message).toMatch(/needs manage/);
    }
    const connecting = (await tokenWith({ actions: ["connect"] })).token;
    expect((await gate.ask("/tasks/nb/logs", { token: connecting })).status).toBe(403);
    const partly = (await tokenWith({ actions: ["manage"], services: ["nb/web"] })).token;
    expect((await gate.ask("/tasks/nb", { method: "DELETE", token: partly })).status).toBe(403);
    const others = (await tokenWith({ actions: ["manage"], services: ["nb"] })).token;
    const run = { command: ["true"], directory: "/", environment: {} };
    expect((await post("/tasks", run, { token: others })).status).toBe(403);
    const all = (await tokenWith({ actions: ["manage"] })).token;
    expect(TaskView.parse((await gate.ask("/tasks/nb", { token: all })).json()).manageable).toBe(true);
  });

  test("may ask for nothing that is not listed for it, however much it holds", async () => {
    const { token } = await tokenWith({ actions: ["connect", "read", "manage"] });
    const theirs = [
      ...["version", "whoAmI", "logout", "revokeToken", "listTasks", "showTask", "events", "taskLogs", "listProblems"],
      ...["runTask", "attachTask", "stopTask", "restartTask", "removeTask", "visit"],
    ];
    const open = [
      ...["openapi", "redeemCode", "redeemLink", "loginMethods", "beginLogin", "completeLogin", "passwordLogin"],
      ...["headerLogin", "beginDevice", "pollDevice"],
    ];
    const others = Object.entries(OPERATIONS).filter(([name]) => ![...theirs, ...open].includes(name));
    expect(others.map(([name]) => name)).toEqual(
      expect.arrayContaining(["createToken", "listTokens", "createLink", "shareTask", "answerDevice", "readAudit"]),
    );
    for (const [name, operation] of others) {
      const [method = "", path = ""] = operation.split(" ");
      const body = method === "POST" ? { body: "{}" } : {};
      const answer = await gate.ask(path.replace(/\{\w+\}/g, "nb"), { method, token, ...body });
      expect(answer.status, name).toBe(403);
      expect(ErrorView.parse(answer.json()).error.message, name).toMatch(/no token with a scope/);
    }
  });

  test("visits what is in it, and revokes itself alone", async () => {
    const created = await tokenWith({ actions: ["connect"], services: ["nb"] });
    const visit = (host: string) =>
      post("/visits", { host: `${host}.localhost:7080`, state: "A".repeat(43), path: "/" }, { token: created.token });
    expect((await visit("nb")).status).toBe(200);
    expect((await visit("other")).status).toBe(403);
    const another = await tokenWith({ actions: ["read"] });
    const revoke = (id: string) => gate.ask(`/tokens/${id}`, { method: "DELETE", token: created.token });
    expect((await revoke(another.id)).status).toBe(403);
    expect((await revoke(created.id)).status).toBe(204);
    expect((await visit("nb")).status).toBe(401);
  });

  test("is listed with it", async () => {
    const scope = { actions: ["connect" as const], services: ["nb/web"] };
    const { id } = await tokenWith(scope);
    const { tokens } = TokensView.parse((await gate.ask("/tokens")).json());
    expect(tokens.find((token) => token.id === id)).toMatchObject({ scope, owner: OWNER.name, lastUsedAt: null });
  });

  test.each([{ actions: [] }, { actions: ["admin"] }, { actions: ["read"], services: ["a/b/c/d"] }, {}])(
    "is not made with %j",
    async (scope) => {
      expect((await post("/tokens", { name: "ci", scope })).status).toBe(400);
    },
  );
});

test("a service account's token is somebody of its own", async () => {
  const { token, owner } = TokenCreated.parse((await post("/tokens", { name: "ci", account: "robot" })).json());
  expect(owner).toBe("service/robot");
  expect((await gate.ask("/login", { token })).json()).toMatchObject({ realm: "service", name: "robot", admin: false });
});
