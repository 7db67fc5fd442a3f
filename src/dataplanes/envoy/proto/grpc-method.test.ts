import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grpcMethod } from "./grpc-method.ts";
import * as kit from "./kit.ts";

const Question = kit.message("test.Question", { text: kit.string(1) });
const Answer = kit.message("test.Answer", { texts: kit.repeated(kit.string(1)) });
const ask = grpcMethod({ service: "test.Echo", name: "Ask" }, { request: Question, response: Answer });

const server = new grpc.Server();
let client: grpc.Client;

beforeAll(async () => {
  server.addService(
    { ask },
    { ask: (call: Call, done: grpc.sendUnaryData<Answer>) => done(null, { texts: [call.request.text ?? ""] }) },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, found) =>
      error === null ? resolve(found) : reject(error),
    );
  });
  client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});

afterAll(() => {
  client.close();
  server.forceShutdown();
});

type Answer = kit.Value<typeof Answer>;
type Call = grpc.ServerUnaryCall<kit.Value<typeof Question>, Answer>;

function call(bytes: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      ask.path,
      (sent: Buffer) => sent,
      ask.responseDeserialize,
      bytes,
      (error, answer) =>
        error === null && answer !== undefined ? resolve(answer) : reject(error ?? new Error("no answer")),
    );
  });
}

test("carries messages", async () => {
  expect(await call(kit.encode(Question, { text: "hällo" }))).toEqual({ texts: ["hällo"] });
});

test("answers a request that is cut short with INTERNAL, and goes on", async () => {
  await expect(call(kit.encode(Question, { text: "hello" }).subarray(0, 4))).rejects.toMatchObject({
    code: grpc.status.INTERNAL,
  });
  expect(await call(kit.encode(Question, {}))).toEqual({ texts: [""] });
});
