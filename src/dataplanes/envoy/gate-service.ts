import { once } from "node:events";
import { chmod } from "node:fs/promises";
import {
  request as askHttp,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { Identity, RequestHead, Route, Session, Site } from "../../model/index.ts";
import { parseUser, parseWho } from "../../model/index.ts";
import { listenAt } from "../../platform/bind-error.ts";
import type { Logger } from "../../platform/logger.ts";
import { claimSocketPath, SOCKET_BACKLOG } from "../../platform/unix-socket.ts";
import type { Explain } from "../dataplane.ts";
import { NOTICES } from "../notices.ts";
import { formFor, type Notice, renderNotice } from "../pages.ts";
import { parseHost } from "../parse-host.ts";
import { FRONT_HEADER } from "../visitor-of.ts";
import { OWN_FIELD } from "./authz/answer-script.ts";
import { SCOPED_FIELD } from "./authz/verdict.ts";
import type { GrpcTls } from "./grpc-server.ts";

export interface GateServiceDeps {
  /** For the Envoy of this machine; 0600. */
  readonly socketPath: string;
  /** For Envoys elsewhere: with mutual TLS, or without on a loopback address; null: there are none. */
  readonly address: { readonly host: string; readonly port: number; readonly tls: GrpcTls | null } | null;
  readonly site: Pick<Site, "gateHost">;
  /** Where the gate's own page and API are. */
  readonly apiSocket: string;
  readonly explain: Explain;
  /** The route of a request that came here in the place of its job. */
  find(head: RequestHead): Route | null;
  isAdmin(identity: Identity, groups: readonly Identity[]): boolean;
  /** By which Envoys know an answer for the gate's own; they take it out. See `AuthzDeps.ownSecret`. */
  readonly ownSecret: string;
  readonly logger: Logger;
}

/** Disposing ends what is open. */
export interface GateService extends AsyncDisposable {
  /** Of `address`; null: there is none. */
  readonly port: number | null;
  renewTls(tls: GrpcTls): void;
}

/** Envoys alone set it here: they take out what visitors sent under that name. */
const ATTEMPTS = "x-envoy-attempt-count";

/** More than a data plane lets through and adds. */
const HEADER_BYTES = 2 * 1024 * 1024;
const GRACE_MS = 500;
/** The first bytes of HTTP/2 (RFC 9113 §3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n");

type Asked = IncomingMessage | Http2ServerRequest;
type Answer = ServerResponse | Http2ServerResponse;

/**
 * What Envoys hold for an endpoint of every service that is asked last: it says why the job itself does not answer. Where they cannot reach
 * the API itself, it leads to that, too. Speaks HTTP/1.1 and HTTP/2 by prior knowledge. Throws what `bindError` and `claimSocketPath` do.
 */
export async function startGateService(deps: GateServiceDeps): Promise<GateService> {
  const { socketPath, address, logger } = deps;
  await using scope = new AsyncDisposableStack();
  const serve = createServing(deps);
  await claimSocketPath(socketPath);
  const local = createNetServer(serve);
  scope.use(closing(local));
  local.listen({ path: socketPath, backlog: SOCKET_BACKLOG });
  await once(local, "listening");
  await chmod(socketPath, 0o600);
  const remote = address === null ? null : scope.use(await listenTo(address, serve));
  for (const server of [local, ...(remote === null ? [] : [remote.server])]) {
    server.on("error", (err: Error) => logger.error({ err }, "gate service error"));
  }
  const resources = scope.move();
  return {
    port: remote === null ? null : (remote.server.address() as AddressInfo).port,
    renewTls(tls) {
      if (remote !== null && "setSecureContext" in remote.server) remote.server.setSecureContext(tlsOptions(tls));
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function listenTo(
  { host, port, tls }: NonNullable<GateServiceDeps["address"]>,
  serve: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly server: NetServer | TlsServer }> {
  const server = tls === null ? createNetServer(serve) : createTlsServer(tlsOptions(tls), serve);
  const closed = closing(server);
  await listenAt(server, "envoy.xds.gateAddress", { host, port });
  return { server, [Symbol.asyncDispose]: () => closed[Symbol.asyncDispose]() };
}

function tlsOptions({ certificate, key, clientAuthority }: GrpcTls) {
  return { cert: certificate, key, ca: clientAuthority, requestCert: true, rejectUnauthorized: true };
}

/** Lets what is open end for half a second. */
function closing(server: NetServer): AsyncDisposable {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  server.on("connection", keep);
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, GRACE_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}

/** Tells HTTP/2 from HTTP/1.1 by its first bytes: an Envoy speaks to all endpoints of a service what its jobs speak. */
function createServing(deps: GateServiceDeps): (socket: Socket) => void {
  const answer = (asked: Asked, answered: Answer): void => {
    serveRequest(deps, asked, answered).catch((err: unknown) => {
      deps.logger.error({ err }, "request failed in the gate");
      if (answered.headersSent) asked.socket.destroy();
      else sayNotice(asked, answered, headOf(asked), NOTICES.internal);
    });
  };
  const one = createServer(
    { maxHeaderSize: HEADER_BYTES, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
    answer,
  );
  const two = createHttp2Server({ maxHeaderListPairs: 10_000, settings: { maxHeaderListSize: HEADER_BYTES } }, answer);
  return (socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (first: Buffer) => {
      socket.pause();
      socket.unshift(first);
      if (first.subarray(0, PREFACE.length).equals(PREFACE.subarray(0, first.length))) {
        two.emit("connection", socket); // it takes what was read by itself
        return;
      }
      one.emit("connection", socket);
      socket.resume();
    });
  };
}

async function serveRequest(deps: GateServiceDeps, asked: Asked, answered: Answer): Promise<void> {
  const head = headOf(asked);
  if (parseHost(head.host) === deps.site.gateHost) return passToApi(deps, asked, answered);
  const route = deps.find(head);
  const session = route === null ? null : sessionOf(deps, asked.headers, route);
  const failure = Number(asked.headers[ATTEMPTS] ?? 1) > 1 ? "connect_failed" : "no_endpoint";
  const explanation = await deps.explain({ route, head, session, failure: route === null ? null : failure });
  answered.setHeader(OWN_FIELD, deps.ownSecret);
  sayNotice(asked, answered, head, explanation);
}

function sayNotice(asked: Asked, answered: Answer, head: RequestHead, notice: Notice): void {
  const version = asked.httpVersionMajor === 2 ? "2" : "1.1";
  const requestId = head.header("x-request-id");
  const said = renderNotice(requestId === undefined ? notice : { ...notice, requestId }, formFor(head, version));
  answered.statusCode = said.status;
  for (let at = 0; at + 1 < said.fields.length; at += 2) {
    answered.setHeader(said.fields[at] ?? "", said.fields[at + 1] ?? "");
  }
  const body = head.method === "HEAD" ? "" : said.body;
  if (body === "" && answered instanceof Http2ServerResponse) {
    // A status of gRPC without messages is the end of its stream (gRPC over HTTP/2, "Trailers-Only").
    answered.stream.respond({ ...answered.getHeaders(), ":status": said.status }, { endStream: true });
  } else answered.end(body);
  asked.resume();
}

/** As the Envoy sent it: what visitors said of themselves, it has taken out or made true. */
function headOf(asked: Asked): RequestHead {
  const { headers } = asked;
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return {
    method: asked.method ?? "GET",
    host: (header(":authority") ?? header("host") ?? "").toLowerCase(),
    path: asked.url ?? "/",
    peer: header("x-forwarded-for")?.split(",").at(-1)?.trim() ?? "unknown",
    front: header(FRONT_HEADER),
    secure: header("x-forwarded-proto") === "https",
    header,
    names: () => Object.keys(headers).filter((name) => !name.startsWith(":")),
  };
}

/** Who was let in, by what the job would be told of them. Whoever has a token for less than all they may is nobody here. */
function sessionOf(deps: GateServiceDeps, headers: IncomingHttpHeaders, route: Route): Session | null {
  const user = headers["x-taskgate-user"];
  if (typeof user !== "string" || headers[SCOPED_FIELD] !== undefined) return null;
  try {
    const identity = parseUser(decodeURIComponent(user), "");
    const listed = headers["x-taskgate-groups"];
    const groups = (typeof listed === "string" ? listed.split(",") : []).flatMap((text) => {
      const who = parseWho(`group:${decodeURIComponent(text)}`, "");
      return "group" in who ? [who.group] : [];
    });
    const principal = { ...identity, groups, admin: deps.isAdmin(identity, groups) };
    return { id: "", principal, service: route.service, expiresAt: 0, renewAt: 0 };
  } catch {
    return null;
  }
}

/** Of one connection (RFC 9110 §7.6.1), or of HTTP/2 alone. */
const NOT_PASSED = /^(?::|connection$|keep-alive$|transfer-encoding$|upgrade$|te$|http2-settings$|proxy-connection$)/;

async function passToApi(deps: GateServiceDeps, asked: Asked, answered: Answer): Promise<void> {
  const head = headOf(asked);
  const headers = Object.fromEntries(Object.entries(asked.headers).filter(([name]) => !NOT_PASSED.test(name)));
  const { method } = head;
  if (method === "CONNECT") {
    sayNotice(asked, answered, head, NOTICES.bad_request);
    return;
  }
  const passed = askHttp({
    socketPath: deps.apiSocket,
    method,
    path: head.path,
    headers: { ...headers, host: head.host },
  });
  asked.pipe(passed);
  answered.once("close", () => passed.destroy());
  const [reply] = (await once(passed, "response")) as [IncomingMessage];
  const fields = Object.entries(reply.headersDistinct).filter(([name]) => !NOT_PASSED.test(name));
  answered.statusCode = reply.statusCode ?? 502;
  for (const [name, values] of fields) answered.setHeader(name, values ?? []);
  reply.pipe(answered);
  reply.once("error", () => asked.socket.destroy());
}
