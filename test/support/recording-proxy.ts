import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, request as ask } from "node:https";
import type { AddressInfo } from "node:net";
import { parse } from "yaml";

/** What somebody asked an API server for. */
export interface Asked {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string | null;
  readonly name: string | null;
  /** 0: not answered yet. */
  status: number;
}

/** Stands before an API server for one account, and writes down what that asks for. */
export interface RecordingProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`: whoever asks there is the account. */
  readonly url: string;
  readonly asked: readonly Asked[];
  /** Answers 409 itself to the next of these. */
  conflictOnce(verb: string, resource: string): void;
}

const VERBS: Readonly<Record<string, string>> = { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };

export async function startRecordingProxy(kubeconfig: string, token: string): Promise<RecordingProxy> {
  const { clusters } = parse(readFileSync(kubeconfig, "utf8")) as {
    readonly clusters: readonly {
      readonly cluster: { readonly server: string; readonly "certificate-authority-data": string };
    }[];
  };
  const { server, "certificate-authority-data": authority } = clusters[0]!.cluster;
  const agent = new Agent({ ca: Buffer.from(authority, "base64"), keepAlive: true });
  const asked: Asked[] = [];
  const conflicts = new Set<string>();
  const forward = (request: IncomingMessage, response: ServerResponse): void => {
    const entry = readAsked(request);
    if (entry !== null) asked.push(entry);
    const key = `${entry?.verb ?? ""} ${entry?.resource ?? ""}`;
    if (conflicts.delete(key)) {
      if (entry !== null) entry.status = 409;
      request.resume();
      response.writeHead(409, { "content-type": "application/json" });
      response.end(
        JSON.stringify({ kind: "Status", status: "Failure", reason: "Conflict", code: 409, message: "by the test" }),
      );
      return;
    }
    const { host } = new URL(server);
    const onward = ask(new URL(request.url ?? "/", server), {
      ...{ agent, method: request.method },
      headers: { ...request.headers, host, authorization: `Bearer ${token}` },
    });
    onward.on("response", (answer) => {
      if (entry !== null) entry.status = answer.statusCode ?? 0;
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  };
  const proxy = createServer(forward).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    url: `http://127.0.0.1:${String((proxy.address() as AddressInfo).port)}`,
    asked,
    conflictOnce: (verb, resource) => void conflicts.add(`${verb} ${resource}`),
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      proxy.close();
      agent.destroy();
      await once(proxy, "close");
    },
  };
}

/** null: of no resource, such as what is served. */
function readAsked({ method = "", url = "" }: IncomingMessage): Asked | null {
  const { pathname, searchParams } = new URL(url, "http://server");
  const found = /^\/(?:api|apis\/([^/]+))\/v[^/]+(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?$/.exec(pathname);
  if (found === null) return null;
  const [, group = "", within, resource = "", name] = found;
  const reading = name !== undefined ? "get" : searchParams.get("watch") === "true" ? "watch" : "list";
  const selected = /^metadata\.name=(.+)$/.exec(searchParams.get("fieldSelector") ?? "")?.[1];
  return {
    verb: VERBS[method] ?? reading,
    ...{ group, resource, namespace: within ?? null, name: name ?? selected ?? null, status: 0 },
  };
}
