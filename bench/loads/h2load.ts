import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianProgram } from "../../testbed/debian-program.ts";
import { run } from "../machine.ts";
import type { HttpLoad } from "./wrk.ts";

export interface H2Load extends HttpLoad {
  readonly protocol: "http/1.1" | "h2c";
  /** Requests under way at once on each connection; 1 for HTTP/1.1. */
  readonly streams: number;
  /** Of each connection; as many as get through where it is missing. */
  readonly requestsPerSecond?: number;
  /** What each request carries; then it is a POST. */
  readonly body?: Uint8Array;
}

export interface H2Loaded {
  readonly requests: number;
  readonly seconds: number;
  /** Of each answer, in milliseconds. */
  readonly times: readonly number[];
}

export function h2loadProgram(): string {
  return debianProgram("nghttp2-client", ["/usr/bin/h2load", "/usr/local/bin/h2load"]);
}

/** Throws if any answer was not a 2xx, or was lost. */
export async function h2load(load: H2Load): Promise<H2Loaded> {
  const folder = mkdtempSync(join(tmpdir(), "tg-load-"));
  try {
    const output = await run(command(load, folder), (load.seconds + 40) * 1000);
    const counts = /requests: .*, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(output);
    const took = /finished in ([\d.]+)(us|ms|s|m),/.exec(output);
    if (counts === null || took === null) throw new Error(`h2load said nothing to be understood:\n${output}`);
    const [, done = "0", succeeded = "0", failed = "0"] = counts;
    if (succeeded === "0" || failed !== "0") {
      throw new Error(`h2load at port ${load.port}: ${done} answers, ${failed} failed\n${output.slice(-1500)}`);
    }
    const unit = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[took[2] ?? "s"] ?? 1;
    return { requests: Number(succeeded), seconds: Number(took[1]) * unit, times: readTimes(join(folder, "log")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function command(load: H2Load, folder: string): readonly string[] {
  const rate = load.requestsPerSecond === undefined ? [] : [`--rps=${load.requestsPerSecond}`];
  const log = load.requestsPerSecond === undefined ? [] : [`--log-file=${join(folder, "log")}`];
  const body = join(folder, "body");
  if (load.body !== undefined) writeFileSync(body, load.body);
  return [
    h2loadProgram(),
    ...["-c", String(load.connections), "-m", String(load.streams), "-D", String(load.seconds), ...rate, ...log],
    ...["-p", load.protocol],
    ...(load.body === undefined ? [] : ["-d", body]),
    ...[[":authority", load.authority], ...load.headers].flatMap(([name = "", value = ""]) => [
      "-H",
      `${name}: ${value}`,
    ]),
    `http://127.0.0.1:${load.port}${load.path ?? "/"}`,
  ];
}

/** Tab-separated: start, status, microseconds until the answer's end. */
function readTimes(log: string): readonly number[] {
  let text = "";
  try {
    text = readFileSync(log, "latin1");
  } catch {
    return []; // only runs at a fixed rate keep one
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Number(line.split("\t")[2]) / 1000);
}
