import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homeAt, readGateFile } from "../src/config/home.ts";
import { packageRoot } from "../src/platform/package-info.ts";
import { median, type Suite } from "./suite.ts";

const ROUNDS = 7;
const TARGET_MS = 2000;
const GIVE_UP_MS = 60_000;

/** `npm start` with packages installed, on a new state folder: from the command to the first answer of the gate's page, and of the demo. */
export const benchStart: Suite = async (say) => {
  const page: number[] = [];
  const demo: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    say(`npm start, round ${String(round)} of ${String(ROUNDS)}${round === 0 ? " (not counted)" : ""}`);
    const took = await startOnce();
    if (round === 0) continue; // fills the compile cache, as somebody's first start does
    page.push(took.page);
    demo.push(took.demo);
  }
  return [
    { name: "page answers, median", value: median(page), unit: "ms", ratio: median(page) / TARGET_MS },
    { name: "page answers, slowest", value: Math.max(...page), unit: "ms", ratio: Math.max(...page) / TARGET_MS },
    { name: "demo answers, median", value: median(demo), unit: "ms", ratio: null },
  ];
};

async function startOnce(): Promise<{ readonly page: number; readonly demo: number }> {
  const home = mkdtempSync(join(tmpdir(), "tg-bench-"));
  const env = {
    ...process.env,
    TASKGATE_HOME: home,
    TASKGATE_LISTEN_ADDRESS: "127.0.0.1:0",
    TASKGATE_ADMIN_ADDRESS: "127.0.0.1:0",
  };
  const started = performance.now();
  const npm = spawn("npm", ["start", "--silent"], { cwd: packageRoot, env, stdio: "ignore", detached: true });
  const ended = new Promise((resolve) => npm.once("close", resolve));
  try {
    await until(async () => [200, 302].includes(await status(env, "taskgate.localhost")));
    const page = performance.now() - started;
    // 401: it is there, and closed.
    await until(async () => (await status(env, "demo.localhost")) === 401);
    return { page, demo: performance.now() - started };
  } finally {
    if (npm.pid !== undefined) process.kill(-npm.pid, "SIGINT");
    await ended;
    rmSync(home, { recursive: true, force: true });
  }
}

/** 0: nobody answers yet. */
function status(env: Readonly<Record<string, string | undefined>>, host: string): Promise<number> {
  const gate = readGateFile(homeAt(env));
  if (gate === null) return Promise.resolve(0);
  return new Promise((resolve) => {
    const headers = { host: `${host}:${String(gate.port)}` };
    request({ host: gate.address, port: gate.port, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", () => resolve(0))
      .end();
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("npm start does not answer");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
