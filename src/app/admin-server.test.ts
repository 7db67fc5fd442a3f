import { request } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type AdminServer, startAdminServer } from "./admin-server.ts";
import { MetricsConfig } from "../config/schema.ts";
import { createMetrics } from "./metrics.ts";

let admin: AdminServer;
let missing: string | null;

beforeEach(async () => {
  missing = null;
  admin = await startAdminServer({
    address: { host: "127.0.0.1", port: 0 },
    metrics: createMetrics(MetricsConfig.parse({})),
    notReady: () => missing,
  });
});

afterEach(() => admin[Symbol.asyncDispose]());

function ask(path: string, { method = "GET", host = "127.0.0.1" } = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port: admin.port, path, method, headers: { host }, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on("error", reject)
      .end();
  });
}

test("says that it lives, what it measures, and whether it is ready or what is missing", async () => {
  expect(await ask("/healthz")).toEqual({ status: 200, body: "ok\n" });
  expect(await ask("/readyz")).toEqual({ status: 200, body: "ready\n" });
  missing = "not heard yet: local";
  expect(await ask("/readyz")).toEqual({ status: 503, body: "not heard yet: local\n" });
  expect((await ask("/metrics")).body).toContain("# TYPE taskgate_table_revision gauge");
});

test("answers nothing else, and no method that changes anything", async () => {
  expect((await ask("/")).status).toBe(404);
  expect((await ask("/metrics?x")).status).toBe(404);
  expect((await ask("/metrics", { method: "POST" })).status).toBe(405);
});

test("a page of a name that was turned to loopback reads nothing", async () => {
  expect((await ask("/metrics", { host: "rebound.example.com" })).status).toBe(421);
  expect((await ask("/metrics", { host: `localhost:${String(admin.port)}` })).status).toBe(200);
});

test("a port that is taken is said with the key that changes it", async () => {
  const deps = { metrics: createMetrics(MetricsConfig.parse({})), notReady: () => null };
  const taken = startAdminServer({ ...deps, address: { host: "127.0.0.1", port: admin.port } });
  await expect(taken).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("admin.address") as string,
  });
});
