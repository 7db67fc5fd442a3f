import grpc from "@grpc/grpc-js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger as logger } from "../../../platform/logger.ts";
import { createManualClock } from "../../../store/testing/manual-clock.ts";
import { startGrpcServer } from "../grpc-server.ts";
import type { AskAdmin } from "../local/ask-admin.ts";
import { decode, encode } from "../proto/kit.ts";
import { ProcessingRequest, ProcessingResponse } from "../proto/tables/ext-proc.ts";
import { RELAY_FIELD, RELAY_HEADERS } from "../relay-bootstrap.ts";
import { AdminRelay } from "./admin-relay.ts";

type Call = grpc.ClientDuplexStream<ProcessingRequest, ProcessingResponse>;
type HandlerCall = Parameters<AdminRelay["open"]>[0];

const PATH = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const method = {
  ...({ path: PATH, requestStream: true, responseStream: true } as const),
  requestSerialize: (value: ProcessingRequest) => encode(ProcessingRequest, value),
  requestDeserialize: (bytes: Buffer) => decode(ProcessingRequest, bytes),
  responseSerialize: (value: ProcessingResponse) => encode(ProcessingResponse, value),
  responseDeserialize: (bytes: Buffer) => decode(ProcessingResponse, bytes),
};

let scope: AsyncDisposableStack;
let client: grpc.Client;
let relay: AdminRelay;
/** Envoys that can be asked. */
let known: Map<string, AskAdmin>;
const clock = createManualClock(1_000_000);

beforeEach(async () => {
  scope = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "tg-relay-"));
  scope.defer(() => rmSync(folder, { recursive: true }));
  known = new Map();
  relay = new AdminRelay({
    admit: ({ id, cluster }) => (id === "bad" ? { refused: "denied", message: "no" } : { fleet: cluster }),
    came(envoy, ask) {
      known.set(envoy, ask);
      return { [Symbol.asyncDispose]: () => Promise.resolve(void known.delete(envoy)) };
    },
    clock,
  });
  const implementation = {
    process(call: HandlerCall) {
      expect(AdminRelay.isOf(call)).toBe(true);
      relay.open(call);
    },
  };
  const unix = join(folder, "gate.sock");
  const services = [{ definition: { process: method }, implementation }];
  scope.use(await startGrpcServer({ addresses: [{ unix }], services, logger }));
  scope.use(relay);
  client = new grpc.Client(`unix:${unix}`, grpc.credentials.createInsecure());
  scope.defer(() => client.close());
});
afterEach(() => scope.disposeAsync());

/** A call by which an Envoy comes for a question. */
function come(node = "edge-1") {
  const metadata = new grpc.Metadata();
  metadata.set(RELAY_FIELD, "1");
  const call: Call = client.makeBidiStreamRequest(PATH, method.requestSerialize, method.responseDeserialize, metadata);
  const told: ProcessingResponse[] = [];
  let status: grpc.StatusObject | null = null;
  call.on("data", (response: ProcessingResponse) => told.push(response));
  call.on("error", () => undefined); // its status says it
  call.on("status", (ended: grpc.StatusObject) => (status = ended));
  const header = (key: string, value: string) => ({ key, rawValue: Buffer.from(value) });
  const headers = [header(RELAY_HEADERS.node, node), header(RELAY_HEADERS.fleet, "edge")];
  call.write({ requestHeaders: { headers: { headers } } });
  return {
    call,
    told,
    get status() {
      return status;
    },
    /** What its admin is asked. */
    get asked() {
      const mutation = told[0]?.requestHeaders?.response?.headerMutation;
      return Buffer.from(mutation?.setHeaders?.[0]?.header?.rawValue ?? "").toString();
    },
    answer: (text: string) => call.write({ responseBody: { body: Buffer.from(text) } }),
  };
}

const ask = (path: string) => known.get("edge-1")?.(path) ?? Promise.reject(new Error("nobody is there"));
const poll = (look: () => unknown) => expect.poll(look, { interval: 5 });

test("gives an Envoy that comes the question that waits, or the next one, and takes its answer", async () => {
  const first = come();
  await poll(() => known.size).toBe(1);
  const one = ask("/clusters?filter=a");
  const two = ask("/clusters?filter=b");
  await poll(() => first.asked).toBe("/clusters?filter=a");
  first.answer("A");
  expect(await one).toEqual({ status: 200, body: "A" });
  const second = come();
  await poll(() => second.asked).toBe("/clusters?filter=b");
  second.answer("B");
  expect((await two).body).toBe("B");
});

test("sends one away after five seconds for which there is no question, and takes it for gone if it stays away", async () => {
  const idle = come();
  await poll(() => known.size).toBe(1);
  clock.advance(5000);
  await poll(() => idle.told).toEqual([{ immediateResponse: { status: { code: "OK" } } }]);
  clock.advance(9000);
  expect(known.size).toBe(1);
  const waiting = ask("/clusters");
  const failed = expect(waiting).rejects.toThrow("Envoy is gone");
  clock.advance(1000);
  await failed;
  await poll(() => known.size).toBe(0);
});

test("fails what was asked where the Envoy leaves, or says nothing", async () => {
  const leaving = come();
  await poll(() => known.size).toBe(1);
  const one = expect(ask("/clusters")).rejects.toThrow("left without an answer");
  await poll(() => leaving.asked).toBe("/clusters");
  leaving.call.cancel();
  await one;
  const silent = come();
  const two = expect(ask("/clusters")).rejects.toThrow("does not answer in time");
  await poll(() => silent.asked).toBe("/clusters");
  clock.advance(10_000);
  await two;
});

test("asks nobody who is of no fleet, or does not say who it is", async () => {
  for (const node of ["bad", ""]) {
    const refused = come(node);
    await poll(() => refused.status?.code).toBe(grpc.status.PERMISSION_DENIED);
  }
  expect(known.size).toBe(0);
});
