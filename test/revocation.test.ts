import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hash } from "bcrypt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SessionView } from "../src/api/wire-sessions.ts";
import type { GrantCreated } from "../src/api/wire-access.ts";
import type { TokenCreated } from "../src/api/wire-tokens.ts";
import { enter } from "./support/enter.ts";
import { API, basic, bearer, JSON_BODY, PASSWORD } from "./support/hostile.ts";
import { PLANE, ROOT, startTestGate, type TestGate, until } from "./support/gate.ts";
import { type OpenFlow, OpenFlows } from "./support/open-flows.ts";

/** What is promised: so long after somebody asks for it, nothing is open any more. */
const PROMISED_MS = PLANE === "envoy" ? 5000 : 1000;
const TASK = "endless";
const REALM = "crew";

type Headers = Readonly<Record<string, string>>;
type Opened = Readonly<Record<string, OpenFlow>>;
/** By which somebody came in. */
interface Visitor {
  readonly user: string;
  readonly grant: string;
  readonly token: TokenCreated;
  /** Session ids. */
  readonly sessions: readonly string[];
  readonly byToken: Opened;
  readonly byCookie: Opened;
}

/** What takes a visitor's right away, and what of theirs that ends: everything, or what stands on a session. */
const REVOCATIONS: readonly {
  readonly what: string;
  readonly ends: "everything" | "sessions";
  readonly revoke: (of: Visitor) => readonly (readonly [method: string, path: string, body?: object])[];
}[] = [
  {
    what: "a grant is taken back",
    ends: "everything",
    revoke: ({ grant }) => [["DELETE", `/tasks/${TASK}/access/${grant}`]],
  },
  {
    what: "the token is revoked, and with it every session that began with it",
    ends: "everything",
    revoke: ({ token }) => [["DELETE", `/tokens/${token.id}`]],
  },
  {
    what: "somebody is logged out of everything",
    ends: "everything",
    revoke: ({ user }) => [["POST", "/sessions/end", { user: `${REALM}/${user}` }]],
  },
  {
    what: "sessions are ended",
    ends: "sessions",
    revoke: ({ sessions }) => sessions.map((id) => ["DELETE", `/sessions/${id}`] as const),
  },
];

/** Where the bytes are moved, and by how many workers. */
const PLACES: readonly (readonly [where: string, workers: number])[] =
  PLANE === "envoy"
    ? [["in an Envoy", 0]]
    : [
        ["in the gate's process", 0],
        ["in workers", 2],
      ];

describe.each(PLACES)("what is open, with the plane %s, is closed in time", (_where, workers) => {
  let folder: string;
  let gate: TestGate;
  let flows: OpenFlows;
  let bystander: Visitor;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tg-revocation-"));
    const password = await hash(PASSWORD, 4);
    const users = ["bystander", ...REVOCATIONS.map((_, at) => `user${String(at)}`)];
    writeFileSync(join(folder, "crew"), users.map((user) => `${user}:${password}\n`).join(""), { mode: 0o600 });
    const methods = [{ type: "basic", name: REALM, passwordFile: "crew" }];
    const config = join(folder, "config.yaml");
    writeFileSync(config, JSON.stringify({ workers, login: { methods } }));
    gate = await startTestGate({ config });
    const services = ["web=http", "api=grpc", "raw=tcp"].flatMap((service) => ["--service", service]);
    await gate.json("run", "--name", TASK, ...services, "--", process.execPath, join(ROOT, "test", "support", "endless.mjs")); // prettier-ignore
    flows = new OpenFlows(gate, TASK);
    bystander = await visit("bystander");
  });
  afterAll(async () => {
    close(bystander);
    await gate[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** By the gate's owner, unless somebody else's credentials are given. */
  async function api<T>(method: string, path: string, body?: object, credentials?: Headers): Promise<T> {
    const answer = await gate.ask("taskgate.localhost", API + path, {
      ...{ method, anonymous: credentials !== undefined },
      ...{ headers: { ...(body === undefined ? {} : JSON_BODY), ...credentials } },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${String(answer.status)} ${answer.body}`);
    return (answer.body === "" ? null : JSON.parse(answer.body)) as T;
  }

  /** Shared with, with a token of their own and sessions that began with it, and everything open that can be. */
  async function visit(user: string): Promise<Visitor> {
    const grant = await api<GrantCreated>("POST", `/tasks/${TASK}/access`, { to: `${REALM}/${user}` });
    const token = await api<TokenCreated>("POST", "/tokens", { name: "t" }, basic(user));
    const headers = bearer(token.token);
    const isIn = async () => (await gate.ask(flows.host("web"), "/", { anonymous: true, headers })).status === 200;
    await until(isIn, "the grant to hold", 5000);
    const web = await enter(gate, flows.host("web"), token.token);
    const rpc = await enter(gate, flows.host("api"), token.token);
    const { sessions } = await api<{ sessions: readonly SessionView[] }>("GET", "/sessions");
    const byToken = await opened({
      "a download": flows.download(headers),
      "a WebSocket": flows.webSocket(headers),
      "an HTTP/2 stream": flows.http2(headers),
      "a WebSocket over HTTP/2": flows.webSocketOverHttp2(headers),
      "a gRPC stream": flows.grpc(headers),
      "a tunnel": flows.connect(headers),
      "a tunnel over HTTP/2": flows.connectOverHttp2(headers),
      "taskgate forward": flows.forward(token.token),
    });
    const byCookie = await opened({
      "a download": flows.download({ cookie: web }),
      "a WebSocket": flows.webSocket({ cookie: web }),
      "an HTTP/2 stream": flows.http2({ cookie: web }),
      "a WebSocket over HTTP/2": flows.webSocketOverHttp2({ cookie: web }),
      "a gRPC stream": flows.grpc({ cookie: rpc }),
    });
    const own = sessions.filter((each) => each.user === `${REALM}/${user}`).map(({ id }) => id);
    expect(own).toHaveLength(2);
    return { user, grant: grant.id ?? "", token, sessions: own, byToken, byCookie };
  }

  /** By way: how long after `from` it ended, where that is too long; how it did, where that is as if it were whole. */
  async function faults(of: Opened, from: number): Promise<readonly string[]> {
    const wrong = Object.entries(of).map(async ([way, flow]) => {
      const ms = (await Promise.race([flow.ended, sleep(3 * PROMISED_MS, Infinity)])) - from;
      if (ms >= PROMISED_MS) return [`${way}: ${String(ms)} ms`];
      return flow.said === "whole" ? [`${way}: looks whole`] : [];
    });
    return (await Promise.all(wrong)).flat();
  }

  test.each(REVOCATIONS.map((each, at) => [each.what, `user${String(at)}`, each] as const))(
    "when %s",
    async (_what, user, { ends, revoke }) => {
      const visitor = await visit(user);
      const from = performance.now();
      await Promise.all(revoke(visitor).map((call) => api(...call)));
      expect(await faults(visitor.byCookie, from)).toEqual([]);
      if (ends === "everything") expect(await faults(visitor.byToken, from)).toEqual([]);
      else await sleep(PROMISED_MS);
      const stay = {
        ...bystander,
        ...(ends === "sessions" && { byToken: { ...bystander.byToken, ...visitor.byToken } }),
      };
      for (const flow of [...Object.values(stay.byToken), ...Object.values(stay.byCookie)])
        expect(flow.open).toBe(true);
      close(visitor);
    },
  );
});

async function opened(opening: Readonly<Record<string, Promise<OpenFlow>>>): Promise<Opened> {
  const all = Object.entries(opening).map(async ([way, flow]) => {
    try {
      return [way, await flow] as const;
    } catch (error) {
      throw new Error(way, { cause: error });
    }
  });
  return Object.fromEntries(await Promise.all(all));
}

function close({ byToken, byCookie }: Visitor): void {
  for (const flow of [...Object.values(byToken), ...Object.values(byCookie)]) flow[Symbol.dispose]();
}
