import grpc from "@grpc/grpc-js";
import type { App } from "./apps.ts";
import type { Pem } from "./write-pem.ts";

const bytes = {
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
};
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  ...bytes,
});

/** Bytes in, bytes out, in all four kinds. */
export const ECHO_SERVICE = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  repeat: method("Repeat", false, true),
  chat: method("Chat", true, true),
} as const;

type Unary = grpc.handleUnaryCall<Buffer, Buffer>;
type Collect = grpc.handleClientStreamingCall<Buffer, Buffer>;
type Repeat = grpc.handleServerStreamingCall<Buffer, Buffer>;
type Chat = grpc.handleBidiStreamingCall<Buffer, Buffer>;

export interface GrpcApp extends AsyncDisposable {
  readonly address: App["address"];
  /** Calls that their client gave up. */
  cancelled(): number;
  /** Metadata of the last call. */
  metadata(): grpc.Metadata | null;
  readonly server: grpc.Server;
  /** Answer of grpc.health.v1: SERVING or not. */
  serving: boolean;
}

/** A gRPC job: unary "fail" answers with RESOURCE_EXHAUSTED and details; `repeat` sends its message three times and then "forever" stays. `pem`: over TLS. */
export async function startGrpcApp(pem?: Pem): Promise<GrpcApp> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  let cancelled = 0;
  let metadata: grpc.Metadata | null = null;
  const watch = (call: { on(event: "cancelled", heard: () => void): unknown; metadata: grpc.Metadata }) => {
    metadata = call.metadata;
    call.on("cancelled", () => (cancelled += 1));
  };
  const unary: Unary = (call, callback) => {
    watch(call);
    const trailer = new grpc.Metadata();
    trailer.set("x-trailer", "kept");
    if (call.request.toString() === "hang") return;
    if (call.request.toString() === "fail") {
      callback({ code: grpc.status.RESOURCE_EXHAUSTED, details: "no more: ü", metadata: trailer });
    } else callback(null, call.request, trailer);
  };
  const collect: Collect = (call, callback) => {
    watch(call);
    const parts: Buffer[] = [];
    call.on("data", (part: Buffer) => parts.push(part));
    call.on("end", () => callback(null, Buffer.concat(parts)));
  };
  const repeat: Repeat = (call) => {
    watch(call);
    for (let at = 0; at < 3; at += 1) call.write(call.request);
    if (call.request.toString() !== "forever") call.end();
  };
  const chat: Chat = (call) => {
    watch(call);
    call.on("data", (part: Buffer) => call.write(part));
    call.on("end", () => call.end());
  };
  server.addService(ECHO_SERVICE, { unary, collect, repeat, chat });
  const app: Pick<GrpcApp, "serving"> = { serving: true };
  const check: Unary = (_call, callback) => callback(null, Buffer.from([0x08, app.serving ? 1 : 2]));
  const healthPath = { ...ECHO_SERVICE.unary, path: "/grpc.health.v1.Health/Check" };
  server.addService({ check: healthPath }, { check });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentialsOf(pem), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return Object.assign(app, {
    address: { ip: "127.0.0.1", port },
    server,
    cancelled: () => cancelled,
    metadata: () => metadata,
    [Symbol.asyncDispose]() {
      server.forceShutdown();
      return Promise.resolve();
    },
  });
}

function credentialsOf(pem: Pem | undefined): grpc.ServerCredentials {
  if (pem === undefined) return grpc.ServerCredentials.createInsecure();
  const keys = [{ private_key: Buffer.from(pem.key), cert_chain: Buffer.from(pem.certificate) }];
  return grpc.ServerCredentials.createSsl(null, keys);
}

const EchoClient = grpc.makeGenericClientConstructor(ECHO_SERVICE, "Echo");

type Callback = (error: grpc.ServiceError | null, value?: Buffer) => void;

export interface EchoCalls {
  unary(message: Buffer, metadata: grpc.Metadata, callback: Callback): grpc.ClientUnaryCall;
  collect(callback: Callback): grpc.ClientWritableStream<Buffer>;
  repeat(message: Buffer, metadata?: grpc.Metadata): grpc.ClientReadableStream<Buffer>;
  chat(): grpc.ClientDuplexStream<Buffer, Buffer>;
  close(): void;
}

/** A gRPC client of a service's host, through a plane's port. `ca`: over TLS. */
export function grpcClient(port: number, host: string, ca?: string): EchoCalls & Disposable {
  const credentials =
    ca === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(Buffer.from(ca));
  const client = new EchoClient(`127.0.0.1:${String(port)}`, credentials, {
    "grpc.default_authority": host,
    ...(ca === undefined ? {} : { "grpc.ssl_target_name_override": host }),
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.enable_retries": 0,
    "grpc.use_local_subchannel_pool": 1,
  }) as unknown as EchoCalls;
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

/** A unary call's end: its answer or its error. */
export function unary(client: EchoCalls, message: string | Buffer, metadata = new grpc.Metadata()): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.unary(Buffer.from(message), metadata, (error, value) => {
      if (error === null) resolve(value ?? Buffer.alloc(0));
      else reject(error);
    });
  });
}
