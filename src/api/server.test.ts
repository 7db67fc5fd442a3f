import { once } from "node:events";
import { link, mkdtemp, rm, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenAPIHono } from "@hono/zod-openapi";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger as logger } from "../platform/logger.ts";
import type { ApiEnv } from "./api-env.ts";
import { startApiServer } from "./server.ts";
import { askSocket } from "./testing/ask-socket.ts";

let folder: string;
const app = new OpenAPIHono<ApiEnv>();
app.get("/hello", (c) => c.text("hello"));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tg-api-server-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("the socket is for its user alone, and goes with the server", async () => {
  const socketPath = join(folder, "a.sock");
  const server = await startApiServer({ app, socketPath, logger });
  expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
  await server[Symbol.asyncDispose]();
  await expect(stat(socketPath)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a socket that somebody answers is left to them", async () => {
  const socketPath = join(folder, "b.sock");
  await using scope = new AsyncDisposableStack();
  scope.use(await startApiServer({ app, socketPath, logger }));
  await expect(startApiServer({ app, socketPath, logger })).rejects.toMatchObject({ code: "conflict" });
  expect((await askSocket(socketPath, "//hello", {})).statusCode).toBe(200);
});

test("a socket that a dead gate left is replaced", async () => {
  const socketPath = join(folder, "c.sock");
  // Node removes a socket's file when it closes: a second name for it stays, as after a kill.
  const dead = createServer().listen(join(folder, "c.old"));
  await once(dead, "listening");
  await link(join(folder, "c.old"), socketPath);
  dead.close();
  await once(dead, "close");
  await using scope = new AsyncDisposableStack();
  scope.use(await startApiServer({ app, socketPath, logger }));
  expect((await askSocket(socketPath, "//hello", {})).statusCode).toBe(200);
});

test("a path that no socket can have is refused with what to do", async () => {
  const socketPath = join(folder, "x".repeat(120));
  await expect(startApiServer({ app, socketPath, logger })).rejects.toThrow(/TASKGATE_HOME/);
});

test("what is no HTTP ends its own connection and nothing else", async () => {
  const socketPath = join(folder, "d.sock");
  await using scope = new AsyncDisposableStack();
  scope.use(await startApiServer({ app, socketPath, logger }));
  const garbage = connect(socketPath);
  garbage.on("error", () => undefined);
  garbage.write("\x16\x03\x01 not http\r\n\r\n");
  garbage.resume();
  await once(garbage, "close");
  expect((await askSocket(socketPath, "//hello", {})).statusCode).toBe(200);
});

test("disposing cuts what is open", async () => {
  const socketPath = join(folder, "e.sock");
  const server = await startApiServer({ app, socketPath, logger });
  const idle = connect(socketPath);
  await once(idle, "connect");
  const closed = once(idle, "close");
  idle.resume();
  await server[Symbol.asyncDispose]();
  await closed;
});
