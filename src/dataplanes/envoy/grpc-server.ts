import { type EventEmitter, once } from "node:events";
import { chmod } from "node:fs/promises";
import { constants, type ServerHttp2Stream, type ServerOptions } from "node:http2";
import { type AddressInfo, createServer, type ListenOptions, type Server as NetServer, type Socket } from "node:net";
import { createSecureContext, type PeerCertificate } from "node:tls";
import grpc from "@grpc/grpc-js";
import { GatewayError, hostPort } from "../../model/index.ts";
import { bindError } from "../../platform/bind-error.ts";
import type { Logger } from "../../platform/logger.ts";
import { isLoopback } from "../../platform/target-check.ts";
import { claimSocketPath, SOCKET_BACKLOG } from "../../platform/unix-socket.ts";
import { certificateNames } from "./certificate-names.ts";

/** An Envoy that is gone without a word is noticed within both together. */
const KEEPALIVE_MS = 20_000;
/** One that loads a hundred thousand clusters on a busy machine does not answer for a while. */
const KEEPALIVE_TIMEOUT_MS = 40_000;
/** A connection without a call ends then. */
const IDLE_MS = 5 * 60_000;
/** First requests name all that an Envoy has and wants: some 64 bytes each. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
/** Of one connection: each long-lived request through an Envoy has one. */
const MAX_CALLS = 100_000;
/**
 * Calls that one connection may break off at once, and in a second: a visitor who goes away breaks off what the gate is asked about them. Node's
 * servers end a connection after a thousand, and with it all that an Envoy is told, asks and holds. What one visitor may break off, the Envoy bounds.
 */
const MAX_BROKEN_OFF = 100_000;
const MAX_CONNECTIONS = 4096;
/** For calls to end as they should, once the server ends. */
const GRACE_MS = 500;

const OPTIONS: grpc.ServerOptions = {
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  "grpc.max_connection_idle_ms": IDLE_MS,
  "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
  "grpc.max_send_message_length": -1,
  "grpc.max_concurrent_streams": MAX_CALLS,
  "grpc.enable_channelz": 0,
};

/** Port 0: any that is free. */
export type GrpcAddress = { readonly unix: string } | { readonly host: string; readonly port: number };

/** All in PEM. */
export interface GrpcTls {
  readonly certificate: string;
  readonly key: string;
  /** Whoever connects shows a certificate that one of these signed. */
  readonly clientAuthority: string;
}

/** Who is at the other end: a program of the gate's own user, one of this machine, or one with a certificate. */
export type GrpcPeer =
  | { readonly kind: "unix" }
  | { readonly kind: "loopback" }
  /** `names` are its subjectAltNames: DNS, e-mail and URI. */
  | { readonly kind: "tls"; readonly names: readonly string[] };

export interface GrpcService {
  readonly definition: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  readonly addresses: readonly GrpcAddress[];
  /** For addresses with a host, which must be loopback without it. Unix sockets never have TLS. */
  readonly tls?: GrpcTls;
  readonly services: readonly GrpcService[];
  readonly logger: Logger;
}

/** Disposing lets calls end for half a second, then cuts them. Services end what they hold open before. */
export interface GrpcServer extends AsyncDisposable {
  /** In the order of `addresses`; null for unix sockets. */
  readonly ports: readonly (number | null)[];
  /** New connections get these; those that are open keep theirs. Throws `bad_request`, and changes nothing, where they are of no use. */
  renewTls(tls: GrpcTls): void;
}

const peers = new WeakMap<object, GrpcPeer["kind"]>();

/** Who makes the call: for handlers of services that `startGrpcServer` serves. */
export function peerOf(call: { getAuthContext(): { sslPeerCertificate?: PeerCertificate } }): GrpcPeer {
  const kind = peers.get(call) ?? "loopback";
  if (kind !== "tls") return { kind };
  return { kind, names: certificateNames(call.getAuthContext().sslPeerCertificate?.subjectaltname ?? "") };
}

/** Ends a streaming call with a status other than OK. */
export function failCall(call: EventEmitter, code: grpc.status, details: string): void {
  call.emit("error", Object.assign(new Error(details), { code, details }));
}

/** Ends a call whose other end reads nothing: a status would wait behind what is queued, and grpc-js has no other way. */
export function cutCall(call: object): void {
  streamOf(call)?.close(constants.NGHTTP2_CANCEL);
}

/** Takes nothing new on the connection that a call came by, so that the other end dials anew; what is under way there goes on. */
export function leaveConnection(call: object): void {
  streamOf(call)?.session?.close();
}

/** What grpc-js keeps to itself. */
function streamOf(call: object): ServerHttp2Stream | undefined {
  return (call as { readonly call?: { readonly stream?: ServerHttp2Stream } }).call?.stream;
}

/**
 * Serves all services at all addresses. Throws `conflict`, `denied` or `bad_request` where an address cannot be listened on, and where a
 * plain one is not loopback.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { addresses, services, logger } = options;
  await using scope = new AsyncDisposableStack();
  const certificates = options.tls === undefined ? null : new Certificates(options.tls);
  const ports: (number | null)[] = [];
  for (const address of addresses) {
    const kind = peerKind(address, certificates);
    const credentials =
      kind === "tls" && certificates !== null
        ? grpc.experimental.createCertificateProviderServerCredentials(certificates, certificates, true)
        : grpc.ServerCredentials.createInsecure();
    const server = new grpc.Server(OPTIONS);
    Object.assign(serverOptions(server), { streamResetBurst: MAX_BROKEN_OFF, streamResetRate: MAX_BROKEN_OFF });
    const sockets = new Set<Socket>();
    scope.defer(() => shutDown(server, sockets));
    for (const service of services) server.addService(service.definition, knowingPeer(service.implementation, kind));
    const { injectConnection } = server.createConnectionInjector(credentials);
    const listening = createServer({ noDelay: true, keepAlive: true }, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      injectConnection(socket);
    });
    listening.maxConnections = MAX_CONNECTIONS;
    scope.defer(() => void listening.close());
    ports.push(await listen(listening, address));
    listening.on("error", (err) => logger.error({ err }, "grpc server error"));
  }
  const running = scope.move();
  return {
    ports,
    renewTls: (tls) => certificates?.renew(tls),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** What grpc-js makes its HTTP/2 servers with: it has no option of its own for all that those take. */
function serverOptions(server: object): ServerOptions {
  return (server as { readonly commonServerOptions: ServerOptions }).commonServerOptions;
}

function peerKind(address: GrpcAddress, certificates: Certificates | null): GrpcPeer["kind"] {
  if ("unix" in address) return "unix";
  if (certificates !== null) return "tls";
  if (isLoopback(address.host)) return "loopback";
  const text = hostPort(address.host, address.port);
  throw new GatewayError("bad_request", `${text} is not loopback: expected TLS with certificates of clients`);
}

/** Handlers of grpc-js get a call: what it came by is noted before. */
function knowingPeer(implementation: grpc.UntypedServiceImplementation, kind: GrpcPeer["kind"]) {
  const known: grpc.UntypedServiceImplementation = {};
  for (const [name, handler] of Object.entries(implementation)) {
    const handle = handler as (call: object, answer: unknown) => void;
    known[name] = (call: object, answer: unknown) => {
      peers.set(call, kind);
      handle(call, answer);
    };
  }
  return known;
}

async function listen(server: NetServer, address: GrpcAddress): Promise<number | null> {
  if ("unix" in address) await claimSocketPath(address.unix);
  const options: ListenOptions = "unix" in address ? { path: address.unix, backlog: SOCKET_BACKLOG } : { ...address };
  server.listen(options);
  try {
    await once(server, "listening");
  } catch (error) {
    if ("unix" in address) throw error;
    throw bindError("envoy.xds.address", address, error as NodeJS.ErrnoException);
  }
  if (!("unix" in address)) return (server.address() as AddressInfo).port;
  await chmod(address.unix, 0o600);
  return null;
}

/** grpc-js itself waits for no connection that was handed to it, and cuts none. */
async function shutDown(server: grpc.Server, sockets: ReadonlySet<Socket>): Promise<void> {
  server.tryShutdown(() => undefined);
  const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, GRACE_MS);
  await Promise.all(closed);
  clearTimeout(cut);
}

type CaListener = Parameters<grpc.experimental.CertificateProvider["addCaCertificateListener"]>[0];
type IdentityListener = Parameters<grpc.experimental.CertificateProvider["addIdentityCertificateListener"]>[0];

/** What grpc-js asks for certificates, and is told of new ones by. A listener of its is not ready before the next tick. */
class Certificates implements grpc.experimental.CertificateProvider {
  readonly #authorities = new Set<CaListener>();
  readonly #identities = new Set<IdentityListener>();
  #tls: GrpcTls;

  constructor(tls: GrpcTls) {
    check(tls);
    this.#tls = tls;
  }

  renew(tls: GrpcTls): void {
    check(tls);
    this.#tls = tls;
    for (const listener of this.#authorities) this.#tellAuthority(listener);
    for (const listener of this.#identities) this.#tellIdentity(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#authorities.add(listener);
    process.nextTick(() => this.#tellAuthority(listener));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#authorities.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identities.add(listener);
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identities.delete(listener);
  }

  #tellAuthority(listener: CaListener): void {
    listener({ caCertificate: Buffer.from(this.#tls.clientAuthority) });
  }

  #tellIdentity(listener: IdentityListener): void {
    const { certificate, key } = this.#tls;
    listener({ certificate: Buffer.from(certificate), privateKey: Buffer.from(key) });
  }
}

function check({ certificate, key, clientAuthority }: GrpcTls): void {
  try {
    createSecureContext({ cert: certificate, key, ca: clientAuthority });
  } catch (cause) {
    const message = "certificate, key and client authority: expected PEM of which the first two belong together";
    throw new GatewayError("bad_request", message, { cause });
  }
}
