import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { PodWriter } from "../../testbed/kubernetes/written-pods.ts";
import type { TestGate } from "./gate.ts";

const TICK_MS = 50;
/** A text frame without mask (RFC 6455, section 5.2). */
const TICK = Buffer.from("\x81\x04tick", "latin1");

/** Something that answers with its name and takes WebSockets, here, for pods that a generator writes. */
export class WrittenJob implements AsyncDisposable {
  readonly name: string;
  readonly ip: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(name: string, ip: string, server: Server) {
    this.name = name;
    this.ip = ip;
    this.#server = server;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
      const timer = setInterval(() => socket.write(TICK), TICK_MS);
      socket.on("error", () => undefined).on("close", () => clearInterval(timer)).resume(); // prettier-ignore
    });
  }

  /** At an address of this machine that pods may have: not the loopback's. */
  static async start(name: string, ip: string): Promise<WrittenJob> {
    const server = createServer((_request, response) => response.end(name)).listen(0, ip);
    await once(server, "listening");
    return new WrittenJob(name, ip, server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Writes a ready pod that is this. */
  async create(writer: PodWriter, pod: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = { "taskgate.dev/enabled": "true", ...annotations };
    await writer.create(pod, { annotations: all, ip: this.ip, port: this.port, isReady: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** Asks tasks in turn, without an end; what was not answered as it should be is in `faults`. */
export function startLoad(gate: TestGate, tasks: readonly string[], body: string) {
  const stop = new AbortController();
  const faults: string[] = [];
  let answered = 0;
  const running = (async () => {
    while (!stop.signal.aborted) {
      for (const task of tasks) {
        const said = await gate.ask(`${task}.localhost`, "/").then(
          (answer) => `${String(answer.status)} ${answer.body}`,
          (error: unknown) => String(error),
        );
        if (said === `200 ${body}`) answered += 1;
        else faults.push(`${task}: ${said}`);
        await sleep(10);
      }
    }
  })();
  return {
    faults,
    get answered() {
      return answered;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
