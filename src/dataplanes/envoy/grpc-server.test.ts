import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import grpc from "@grpc/grpc-js";
import { silentLogger as logger } from "../../platform/logger.ts";
import { certificateNames } from "./certificate-names.ts";
import { type GrpcPeer, type GrpcService, peerOf, startGrpcServer } from "./grpc-server.ts";
import { makeAuthority } from "../testing/make-authority.ts";

const asIs = (bytes: Buffer): Buffer => bytes;
const kinds = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
let scope: AsyncDisposableStack;
let folder: string;

beforeEach(async () => {
  scope = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "tg-grpc-"));
  scope.defer(() => rm(folder, { recursive: true }));
});
afterEach(() => scope.disposeAsync());

const who: { peer: GrpcPeer | null; calls: grpc.ServerDuplexStream<Buffer, Buffer>[] } = { peer: null, calls: [] };
const service: GrpcService = {
  definition: {
    ask: { path: "/t.T/Ask", requestStream: false, responseStream: false, ...kinds },
    stay: { path: "/t.T/Stay", requestStream: true, responseStream: true, ...kinds },
  },
  implementation: {
    ask: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      who.peer = peerOf(call);
      answer(null, call.request);
    },
    stay: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      who.calls.push(call);
      call.on("data", (bytes: Buffer) => call.write(bytes));
    },
  },
};

function client(target: string, credentials = grpc.credentials.createInsecure(), options: grpc.ClientOptions = {}) {
  const made = new grpc.Client(target, credentials, { "grpc.use_local_subchannel_pool": 1, ...options });
  scope.defer(() => made.close());
  return made;
}

function ask(target: grpc.Client): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 5000;
    target.makeUnaryRequest("/t.T/Ask", asIs, asIs, Buffer.from("hello"), { deadline }, (error, answer) => {
      if (error === null) resolve(answer?.toString() ?? "");
      else reject(error);
    });
  });
}

test("a unix socket is for the gate's user alone, and goes with the server", async () => {
  const unix = join(folder, "a.sock");
  const server = await startGrpcServer({ addresses: [{ unix }], services: [service], logger });
  expect((await stat(unix)).mode & 0o777).toBe(0o600);
  expect(await ask(client(`unix:${unix}`))).toBe("hello");
  expect(who.peer).toEqual({ kind: "unix" });
  await expect(startGrpcServer({ addresses: [{ unix }], services: [service], logger })).rejects.toMatchObject({
    code: "conflict",
  });
  await server[Symbol.asyncDispose]();
  await expect(stat(unix)).rejects.toMatchObject({ code: "ENOENT" });
});

test("without TLS nothing but loopback is served", async () => {
  const options = { services: [service], logger };
  const server = scope.use(await startGrpcServer({ addresses: [{ host: "127.0.0.1", port: 0 }], ...options }));
  expect(await ask(client(`127.0.0.1:${server.ports[0]}`))).toBe("hello");
  expect(who.peer).toEqual({ kind: "loopback" });
  await expect(startGrpcServer({ addresses: [{ host: "0.0.0.0", port: 0 }], ...options })).rejects.toMatchObject({
    code: "bad_request",
  });
  const taken = { host: "127.0.0.1", port: server.ports[0] ?? 0 };
  await expect(startGrpcServer({ addresses: [taken], ...options })).rejects.toMatchObject({ code: "conflict" });
});

test("disposing ends what is open within its time", async () => {
  const unix = join(folder, "b.sock");
  const server = await startGrpcServer({ addresses: [{ unix }], services: [service], logger });
  const call = client(`unix:${unix}`).makeBidiStreamRequest("/t.T/Stay", asIs, asIs);
  const { promise, resolve } = Promise.withResolvers<grpc.StatusObject>();
  call.on("error", () => undefined).on("status", resolve);
  await new Promise((heard) => {
    call.on("data", heard);
    call.write(Buffer.from("x"));
  });
  const began = performance.now();
  await server[Symbol.asyncDispose]();
  expect(performance.now() - began).toBeLessThan(2000);
  expect((await promise).code).not.toBe(grpc.status.OK);
});

describe("with TLS", () => {
  test("who has no certificate of the authority gets nothing; who has one is known by its names", async () => {
    const [ours, theirs] = [await makeAuthority(), await makeAuthority()];
    const own = await ours.issue(["DNS:localhost"]);
    const tls = { certificate: own.certificate, key: own.key, clientAuthority: ours.certificate };
    const server = scope.use(
      await startGrpcServer({ addresses: [{ host: "127.0.0.1", port: 0 }], tls, services: [service], logger }),
    );
    const target = `localhost:${server.ports[0]}`;
    const root = Buffer.from(ours.certificate);
    const good = await ours.issue(["DNS:edge-1", "URI:spiffe://site/edge", "email:e@x.org"]);
    const credentials = (pair: { certificate: string; key: string }) =>
      grpc.credentials.createSsl(root, Buffer.from(pair.key), Buffer.from(pair.certificate));
    expect(await ask(client(target, credentials(good)))).toBe("hello");
    expect(who.peer).toEqual({ kind: "tls", names: ["edge-1", "spiffe://site/edge", "e@x.org"] });
    await expect(ask(client(target, credentials(await theirs.issue(["DNS:edge-1"]))))).rejects.toThrow();
    await expect(ask(client(target, grpc.credentials.createSsl(root)))).rejects.toThrow();
    await expect(ask(client(target))).rejects.toThrow();
  });

  test("a new certificate is served to who comes then; who is there stays", async () => {
    const [old, young] = [await makeAuthority(), await makeAuthority()];
    const pair = async (authority: typeof old) => {
      const own = await authority.issue(["DNS:localhost"]);
      return { certificate: own.certificate, key: own.key, clientAuthority: old.certificate };
    };
    const server = scope.use(
      await startGrpcServer({
        addresses: [{ host: "127.0.0.1", port: 0 }],
        tls: await pair(old),
        services: [service],
        logger,
      }),
    );
    const mine = await old.issue(["DNS:edge"]);
    const fresh = await pair(young);
    const trusting = (authority: typeof old) =>
      client(
        `localhost:${server.ports[0]}`,
        grpc.credentials.createSsl(
          Buffer.from(authority.certificate),
          Buffer.from(mine.key),
          Buffer.from(mine.certificate),
        ),
      );
    const early = trusting(old);
    expect(await ask(early)).toBe("hello");
    expect(() => server.renewTls({ ...fresh, key: "none" })).toThrow(/belong together/);
    server.renewTls(fresh);
    expect(await ask(early)).toBe("hello");
    expect(await ask(trusting(young))).toBe("hello");
    await expect(ask(trusting(old))).rejects.toThrow();
  });
});

test.each([
  ["DNS:a.example, URI:spiffe://x/y, email:me@x, IP Address:10.0.0.1", ["a.example", "spiffe://x/y", "me@x"]],
  ['URI:"http://x/, DNS:edge, b", DNS:real', ["real"]],
  ['URI:"http://x\\\\", DNS:edge', ["edge"]],
  ["", []],
])("names of %s", (text, names) => {
  expect(certificateNames(text)).toEqual(names);
});
