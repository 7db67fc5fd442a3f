import { request } from "node:http";

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks one Envoy; rejects where it does not answer. */
export type AskAdmin = (path: string) => Promise<AdminAnswer>;

/** Of an Envoy that does not answer its own machine, nothing is to be expected. */
const ANSWER_MS = 2000;

/** Asks an Envoy's admin at its unix socket; GET only tells, POST does something. Throws where nobody answers. */
export function askAdmin(socketPath: string, method: "GET" | "POST", path: string): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, agent: false, timeout: ANSWER_MS }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (text: string) => (body += text));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(new Error("Envoy's admin did not answer in time")));
    asked.on("error", reject);
    asked.end();
  });
}

/** Counters and gauges whose names match, by name. Rejects where Envoy does not answer. */
export async function readStats(ask: AskAdmin, pattern: string): Promise<ReadonlyMap<string, number>> {
  const { body } = await ask(`/stats?filter=${encodeURIComponent(pattern)}`);
  const lines = body.matchAll(/^(.+): (\d+)$/gm);
  return new Map(Array.from(lines, ([, name = "", value]) => [name, Number(value)]));
}
