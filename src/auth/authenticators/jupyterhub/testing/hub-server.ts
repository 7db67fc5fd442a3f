import { hash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

const VERSION = { "x-jupyterhub-version": "6.1.1" };

/** What the hub can answer with that is no answer. */
export const ODDITIES: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "its proxy, which has no hub": (response) => response.writeHead(404).end("Not Found"),
  "its proxy, whose hub is away": (response) => response.writeHead(503).end("Service Unavailable"),
  "a refusal by what stands before it": (response) => response.writeHead(403).end("no"),
  "an error of its own": (response) => response.writeHead(500, VERSION).end('{"status": 500, "message": null}'),
  "too many requests": (response) => response.writeHead(429, VERSION).end('{"status": 429, "message": null}'),
  "an address where the API is not": (response) =>
    response.writeHead(404, VERSION).end('{"status": 404, "message": null}'),
  "a redirect": (response) => response.writeHead(302, { ...VERSION, location: "/hub/login" }).end(),
  "no JSON": (response) => response.writeHead(200, VERSION).end("<html>"),
  "JSON of another kind": (response) => response.writeHead(200, VERSION).end('{"version": "6.1.1"}'),
  nobody: (response) => response.writeHead(200, VERSION).end('{"kind": "user", "name": ""}'),
  "more than anybody reads": (response) => response.writeHead(200, VERSION).end(`"${"x".repeat(2_000_000)}"`),
  "half an answer": (response) => {
    response.writeHead(200, { ...VERSION, "content-length": "1000" }).write('{"kind": "user", "name": "alice"');
    setImmediate(() => response.destroy());
  },
};

export interface HubServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/hub`. */
  readonly url: string;
  /** What `GET /user` says, by token. */
  readonly users: Map<string, unknown>;
  /** Codes of OAuth logins, once: the challenge that belongs to it, and the token that it stands for. */
  readonly codes: Map<string, { readonly challenge: string; readonly token: string }>;
  /** Questions so far. */
  asked(): number;
  /** null: as it should be; STALLED: it takes questions and answers none; else one of the oddities. */
  be(mode: string | null): void;
}

export const STALLED = "stalled";

/** Speaks what the gate asks of JupyterHub's API, as 6.1.1 does. */
export async function startHubServer(): Promise<HubServer> {
  let mode: string | null = null;
  let asked = 0;
  const users = new Map<string, unknown>();
  const codes: HubServer["codes"] = new Map();
  const server = createServer((request, response) => {
    asked += 1;
    if (mode === STALLED) return;
    const odd = mode === null ? undefined : ODDITIES[mode];
    if (odd !== undefined) odd(response);
    else
      void answer(request, { users, codes }).then(([status, body]) =>
        response.writeHead(status, VERSION).end(JSON.stringify(body)),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hub`,
    ...{ users, codes },
    asked: () => asked,
    be(next) {
      mode = next;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Known = Pick<HubServer, "users" | "codes">;
type Answer = readonly [status: number, body: unknown];

async function answer(request: IncomingMessage, known: Known): Promise<Answer> {
  switch (request.url) {
    case "/hub/api/":
      return [200, { version: "6.1.1" }];
    case "/hub/api/user":
      return userOf(request.headers.authorization ?? "", known);
    case "/hub/api/oauth2/token":
      return redeemed(new URLSearchParams(await text(request)), known);
    case undefined:
    default:
      return [404, { status: 404, message: null }];
  }
}

function userOf(authorization: string, { users }: Known): Answer {
  const user = users.get(/^token (.+)$/.exec(authorization)?.[1] ?? "");
  return user === undefined ? [403, { status: 403, message: null }] : [200, user];
}

function redeemed(form: URLSearchParams, { codes }: Known): Answer {
  const code = form.get("code") ?? "";
  const known = codes.get(code);
  codes.delete(code);
  if (form.get("client_secret") !== "the-service") return [401, { error: "invalid_client" }];
  if (known?.challenge !== hash("sha256", form.get("code_verifier") ?? "", "base64url")) {
    return [400, { error: "invalid_grant" }];
  }
  return [200, { access_token: known.token, expires_in: 3600, token_type: "Bearer" }];
}
