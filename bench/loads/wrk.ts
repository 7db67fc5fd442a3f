import { debianProgram } from "../../testbed/debian-program.ts";
import { run } from "../machine.ts";

/** One load on one proxy. */
export interface HttpLoad {
  readonly port: number;
  /** Host, and whatever else a request carries. */
  readonly authority: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly connections: number;
  readonly seconds: number;
  readonly path?: string;
  /** A file with Lua that says what is sent (wrk's SCRIPTING); null: GETs. */
  readonly script?: string | null;
}

export function wrkProgram(): string {
  return debianProgram("wrk", ["/usr/bin/wrk", "/usr/local/bin/wrk"]);
}

/** Keep-alive requests, as many as get through. Number of answers. Throws if any was not a 2xx, or was lost. */
export async function wrk(load: HttpLoad): Promise<{ readonly requests: number; readonly seconds: number }> {
  return readWrk(load, await run(wrkCommand(load), (load.seconds + 40) * 1000));
}

export function wrkCommand(load: HttpLoad): readonly string[] {
  const headers = [["Host", load.authority], ...load.headers];
  return [
    wrkProgram(),
    ...["-t", "1", "-c", String(load.connections), "-d", `${load.seconds}s`, "--timeout", "30s"],
    ...(load.script === undefined || load.script === null ? [] : ["-s", load.script]),
    ...headers.flatMap(([name = "", value = ""]) => ["-H", `${name}: ${value}`]),
    `http://127.0.0.1:${load.port}${load.path ?? "/"}`,
  ];
}

/** What it said at its end. Throws if any answer was not a 2xx, or was lost. */
export function readWrk(load: HttpLoad, output: string): { readonly requests: number; readonly seconds: number } {
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(output)?.[0];
  if (bad !== undefined) throw new Error(`wrk at port ${load.port}: ${bad}`);
  const counted = /(\d+) requests in ([\d.]+)(ms|s|m)/.exec(output);
  if (counted === null) throw new Error(`wrk said nothing to be understood:\n${output}`);
  const unit = { ms: 0.001, s: 1, m: 60 }[counted[3] ?? "s"] ?? 1;
  return { requests: Number(counted[1]), seconds: Number(counted[2]) * unit };
}
