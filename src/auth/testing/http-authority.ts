import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { z } from "zod";
import { GatewayError, type Principal } from "../../model/index.ts";
import type { Authority } from "../authority.ts";

const Question = z.strictObject({ realm: z.string(), name: z.string(), resource: z.string(), action: z.string() });
export type Question = z.output<typeof Question>;

const Answer = z.strictObject({ allowed: z.boolean() });

/** What the server can answer with that is no answer. */
export const ODDITIES: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "an error of its own": (response) => response.writeHead(500).end('{"allowed":true}'),
  "a refusal of the question": (response) => response.writeHead(403).end('{"allowed":false}'),
  "a redirect": (response) => response.writeHead(302, { location: "/yes" }).end(),
  "no JSON": (response) => response.end("yes"),
  "another word for yes": (response) => response.end('{"allowed":"true"}'),
  nothing: (response) => response.end(),
  "half an answer": (response) => {
    response.writeHead(200, { "content-length": "100" }).write('{"allowed":true}');
    response.destroy();
  },
};

/** A server that decides, asked by `POST /allows` with realm, name, resource and action as JSON; it answers `{allowed}`. */
export interface AuthorityServer extends AsyncDisposable {
  readonly port: number;
  /** Every question so far. */
  readonly asked: readonly Question[];
  stall(): void;
  beOdd(how: string): void;
  stop(): Promise<void>;
  recover(): Promise<void>;
}

/** `decide` may change its mind between questions. */
export async function startAuthorityServer(decide: (question: Question) => boolean): Promise<AuthorityServer> {
  let mode: string | null = null;
  const asked: Question[] = [];
  const server = createServer((request, response) => {
    void json(request).then(
      (body) => {
        const question = Question.parse(body);
        asked.push(question);
        if (mode === STALLED) return;
        const odd = mode === null ? undefined : ODDITIES[mode];
        if (odd === undefined) response.end(JSON.stringify({ allowed: decide(question) }));
        else odd(response);
      },
      () => response.destroy(),
    );
  });
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    asked,
    stall() {
      mode = STALLED;
    },
    beOdd(how) {
      mode = how;
    },
    stop: () => close(server),
    async recover() {
      mode = null;
      if (!server.listening) await listen(server, port);
    },
    [Symbol.asyncDispose]: () => close(server),
  };
}

const STALLED = "stalled";

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Asks such a server. */
export function createHttpAuthority(name: string, port: number): Authority {
  return {
    name,
    async allows(principal: Principal, resource, action, signal) {
      try {
        const response = await fetch(`http://127.0.0.1:${String(port)}/allows`, {
          method: "POST",
          redirect: "error",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ realm: principal.realm, name: principal.name, resource, action }),
          signal,
        });
        if (!response.ok) throw new Error(`answered ${String(response.status)}`);
        return Answer.parse(await response.json()).allowed;
      } catch (error) {
        signal.throwIfAborted();
        throw new GatewayError("unavailable", `${name} gave no answer`, { cause: error });
      }
    },
  };
}
