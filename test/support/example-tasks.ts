import { join } from "node:path";
import { ROOT, type TestGate, until } from "./gate.ts";

const SERVICES = join(ROOT, "examples", "services");

/** Runs the examples `hello` (HTTP) and `chat` (WebSocket), and `raw` (TCP, public); resolves once the first answers. */
export async function startExampleTasks(gate: TestGate): Promise<void> {
  const start = (name: string, kind: string, file: string, ...more: readonly string[]) =>
    gate.json(
      "run",
      "--name",
      name,
      "--service",
      `main=${kind}`,
      ...more,
      "--",
      process.execPath,
      join(SERVICES, file),
    );
  await start("hello", "http", "hello.mjs");
  await start("chat", "http", "chat.mjs");
  await start("raw", "tcp", "tcp-echo.mjs", "--access", "public");
  await until(async () => (await gate.ask("hello.localhost", "/")).status === 200, "the first answer");
}
