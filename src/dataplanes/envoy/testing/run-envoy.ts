import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { envoyProgram } from "../../../../testbed/envoy.ts";
import { buildBootstrap } from "../bootstrap.ts";
import { askAdmin } from "../local/ask-admin.ts";
import { LOCAL_FLEET } from "../names.ts";

export interface RunOptions {
  /** Where its files are, and the sockets `control.sock` and `gate.sock` that it dials. */
  readonly folder: string;
  /** Node id. */
  readonly id: string;
}

/** An Envoy of the real kind, that is told all by who listens at `control.sock`. Disposing kills it. */
export interface RunningEnvoy extends AsyncDisposable {
  readonly pid: number;
  /** Bytes of memory that are its alone, as the system counts. */
  memory(): number;
}

export async function runEnvoy({ folder, id }: RunOptions): Promise<RunningEnvoy> {
  const admin = join(folder, `${id}.sock`);
  const file = join(folder, `${id}.json`);
  const bootstrap = buildBootstrap({
    ...{ fleet: LOCAL_FLEET, admin: { unix: admin }, tls: null, connections: 10_000 },
    control: [{ unix: join(folder, "control.sock") }],
    gate: { unix: join(folder, "gate.sock") },
  });
  writeFileSync(file, JSON.stringify(bootstrap));
  const words = ["-c", file, "--service-node", id, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn"];
  const child = spawn(await envoyProgram(), words, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
  await using scope = new AsyncDisposableStack();
  scope.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  for (let tries = 0; !(await answers(admin)); tries += 1) {
    if (child.exitCode !== null || tries > 200) throw new Error(`Envoy does not start: ${said}`);
    await pause(50);
  }
  const running = scope.move();
  return {
    pid: child.pid ?? 0,
    memory: () => 1024 * Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function answers(admin: string): Promise<boolean> {
  try {
    return (await askAdmin(admin, "GET", "/server_info")).status === 200;
  } catch {
    return false;
  }
}
