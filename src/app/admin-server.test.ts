import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

interface Ask {
  readonly method?: string;
  readonly host?: string;
  readonly token?: string;
}

function ask(path: string, { method = "GET", host = "127.0.0.1", token }: Ask = {}) {
  const headers = { host, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    request({ host: "127.0.0.1", port: admin.port, path, method, headers, agent: false }, (response) => {
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

test("where others reach it, metrics ask for the token as the file has it, and health checks name nothing", async () => {
  await admin[Symbol.asyncDispose]();
  const folder = mkdtempSync(join(tmpdir(), "taskgate-admin-"));
  const tokenFile = join(folder, "token");
  const metrics = createMetrics(MetricsConfig.parse({}));
  writeFileSync(tokenFile, "first\n");
  admin = await startAdminServer({
    address: { host: "0.0.0.0", port: 0 },
    tokenFile,
    metrics,
    notReady: () => missing,
  });
  const status = async (token?: string) =>
    (await ask("/metrics", { host: "10.0.0.1:7081", ...(token !== undefined && { token }) })).status;
  expect([await status(), await status("second"), await status("first")]).toEqual([401, 401, 200]);
  writeFileSync(tokenFile, "second\n");
  expect([await status("first"), await status("second")]).toEqual([401, 200]);
  writeFileSync(tokenFile, "\n");
  expect([await status(""), await status("second")], "an empty file lets nobody in").toEqual([401, 401]);
  rmSync(folder, { recursive: true });
  expect(await status("second"), "neither does one that is gone").toBe(500);
  expect((await ask("/healthz", { host: "10.0.0.1:7081" })).status).toBe(200);
  missing = "not heard yet: team-a";
  expect(await ask("/readyz", { host: "10.0.0.1:7081" })).toEqual({ status: 503, body: "not ready\n" });
});
