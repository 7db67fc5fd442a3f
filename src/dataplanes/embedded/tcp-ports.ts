import { createServer, type Server, type Socket } from "node:net";
import type { Problem, Route } from "../../model/index.ts";
import { carryRaw } from "./carry-raw.ts";
import type { Connections } from "./connections.ts";
import type { PlaneContext } from "./context.ts";
import { endsOf, peerOf } from "./peer.ts";

export interface TcpPortsDeps {
  /** IP address that ports are opened on. */
  readonly address: string;
  readonly context: PlaneContext;
  readonly connections: Connections;
  /** Starts a server for a port in place of `server.listen`; emits on it what that would. */
  readonly listen?: ((server: Server, port: number) => void) | undefined;
  /** Problems changed. */
  changed(): void;
}

interface OpenPort {
  route: Route;
  server: Server | null;
  problem: Problem | null;
  retry: Disposable | null;
  failures: number;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;

/** Raw TCP ports, opened and closed as routes come and go. */
export class TcpPorts implements Disposable {
  readonly #deps: TcpPortsDeps;
  readonly #ports = new Map<number, OpenPort>();
  #closed = false;

  constructor(deps: TcpPortsDeps) {
    this.#deps = deps;
  }

  /** Opens and closes what is due; ports that could not be had are tried again. Connections of lost routes are the caller's to cut. */
  apply(wanted: ReadonlyMap<number, Route>): void {
    for (const [port, open] of this.#ports) {
      if (wanted.has(port)) continue;
      this.#ports.delete(port);
      this.#close(open);
    }
    for (const [port, route] of wanted) {
      const open = this.#ports.get(port);
      if (open === undefined) this.#open(port, route);
      else {
        open.route = route;
        if (open.server === null) this.#listen(port, open);
      }
    }
  }

  get problems(): Problem[] {
    return [...this.#ports.values()].flatMap(({ problem }) => problem ?? []);
  }

  /** Takes no more connections; open ones stay. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const open of this.#ports.values()) this.#close(open);
  }

  #open(port: number, route: Route): void {
    const open: OpenPort = { route, server: null, problem: null, retry: null, failures: 0 };
    this.#ports.set(port, open);
    this.#listen(port, open);
  }

  #close(open: OpenPort): void {
    open.retry?.[Symbol.dispose]();
    open.server?.close();
    open.server = null;
    if (open.problem !== null) this.#deps.changed();
  }

  #listen(port: number, open: OpenPort): void {
    open.retry?.[Symbol.dispose]();
    open.retry = null;
    const options = { allowHalfOpen: true, noDelay: true, keepAlive: true };
    const server = createServer(options, (socket) => this.#carry(socket, open));
    open.server = server;
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (open.server === server && !server.listening) this.#failed(port, open, error);
    });
    server.on("listening", () => {
      if (open.server !== server) return void server.close();
      open.failures = 0;
      if (open.problem === null) return;
      open.problem = null;
      this.#deps.changed();
    });
    const { address, listen } = this.#deps;
    if (listen === undefined) server.listen({ port, host: address });
    else listen(server, port);
  }

  #failed(port: number, open: OpenPort, error: NodeJS.ErrnoException): void {
    const { address, context, changed } = this.#deps;
    open.server = null;
    const why = error.code === "EADDRINUSE" ? "another program has it" : `the system says ${error.code ?? "no"}`;
    const message = `Port ${String(port)} on ${address} cannot be opened: ${why}. It is tried again; free it, or choose another.`;
    const isNews = open.problem?.message !== message;
    open.problem = { subject: open.route.service, code: "port_unavailable", message };
    const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(open.failures, 10));
    open.failures += 1;
    open.retry = context.clock.after(delay, () => {
      if (!this.#closed && open.server === null) this.#listen(port, open);
    });
    if (isNews) changed();
  }

  #carry(near: Socket, { route }: OpenPort): void {
    const { context, connections } = this.#deps;
    near.on("error", () => undefined); // first of all: a reset at any moment must find somebody who hears it
    if (this.#closed || connections.add(near, peerOf(near)) !== null) return void near.resetAndDestroy();
    void carryRaw(context, { near, route, ends: endsOf(near) });
  }
}
