import { readFileSync } from "node:fs";
import { request } from "node:https";
import type { Certificates } from "./certificates.ts";
import type { Plan } from "./plan.ts";

const REQUEST_MS = 5000;

/** Asks the API of a cluster that is starting. */
export interface StartingApi {
  /** The object; null: not there, or not yet. */
  get(path: string): Promise<unknown>;
}

export function startingApi(plan: Plan, { authority, clients }: Certificates): StartingApi {
  const tls = {
    ca: readFileSync(authority.certificate),
    cert: readFileSync(clients.admin.certificate),
    key: readFileSync(clients.admin.key),
  };
  return {
    get: (path) =>
      new Promise((resolve) => {
        const asked = request(new URL(path, plan.server), { ...tls, agent: false, timeout: REQUEST_MS }, (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          answer.once("error", () => resolve(null));
          answer.once("end", () => resolve(answer.statusCode === 200 ? parse(text) : null));
        });
        asked.once("timeout", () => asked.destroy());
        asked.once("error", () => resolve(null)).end();
      }),
  };
}

function parse(text: string): unknown {
  return text.startsWith("{") ? JSON.parse(text) : text;
}

export interface NodeObject {
  readonly spec: { readonly taints?: readonly unknown[] };
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

/** Whether pods may be put on it. */
export function isReady(node: NodeObject): boolean {
  const ready = node.status.conditions.some(({ type, status }) => type === "Ready" && status === "True");
  return ready && (node.spec.taints ?? []).length === 0;
}
