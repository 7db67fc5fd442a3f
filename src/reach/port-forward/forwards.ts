import { hash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { GatewayError } from "../../model/index.ts";
import type { Logger } from "../../platform/logger.ts";

/** A port of a pod. */
export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

export interface ForwardsDeps {
  /** A connection to it; whoever asks destroys it. Throws GatewayError. */
  readonly connect: (target: PodPort, signal: AbortSignal) => Promise<Duplex>;
  /** Folder of the sockets: nobody else's. */
  readonly folder: string;
  /** What became of the last connection to a namespace's pods; null: it came about. */
  readonly tried: (target: PodPort, failure: GatewayError | null) => void;
  readonly logger: Logger;
}

/** Sockets in all, as each is an open file, and connections in all. */
const MOST_SOCKETS = 2000;
const MOST_CONNECTIONS = 2000;
/** sun_path of unix(7) holds 104 bytes on macOS, the last of them NUL. */
const MOST_PATH_BYTES = 103;
const NAME_LENGTH = 12;

/**
 * Sockets of this machine that lead to ports of pods: one for each port, there as long as it is held. Connections outlive the socket that they came
 * by. Disposing ends all.
 */
export class Forwards implements Disposable {
  readonly #deps: ForwardsDeps;
  readonly #open = new Map<string, { readonly server: Server; holders: number }>();
  readonly #stop = new AbortController();
  #connections = 0;

  /** Throws `unavailable` where the folder's path leaves no room for sockets, or it cannot be made. */
  constructor(deps: ForwardsDeps) {
    this.#deps = deps;
    const { folder } = deps;
    const room = MOST_PATH_BYTES - Buffer.byteLength(join(folder, "x".repeat(NAME_LENGTH)));
    if (room < 0) {
      const message = `no sockets fit into ${folder}: its path is ${String(-room)} bytes too long; name another state folder (TASKGATE_HOME)`;
      throw new GatewayError("unavailable", message);
    }
    try {
      // What an earlier gate has left leads nowhere.
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new GatewayError("unavailable", `cannot make the folder ${folder}`, { cause });
    }
  }

  /** Path of the socket that leads there; `release` it as often. null: there are too many. */
  hold(target: PodPort): string | null {
    const path = this.#pathOf(target);
    const known = this.#open.get(path);
    if (known !== undefined) {
      known.holders += 1;
      return path;
    }
    if (this.#open.size >= MOST_SOCKETS) return null;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      void this.#serve(socket, target);
    });
    server.on("error", (err) => this.#deps.logger.error({ err, ...target }, "no socket for a pod's port"));
    server.listen(path);
    this.#open.set(path, { server, holders: 1 });
    return path;
  }

  release(target: PodPort): void {
    const path = this.#pathOf(target);
    const known = this.#open.get(path);
    if (known === undefined) return;
    known.holders -= 1;
    if (known.holders > 0) return;
    this.#open.delete(path);
    known.server.close();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    for (const { server } of this.#open.values()) server.close();
    this.#open.clear();
    rmSync(this.#deps.folder, { recursive: true, force: true });
  }

  #pathOf({ namespace, pod, port }: PodPort): string {
    const name = hash("sha256", `${namespace}/${pod}:${String(port)}`, "base64url").slice(0, NAME_LENGTH);
    return join(this.#deps.folder, name);
  }

  async #serve(socket: Socket, target: PodPort): Promise<void> {
    const { connect, tried, logger } = this.#deps;
    socket.on("error", () => socket.destroy());
    if (this.#connections >= MOST_CONNECTIONS) {
      logger.warn({ ...target, most: MOST_CONNECTIONS }, "too many connections through the API server");
      socket.destroy();
      return;
    }
    this.#connections += 1;
    socket.once("close", () => (this.#connections -= 1));
    const left = new AbortController();
    const leave = (): void => left.abort();
    socket.once("close", leave);
    try {
      const pod = await connect(target, AbortSignal.any([this.#stop.signal, left.signal]));
      tried(target, null);
      this.#join(socket, pod, target);
    } catch (error) {
      socket.destroy();
      if (left.signal.aborted || this.#stop.signal.aborted) return;
      logger.debug({ err: error, ...target }, "no connection to a pod");
      if (error instanceof GatewayError) tried(target, error);
    }
  }

  #join(socket: Socket, pod: Duplex, target: PodPort): void {
    const end = (): void => {
      socket.destroy();
      pod.destroy();
    };
    this.#stop.signal.addEventListener("abort", end, { once: true });
    pod.on("error", (err) => this.#deps.logger.debug({ err, ...target }, "a connection to a pod was cut"));
    pod.on("close", () => {
      this.#stop.signal.removeEventListener("abort", end);
      if (pod.readableEnded) socket.destroySoon();
      else socket.destroy();
    });
    socket.on("close", () => {
      // What came whole is to arrive.
      if (socket.readableEnded && !pod.writableFinished) pod.once("finish", () => pod.destroy());
      else pod.destroy();
    });
    if (socket.destroyed) pod.destroy();
    socket.pipe(pod);
    pod.pipe(socket);
  }
}
