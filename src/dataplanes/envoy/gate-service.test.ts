import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, request } from "node:http";
import http2 from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Route, Session } from "../../model/index.ts";
import { silentLogger } from "../../platform/logger.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byHost, TableBuilder } from "../testing/table-builder.ts";
import { type GateService, startGateService } from "./gate-service.ts";

const folder = mkdtempSync(join(tmpdir(), "taskgate-"));
const socketPath = join(folder, "gate.sock");
const apiSocket = join(folder, "api.sock");
const HOST = "nb.localhost";
const ENVOY = selfSigned(["envoy.example"]);
const GATE = selfSigned(["gate.example"]);

const table = new TableBuilder();
table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [] });
const [route] = table.commit().diff.routes.set as [Route];

let service: GateService;
let asked: { readonly route: Route | null; readonly session: Session | null; readonly failure: string | null }[] = [];

const api = createServer((req, res) => {
  res.setHeader("set-cookie", ["a=1", "b=2"]);
  req.pipe(res.writeHead(201, { "x-seen": JSON.stringify([req.method, req.url, req.headers.host, req.headers.te]) }));
});

beforeAll(async () => {
  api.listen(apiSocket);
  service = await startGateService({
    ...{ socketPath, apiSocket, logger: silentLogger, site: { gateHost: "taskgate.localhost" } },
    address: { host: "127.0.0.1", port: 0, tls: { ...GATE, clientAuthority: ENVOY.certificate } },
    find: (head) => (head.host.startsWith(`${HOST}:`) ? route : null),
    ownSecret: "own",
    isAdmin: (identity) => identity.name === "root",
    explain(question) {
      asked.push(question);
      if (question.route === null) throw new Error("explaining failed");
      return Promise.resolve({
        status: 503,
        code: "starting",
        title: "nb is starting",
        message: "Wait.",
        retryAfterSeconds: 1,
      });
    },
  });
});
beforeEach(() => (asked = []));
afterAll(async () => {
  api.close();
  await service[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function ask(headers: Record<string, string>, more: { method?: string; path?: string; body?: string } = {}) {
  const sent = request({ socketPath, path: more.path ?? "/", method: more.method ?? "GET", headers, agent: false });
  sent.end(more.body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of answer) body += String(chunk);
  return { status: answer.statusCode, headers: answer.headers, body };
}

test("says why a job does not answer, in the form that was asked for", async () => {
  const page = await ask({ host: `${HOST}:7080`, accept: "text/html", "x-request-id": "r1" });
  expect([page.status, page.headers["x-taskgate-error"], page.headers["retry-after"]]).toEqual([503, "starting", "1"]);
  expect(page.body).toContain("<h1>nb is starting</h1>");
  expect(page.headers).toMatchObject({ "x-request-id": "r1", "x-tg-own": "own" });
  const json = await ask({ host: `${HOST}:7080`, accept: "application/json" }, { method: "POST", body: "ignored" });
  expect(JSON.parse(json.body)).toMatchObject({ error: { code: "starting" } });
  expect((await ask({ host: `${HOST}:7080` }, { method: "HEAD" })).body).toBe("");
});

test("tells a job that was tried from one that had nobody to try", async () => {
  await ask({ host: `${HOST}:7080`, "x-envoy-attempt-count": "1" });
  await ask({ host: `${HOST}:7080`, "x-envoy-attempt-count": "2" });
  expect(asked.map(({ failure }) => failure)).toEqual(["no_endpoint", "connect_failed"]);
});

test("knows who was let in by what Envoy was allowed to pass on, and nobody whose rights are limited", async () => {
  const host = `${HOST}:7080`;
  const groups = "corp/ml,corp/a%2Cb";
  await ask({ host, "x-taskgate-user": "corp/al%25ice", "x-taskgate-groups": groups });
  await ask({ host, "x-taskgate-user": "local/root", "x-tg-scoped": "1" });
  await ask({ host, "x-taskgate-user": "local/root" });
  await ask({ host, "x-taskgate-user": "link/x" });
  await ask({ host });
  expect(asked.map(({ session }) => session?.principal ?? null)).toEqual([
    {
      ...{ realm: "corp", name: "al%ice", admin: false },
      groups: [
        { realm: "corp", name: "ml" },
        { realm: "corp", name: "a,b" },
      ],
    },
    null,
    { realm: "local", name: "root", groups: [], admin: true },
    null,
    null,
  ]);
});

test("speaks HTTP/2 to who speaks it, and to gRPC by trailers alone", async () => {
  const session = http2.connect(`http://${HOST}:7080`, { createConnection: () => connect(socketPath) });
  const stream = session.request({
    ":method": "POST",
    ":path": "/a.B/C",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end("x");
  const [headers, flags] = (await once(stream, "response")) as [http2.IncomingHttpHeaders, number];
  expect(flags & http2.constants.NGHTTP2_FLAG_END_STREAM).not.toBe(0);
  expect(headers).toMatchObject({ ":status": 200, "grpc-status": "14", "x-taskgate-error": "starting" });
  session.close();
});

test("leads to the API where the gate itself is asked for, body and cookies included", async () => {
  const answer = await ask(
    { host: "taskgate.localhost:7080", te: "trailers" },
    { method: "PUT", path: "/x?y", body: "hello" },
  );
  expect([answer.status, answer.body, answer.headers["set-cookie"]]).toEqual([201, "hello", ["a=1", "b=2"]]);
  expect(JSON.parse(String(answer.headers["x-seen"]))).toEqual(["PUT", "/x?y", "taskgate.localhost:7080", null]);
});

test("says that it failed rather than nothing", async () => {
  expect((await ask({ host: "other.localhost" })).headers["x-taskgate-error"]).toBe("internal");
});

test("is its owner's alone on the machine, and asks for a certificate on the network", async () => {
  expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  const port = service.port ?? 0;
  const dial = async (client: { cert?: string; key?: string }) => {
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      ca: GATE.certificate,
      servername: "gate.example",
      ...client,
    });
    socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}:1\r\n\r\n`);
    const { promise, resolve } = Promise.withResolvers<string | null>();
    socket.once("data", (data) => resolve(String(data)));
    for (const event of ["error", "close"]) socket.once(event, () => resolve(null));
    const data = await promise;
    socket.destroy();
    return data?.split("\r\n", 1)[0] ?? null;
  };
  expect(await dial({ cert: ENVOY.certificate, key: ENVOY.key })).toBe("HTTP/1.1 503 Service Unavailable");
  expect(await dial({})).toBeNull();
  expect(await dial({ cert: GATE.certificate, key: GATE.key })).toBeNull();
});
