import { createConnection, createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { start, type Started, stop } from "../machine.ts";

/** Backends, each at a port of loopback. */
export interface Backends {
  /** HTTP/1.1: small answers, large ones, uploads, WebSocket. */
  readonly http: number;
  /** HTTP/2 with prior knowledge: gRPC. */
  readonly grpc: number;
  /** Bytes. */
  readonly tcp: number;
}

/** What a peer has a port for. */
export type Kind = keyof Backends;

/** A proxy that runs. */
export interface Running {
  /** Of its first process, whose children count as its own. */
  readonly pid: number;
  /** Where it listens, by what it carries; the same port may carry several. */
  readonly ports: Readonly<Record<Kind, number>>;
  /** What its clients name, HOST:PORT. */
  authority(kind: Kind): string;
  /** Cookie NAME=VALUE that its requests carry, or null. */
  readonly session: string | null;
}

export interface Peer {
  readonly name: string;
  readonly kinds: readonly Kind[];
  /** Whether its HTTP port speaks HTTP/2 by prior knowledge. */
  readonly http2: boolean;
  /** The one suite that measures it without being told to. */
  readonly ofSuite?: string;
  /** Fetches what it needs, told on standard error; `build`: even if that takes minutes. Throws, saying why it cannot be had. */
  prepare(build: boolean): Promise<void>;
  /** Leads its ports to the backends. `folder` is its own; the process is the bench's to end. */
  start(backends: Backends, folder: string): Promise<Running>;
}

const READY_MS = 20_000;
const POLL_MS = 50;

/** Starts a proxy and waits until all its ports take connections. Throws with its last words. */
export async function startProxy(command: readonly string[], ports: readonly number[]): Promise<Started> {
  const process = start("proxy", command);
  await ready(process, ports, command[0] ?? "");
  return process;
}

/** Waits until all ports take connections. Throws with the process's last words where they do not, having ended it. */
export async function ready(process: Started, ports: readonly number[], name: string): Promise<void> {
  const end = performance.now() + READY_MS;
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (!process.running() || performance.now() > end) {
        await stop(process);
        throw new Error(`${name} does not listen at port ${port}:\n${process.lastWords()}`);
      }
      await setTimeout(POLL_MS);
    }
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Ports of loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
