import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import http2, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT } from "../src/cli/failure.ts";
import { grpcClient, unary } from "../src/dataplanes/testing/grpc-app.ts";
import { bearer } from "./support/hostile.ts";
import { ROOT, run, startTestGate, type TestGate } from "./support/gate.ts";
import { OpenFlows } from "./support/open-flows.ts";

const TASK = "job";
/** Nobody's. */
const WRONG = `tg_${"a".repeat(12)}_${"A".repeat(43)}`;
const XHR = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" };

interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe.each([
  ["nobody's", undefined],
  ["of a token that is none", WRONG],
])("requests %s", (_whose, token) => {
  const shown: Readonly<Record<string, string>> = token === undefined ? {} : bearer(token);
  let gate: TestGate;
  let flows: OpenFlows;

  beforeAll(async () => {
    gate = await startTestGate();
    flows = new OpenFlows(gate, TASK);
    const services = ["web=http", "api=grpc", "raw=tcp"].flatMap((service) => ["--service", service]);
    await gate.json("run", "--name", TASK, ...services, "--", process.execPath, join(ROOT, "test", "support", "endless.mjs")); // prettier-ignore
  });
  afterAll(() => gate[Symbol.asyncDispose]());

  const authority = (): string => `${flows.host("web")}:${String(gate.file().port)}`;

  function expectRefused({ status, headers, body }: Refusal): void {
    expect([status, headers["x-taskgate-error"], headers.location]).toEqual([401, "unauthenticated", undefined]);
    expect(headers["www-authenticate"]).toMatch(/^Bearer realm=/);
    expect(headers["content-type"]).not.toContain("html");
    expect(body).not.toMatch(/<html|<!doctype/i);
  }

  test.each([
    ["a script's", XHR],
    ["a program's that takes anything", { accept: "*/*" }],
    ["a program's that says nothing", {}],
  ])("%s are refused with a code", async (_who, headers) => {
    const answer = await gate.ask(flows.host("web"), "/", { anonymous: true, headers: { ...headers, ...shown } });
    expectRefused(answer);
    if ("sec-fetch-mode" in headers) {
      expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "unauthenticated" } });
    }
  });

  test("for a WebSocket are refused before there is one, over HTTP/1.1", async () => {
    const host = authority();
    const key = { "sec-websocket-version": "13", "sec-websocket-key": Buffer.alloc(16).toString("base64") };
    const headers = { host, origin: `http://${host}`, connection: "Upgrade", upgrade: "websocket", ...key, ...shown };
    const sent = http.request({ port: gate.file().port, host: "127.0.0.1", headers, agent: false }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    expectRefused({ status: answer.statusCode ?? 0, headers: answer.headers, body: await textOf(answer) });
  });

  test("for a WebSocket are refused before there is one, over HTTP/2", async () => {
    const fields = { ":protocol": "websocket", ":scheme": "http", "sec-websocket-version": "13" };
    const origin = `http://${authority()}`;
    expectRefused(await askHttp2({ ":method": "CONNECT", ":path": "/", origin, ...fields }));
  });

  test("over HTTP/2 are refused with a code", async () => {
    expectRefused(await askHttp2({ ":path": "/", ...XHR }));
  });

  test("for a tunnel are refused with a code", async () => {
    const { port } = gate.file();
    const path = `${flows.host("raw")}:${String(port)}`;
    const headers = { host: path, ...shown };
    const sent = http.request({ port, host: "127.0.0.1", method: "CONNECT", path, headers, agent: false }).end();
    const [answer, socket] = (await once(sent, "connect")) as [IncomingMessage, NodeJS.ReadableStream];
    expectRefused({ status: answer.statusCode ?? 0, headers: answer.headers, body: "" });
    socket.resume();
  });

  test("of gRPC get status 16 and why, of every kind of call, and never a page", async () => {
    using client = grpcClient(gate.file().port, `${flows.host("api")}:${String(gate.file().port)}`);
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(shown)) metadata.set(name, value);
    const call = client.repeat(Buffer.from("x"), metadata);
    const streamed = new Promise<grpc.ServiceError>((resolve) => call.once("error", resolve));
    const answered = unary(client, "x", metadata).catch((error: unknown) => error as grpc.ServiceError);
    for (const error of [await streamed, await answered]) {
      expect(error).toMatchObject({
        code: grpc.status.UNAUTHENTICATED,
        details: expect.stringMatching(/\w/) as string,
      });
      expect((error as grpc.ServiceError).details).not.toMatch(/</);
    }
    const raw = await askHttp2(
      { ":method": "POST", ":path": "/test.Echo/Repeat", "content-type": "application/grpc", te: "trailers" },
      flows.host("api"),
    );
    expect(raw).toMatchObject({ status: 200, body: "" });
    expect(raw.headers).toMatchObject({ "grpc-status": "16", "content-type": "application/grpc" });
    expect(raw.headers.location).toBeUndefined();
  });

  test("of the command line end with its code for who may not, and say what to do", async () => {
    const environment = { ...gate.environment, TASKGATE_TOKEN: token ?? "nonsense" };
    const ran = await run(join(ROOT, "bin", "taskgate"), ["ps", "--json"], environment);
    expect([ran.code, ran.stdout]).toEqual([EXIT.denied, ""]);
    expect(ran.stderr).toMatch(/taskgate/);
  });

  async function askHttp2(fields: OutgoingHttpHeaders, host = flows.host("web")): Promise<Refusal> {
    const { port } = gate.file();
    const session = http2.connect(`http://127.0.0.1:${String(port)}`);
    try {
      await once(session, "remoteSettings");
      const stream = session.request({ ":authority": `${host}:${String(port)}`, ...fields, ...shown });
      const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
      return { status: Number(headers[":status"]), headers, body: await textOf(stream) };
    } finally {
      session.destroy();
    }
  }
});

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const piece of stream) text += String(piece);
  return text;
}
