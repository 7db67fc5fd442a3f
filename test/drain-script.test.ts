import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram } from "../testbed/kubernetes/programs.ts";
import { ROOT } from "./support/gate.ts";

const SCRIPT = join(ROOT, "charts/taskgate/files/drain.sh");
const run = promisify(execFile);

let admin: Server;
let asked: string[];
/** What the admin tells, one answer after the other; the last one stays. */
let stats: string[];
let folder: string;

beforeEach(async () => {
  asked = [];
  folder = mkdtempSync(join(tmpdir(), "taskgate-drain-"));
  admin = createServer((request, response) => {
    asked.push(`${String(request.method)} ${String(request.url)}`);
    const isStats = request.url?.startsWith("/stats") === true;
    response.end(isStats ? (stats.length > 1 ? stats.shift() : stats[0]) : "OK\n");
  }).listen(0, "127.0.0.1");
  await once(admin, "listening");
});
afterEach(() => {
  admin.close();
  rmSync(folder, { recursive: true });
});

/** Runs it where these programs are, and no others. How long it took, in seconds. */
async function drain(programs: readonly string[], seconds: number): Promise<number> {
  for (const program of ["sh", "sleep", "tr", "cat", ...programs])
    symlinkSync(findProgram(program)!, join(folder, program));
  const from = performance.now();
  const { port } = admin.address() as AddressInfo;
  await run("/bin/sh", [SCRIPT, "0", String(seconds)], { env: { PATH: folder, ADMIN: `127.0.0.1:${String(port)}` } });
  return (performance.now() - from) / 1000;
}

const told = (requests: number, connections: number, raw: number): string =>
  [
    "http.admin.downstream_rq_active: 1",
    "http.main.downstream_cx_active: " + String(connections),
    "http.main.downstream_rq_active: " + String(requests),
    "listener.0.0.0.0_7080.downstream_cx_active: " + String(connections + raw),
    "listener.0.0.0.0_7080.worker_0.downstream_cx_active: 9",
    "listener.admin.downstream_cx_active: 1",
    "",
  ].join("\n");

for (const program of ["wget", "bash"].filter((name) => findProgram(name) !== undefined)) {
  test(`closes the ports, then waits for requests and raw connections alone: by ${program}`, async () => {
    stats = [told(1, 3, 0), told(0, 3, 1), told(0, 3, 0)];
    const took = await drain([program], 20);
    expect(asked.slice(0, 2)).toEqual(["POST /healthcheck/fail", "POST /drain_listeners"]);
    expect(asked.length).toBe(5);
    expect(took).toBeGreaterThan(1.9);
    expect(took).toBeLessThan(10);
  });
}

test("gives up waiting when its time is over", async () => {
  stats = [told(1, 1, 0)];
  const took = await drain(["bash"], 1);
  expect(took).toBeGreaterThan(0.9);
  expect(took).toBeLessThan(5);
});
