import { request } from "node:http";

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

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
