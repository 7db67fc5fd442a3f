import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browserHeaders } from "./headers.ts";
import { wrk } from "./loads/wrk.ts";
import { cpuOf } from "./machine.ts";
import { compare, type Figure } from "./peers/compare.ts";
import type { Running } from "./peers/peer.ts";
import type { Suite } from "./suite.ts";

const MB = 1e6;
/** As the backend has it. */
const DOWN_BYTES = 4 * 1024 * 1024;
const UP_BYTES = 1024 * 1024;
const CONNECTIONS = 4;

/** Large bodies over HTTP/1.1: 4 MiB downloads, then 1 MiB uploads. */
export const benchBody: Suite = async (say, options) => {
  const folder = mkdtempSync(join(tmpdir(), "tg-bench-"));
  const script = join(folder, "upload.lua");
  writeFileSync(script, `wrk.method = "POST"\nwrk.body = string.rep("x", ${UP_BYTES})\n`);
  try {
    return await compare(say, options, {
      ...{ suite: "body", kinds: ["http"], rounds: 4, seconds: 2 },
      measure: async (running, _peer, seconds) => [
        ...(await bodies(running, seconds, null)),
        ...(await bodies(running, seconds, script)),
      ],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

async function bodies(running: Running, seconds: number, script: string | null): Promise<readonly Figure[]> {
  const headers = browserHeaders(running.session);
  const target = { port: running.ports.http, authority: running.authority("http"), headers };
  const load = { ...target, connections: CONNECTIONS, seconds, path: script === null ? "/large" : "/upload", script };
  const { done, cpu } = await cpuOf(running.pid, () => wrk(load));
  const megabytes = (done.requests * (script === null ? DOWN_BYTES : UP_BYTES)) / MB;
  return [
    { of: script === null ? "" : "upload", value: megabytes / done.seconds, unit: "MB/s" },
    { of: script === null ? "per CPU second" : "upload, per CPU second", value: megabytes / cpu, unit: "MB/CPU-s" },
  ];
}
