import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { hostPort } from "../model/index.ts";
import { bindError } from "../platform/bind-error.ts";

export interface AdminDeps {
  readonly address: { readonly host: string; readonly port: number };
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
 * /metrics, /healthz (the process answers) and /readyz (every source was heard and the plane serves), on loopback only: config refuses
 * other addresses. Throws `conflict` if the port is taken, `denied` or `bad_request` if it cannot be had.
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
}

function answer(deps: AdminDeps): RequestListener {
  return (request, response) => {
    const say = ({ status, text, type = "text/plain; charset=utf-8" }: Answer): void => {
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
    };
    if (!OWN_HOST.test(request.headers.host ?? "")) return say({ status: 421, text: "ask for it by its address\n" });
    if (request.method !== "GET" && request.method !== "HEAD") return say({ status: 405, text: "only GET\n" });
    page(deps, request.url ?? "").then(say, () => say({ status: 500, text: "metrics failed\n" }));
  };
}

async function page({ metrics, notReady }: AdminDeps, url: string): Promise<Answer> {
  if (url === "/metrics") return { status: 200, text: await metrics.text(), type: metrics.contentType };
  if (url === "/healthz") return { status: 200, text: "ok\n" };
  if (url !== "/readyz") return { status: 404, text: "try /metrics, /healthz or /readyz\n" };
  const missing = notReady();
  return missing === null ? { status: 200, text: "ready\n" } : { status: 503, text: `${missing}\n` };
}
