import { Hono } from "hono";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AuditLine, Principal } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import type { ApiEnv } from "./api-env.ts";
import { auditOperations } from "./audit-operations.ts";
import { answerErrors } from "./error-view.ts";
import { startTestGate, type TestGate } from "./testing/start-gate.ts";
import { webTask } from "./testing/web-task.ts";

const CAROL: Principal = { realm: "corp", name: "carol", groups: [], admin: false };
const BOB: Principal = { realm: "corp", name: "bob", groups: [], admin: false };

let gate: TestGate;
beforeEach(async () => {
  gate = await startTestGate();
});
afterEach(() => gate[Symbol.asyncDispose]());

/** Lines as this principal gets them, once the log holds one of this operation. */
async function lines(query: string, token = gate.token): Promise<AuditLine[]> {
  const { status, body } = await gate.ask(`/audit${query}`, { token });
  expect(status, body).toBe(200);
  return body
    .split("\n")
    .filter((text) => text !== "")
    .map((text) => JSON.parse(text) as AuditLine);
}

function expectOperations(query: string, token?: string) {
  return expect.poll(async () => (await lines(query, token)).map(({ operation }) => operation), { timeout: 10_000 });
}

test("keeps every change with who made it, how they proved who they are, and from where", async () => {
  const created = await gate.ask(`/tokens`, { method: "POST", body: JSON.stringify({ name: "ci" }) });
  const { id } = created.json<{ id: string }>();
  await gate.ask(`/tokens/${id}`, { method: "DELETE" });
  await gate.ask(`/tokens/${id}`, { method: "DELETE" });
  await gate.ask(`/tokens`);
  await expectOperations("?kind=api").toEqual(["createToken", "revokeToken", "revokeToken"]);
  const [made, revoked, missing] = await lines("?kind=api");
  const who = { realm: "local", user: "alice", proof: "tokens" };
  expect(made).toMatchObject({ ...who, object: id, outcome: "allowed", status: 201 });
  expect(revoked).toMatchObject({ ...who, object: id, outcome: "allowed", status: 204 });
  expect(missing).toMatchObject({ ...who, object: id, outcome: "refused", code: "not_found" });
  expect(JSON.stringify(made)).not.toContain(created.json<{ token: string }>().token);
});

test("keeps who was refused, but not each of a thousand tries of nobody", async () => {
  for (let at = 0; at < 20; at += 1) {
    await gate.ask(`/login`, { method: "POST", body: JSON.stringify({ code: "guess" }), token: null });
    await gate.ask(`/tasks`, { token: "tg_aaaaaaaaaaaa_wrong" });
  }
  await expectOperations("?outcome=refused").toContain("redeemCode");
  const refused = await lines("?outcome=refused");
  expect(refused.length).toBeLessThanOrEqual(4);
  expect(refused).toContainEqual(expect.objectContaining({ operation: "listTasks", code: "unauthenticated" }));
});

test("shows administrators everything, others their own doings and what was done with their tasks", async () => {
  gate.publish("local", { kind: "whole", tasks: [webTask("nb", { owner: CAROL })], problems: [] });
  const [carol, bob] = [await gate.tokenOf(CAROL), await gate.tokenOf(BOB)];
  await gate.ask(`/tasks/nb/stop`, { method: "POST" });
  await gate.ask(`/tokens`, { method: "POST", body: JSON.stringify({ name: "mine" }), token: bob });
  await expectOperations("?kind=api").toEqual(["stopTask", "createToken"]);
  expect((await lines("?kind=api", carol)).map(({ task }) => task)).toEqual(["local/nb"]);
  expect((await lines("?kind=api", bob)).map(({ user }) => user)).toEqual(["bob"]);
  expect((await lines("?user=corp/bob")).map(({ user }) => user)).toEqual(["bob"]);
  expect(await lines("?user=local/bob")).toEqual([]);
  expect((await gate.ask(`/audit/check`, { token: bob })).status).toBe(403);
  expect((await gate.ask(`/audit/check`)).json()).toMatchObject({ files: 1, broken: [] });
});

test.each(["?kind=nonsense", "?outcome=maybe", "?since=yesterday", "?what=x", "?follow=yes"])(
  "refuses %s",
  async (query) => {
    expect((await gate.ask(`/audit${query}`)).status).toBe(400);
  },
);

test("refuses changes while nothing can be put on record, and lets everybody look and take away", async () => {
  const audit = { record: () => undefined, tally: () => undefined, blocked: true };
  const app = new Hono<ApiEnv>();
  app.onError(answerErrors(silentLogger));
  app.use(auditOperations({ auth: { audit } as unknown as TestGate["auth"], clock: systemClock }));
  app.all("/", (c) => c.text("done"));
  const ask = async (method: string) => (await app.request("/", { method })).status;
  expect([await ask("GET"), await ask("DELETE"), await ask("POST"), await ask("PUT")]).toEqual([200, 200, 503, 503]);
});
