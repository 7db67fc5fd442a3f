import { once } from "node:events";
import https from "node:https";
import net from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { echo, serveOn, startTcpApp, type App } from "./apps.ts";
import type { Pem } from "./write-pem.ts";

/** A job that does what it likes with what comes in TLS. */
export interface TlsApp extends App {
  /** Handshakes ever that came to their end. */
  secured(): number;
}

export async function startTlsApp(
  pem: Pem,
  handle: (socket: TLSSocket) => void,
  options: tls.TlsOptions = {},
): Promise<TlsApp> {
  let count = 0;
  const server = tls.createServer(
    { cert: pem.certificate, key: pem.key, allowHalfOpen: true, ...options },
    (socket) => {
      count += 1;
      socket.on("error", () => undefined);
      handle(socket);
    },
  );
  server.on("tlsClientError", () => undefined);
  return Object.assign(await serveOn(server), { secured: () => count });
}

/** A job that speaks HTTP/1.1 in TLS. */
export function startHttpsApp(pem: Pem, handle = echo): Promise<App & { readonly server: https.Server }> {
  const server = https.createServer({ cert: pem.certificate, key: pem.key }, handle);
  server.on("tlsClientError", () => undefined);
  return serveOn(server);
}

/** What node's own client sends first. */
export async function recordHello(servername: string): Promise<Buffer> {
  const { promise: hello, resolve } = Promise.withResolvers<Buffer>();
  await using app = await startTcpApp((socket) => void socket.once("data", resolve));
  const client = tls.connect({ port: app.address.port, host: app.address.ip, servername });
  client.on("error", () => undefined);
  const bytes = await hello;
  client.destroy();
  return bytes;
}

/** SHA-256 of the certificate, as peers say it. */
export function fingerprint(pem: Pem): string {
  const context = new tls.TLSSocket(new net.Socket(), { isServer: true, cert: pem.certificate, key: pem.key });
  const certificate = context.getX509Certificate();
  context.destroy();
  return certificate?.fingerprint256 ?? "";
}

/** The same of what a visitor is shown who asks for this name, or for none. */
export async function shownTo({ port }: { readonly port: number }, servername: string | undefined): Promise<string> {
  const named = servername === undefined ? {} : { servername };
  const socket = tls.connect({ port, host: "127.0.0.1", ...named, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
