import { describe, expect, test } from "vitest";
import { connectionFacts, type EntryInput, requestFacts } from "./testing/log-entry.ts";

const START = Date.parse("2026-11-22T09:09:15.904Z") + 0.347;

test("reads an entry of a request as Envoy sends it", () => {
  const facts = requestFacts({
    request: { requestBodyBytes: 5_000_000_001 },
    common: { customTags: { s: "a.b", t: "210 900" } },
  });
  expect(facts).toMatchObject({
    ...{
      over: true,
      kind: "http",
      peer: "192.0.2.7",
      status: 200,
      source: "app",
      code: null,
      aborted: false,
      told: false,
    },
    ...{
      id: "dae6b3f8-3e7a-43c8-a215-7d1a38060415",
      cluster: "tg/app.localhost",
      endpoint: "127.0.0.1:7001",
      tries: 1,
    },
    ...{ bytesIn: 5_000_000_001, bytesOut: 9, tags: { s: "a.b" }, connectMs: 0.21 },
  });
  expect(facts.startedAt).toBeCloseTo(START, 2);
  expect(facts.firstByteAt).toBeCloseTo(START + 25.763, 2);
  expect(facts.endedAt).toBeCloseTo(START + 26.089, 2);
  expect(facts.asked).toMatchObject({
    version: "1.1",
    head: { method: "GET", host: "app.localhost", path: "/x?token=t", secure: false },
  });
});

test("takes no time of connecting from a connection that was there before", () => {
  expect(requestFacts({ common: { customTags: { t: "210 -" } } }).connectMs).toBeNull();
});

test.each<[what: string, kind: string, input: EntryInput]>([
  [
    "an upgrade",
    "websocket",
    { request: { requestHeaders: { ":method": "GET", upgrade: "websocket" } }, response: { responseCode: 101 } },
  ],
  [
    "an upgrade over HTTP/2",
    "websocket",
    { request: { requestHeaders: { ":method": "GET", upgrade: "websocket" } }, version: "HTTP2" },
  ],
  [
    "an upgrade that the job did not take",
    "http",
    { request: { requestHeaders: { ":method": "GET", upgrade: "x" } }, response: { responseCode: 404 } },
  ],
  ["a tunnel", "forward", { request: { requestHeaders: { ":method": "CONNECT" } } }],
  [
    "gRPC",
    "grpc",
    { request: { requestHeaders: { ":method": "POST", "content-type": "application/grpc+proto" } }, version: "HTTP2" },
  ],
  [
    "a method of the job's own",
    "http",
    { request: { requestMethod: "METHOD_UNSPECIFIED", requestHeaders: { ":method": "PROPFIND" } } },
  ],
])("sees what kind of traffic it was: %s", (_what, kind, input) => {
  const facts = requestFacts(input);
  expect(facts.kind).toBe(kind);
  expect(facts.asked?.head.method).toBe(input.request?.requestHeaders?.[":method"]);
});

describe("whose answer it was, and why", () => {
  const reset = "upstream_reset_before_response_started{connection_termination}";
  const answer = (responseCode: number, responseCodeDetails: string) => ({ responseCode, responseCodeDetails });
  const gate = { envoyInternalAddress: { serverListenerName: "taskgate-gate", endpointId: "gate" } };
  test.each<[what: string, source: string, code: string | null, input: EntryInput]>([
    ["the job's error is the job's", "app", null, { response: { responseCode: 503 } }],
    [
      "broken off by the job",
      "app",
      null,
      {
        response: answer(200, "upstream_reset_after_response_started{protocol_error}"),
        common: { responseFlags: { upstreamProtocolError: true } },
      },
    ],
    [
      "the visitor left before an answer",
      "app",
      null,
      { response: { responseCode: undefined, responseCodeDetails: "downstream_remote_disconnect" } },
    ],
    [
      "no such host",
      "gate",
      "unknown_host",
      { response: answer(503, "cluster_not_found"), common: { responseFlags: { noClusterFound: true } } },
    ],
    [
      "nobody listens",
      "gate",
      "unreachable",
      { response: answer(503, reset), common: { responseFlags: { upstreamConnectionFailure: true } } },
    ],
    [
      "the job broke off",
      "gate",
      "bad_answer",
      { response: answer(503, reset), common: { responseFlags: { upstreamConnectionTermination: true } } },
    ],
    [
      "the job was silent",
      "gate",
      "timeout",
      { response: answer(504, "response_timeout"), common: { responseFlags: { upstreamRequestTimeout: true } } },
    ],
    [
      "too much is open",
      "gate",
      "overloaded",
      { response: answer(503, "overflow"), common: { responseFlags: { upstreamOverflow: true } } },
    ],
    [
      "no HTTP",
      "gate",
      "bad_request",
      { response: answer(400, "http1.codec_error"), common: { responseFlags: { downstreamProtocolError: true } } },
    ],
    ["too large a head", "gate", "header_too_large", { response: answer(431, "request_headers_too_large") }],
    ["what the gate refused", "gate", "denied", { response: answer(403, "ext_authz_denied") }],
    [
      "what the gate refused, with its word for it",
      "gate",
      "cross_origin",
      { response: answer(403, "ext_authz_denied"), common: { customTags: { c: "cross_origin" } } },
    ],
    ["a way to the login page", "gate", null, { response: answer(302, "ext_authz_denied") }],
    ["a gate that does not answer", "gate", "unavailable", { response: answer(503, "ext_authz_error") }],
    [
      "the gate in the job's place",
      "gate",
      "starting",
      {
        response: { responseCode: 503, responseHeaders: { "x-taskgate-error": "starting" } },
        common: { upstreamRemoteAddress: gate },
      },
    ],
    ["the gate's own pages", "gate", null, { common: { upstreamRemoteAddress: gate } }],
    [
      "a job that speaks as if it were the gate",
      "app",
      null,
      { response: { responseCode: 503, responseHeaders: { "x-taskgate-error": "starting" } } },
    ],
  ])("%s", (_what, source, code, input) => {
    expect(requestFacts(input)).toMatchObject({ source, code });
  });
});

test("knows which refusals the gate has told of itself", () => {
  expect(requestFacts({ response: { responseCode: 403, responseCodeDetails: "ext_authz_denied" } }).told).toBe(true);
});

test("reads an entry of a connection that speaks no HTTP", () => {
  const open = connectionFacts({
    commonProperties: { accessLogType: "TcpPeriodic", upstreamCluster: "port/20000", duration: undefined },
    connectionProperties: { receivedBytes: 1234, sentBytes: 77 },
  });
  expect(open).toMatchObject({
    over: false,
    kind: "tcp",
    asked: null,
    bytesIn: 1234,
    bytesOut: 77,
    source: "app",
    code: null,
  });
  const failed = connectionFacts({
    commonProperties: {
      ...{ accessLogType: "TcpConnectionEnd", upstreamCluster: "sni/db.tls.example.com" },
      ...{ responseFlags: { upstreamConnectionFailure: true }, upstreamTransportFailureReason: "connect timeout" },
    },
  });
  expect(failed).toMatchObject({ over: true, kind: "tls", source: "gate", code: "connect_timeout" });
});
