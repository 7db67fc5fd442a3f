import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { hostPort } from "../model/index.ts";
import { bindError } from "../platform/bind-error.ts";
import { isLoopback } from "../platform/target-check.ts";

export interface AdminDeps {
  readonly address: { readonly host: string; readonly port: number };
  /** File with what whoever asks for metrics shows; undefined: they ask nobody, and the address is loopback. */
  readonly tokenFile?: string | undefined;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  /** null: ready; else what is missing, in words. */
  readonly notReady: () => string | null;
}

/** The admin port, open. Disposing cuts what is open. */
export interface AdminServer extends AsyncDisposable {
  /** `HOST:PORT`. */
  readonly address: string;
  readonly port: number;
}

/**
 * /metrics, /healthz (the process answers) and /readyz (every source was heard and the plane serves). Where there is a token, metrics ask for
 * it, and health checks say no names; config refuses other addresses than loopback without one. Throws `conflict` if the port is taken, `denied` or `bad_request` if it cannot be had.
 */
export async function startAdminServer(deps: AdminDeps): Promise<AdminServer> {
  const server = createServer({ maxHeaderSize: 16_384, requestTimeout: 10_000 }, answer(deps));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(bindError("admin.address", deps.address, cause)));
    server.listen(deps.address.port, deps.address.host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    port,
    address: hostPort(address, port),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A page that a browser was lured to must not read the metrics by rebinding a name to loopback: only addresses are answered. */
const OWN_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const TOKEN_WANTED: Answer = Object.freeze({
  status: 401,
  text: "metrics ask for the token of admin.tokenFile\n",
  headers: { "www-authenticate": "Bearer" },
});

function answer(deps: AdminDeps): RequestListener {
  const isOpen = !isLoopback(deps.address.host);
  return (request, response) => {
    const say = ({ status, text, type = "text/plain; charset=utf-8", headers }: Answer): void => {
      response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...headers }).end(text);
    };
    if (!isOpen && !OWN_HOST.test(request.headers.host ?? ""))
      return say({ status: 421, text: "ask for it by its address\n" });
    if (request.method !== "GET" && request.method !== "HEAD") return say({ status: 405, text: "only GET\n" });
    page(deps, request).then(say, () => say({ status: 500, text: "metrics failed\n" }));
  };
}

async function page({ metrics, notReady, tokenFile }: AdminDeps, request: IncomingMessage): Promise<Answer> {
  const { url, headers } = request;
  if (url === "/metrics") {
    if (tokenFile !== undefined && !(await shows(headers.authorization, tokenFile))) return TOKEN_WANTED;
    return { status: 200, text: await metrics.text(), type: metrics.contentType };
  }
  if (url === "/healthz") return { status: 200, text: "ok\n" };
  if (url !== "/readyz") return { status: 404, text: "try /metrics, /healthz or /readyz\n" };
  const missing = notReady();
  if (missing === null) return { status: 200, text: "ready\n" };
  return { status: 503, text: tokenFile === undefined ? `${missing}\n` : "not ready\n" };
}

/** The file is read each time, so that a new token counts at once. An empty one is nobody's. */
async function shows(authorization: string | undefined, tokenFile: string): Promise<boolean> {
  const token = (await readFile(tokenFile, "utf8")).trim();
  const shown = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(shown), digest(token)) && token !== "";
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
