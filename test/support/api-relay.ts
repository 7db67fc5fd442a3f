import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A port of this machine whose connections go to a server, until they are held up or cut. Disposing cuts them, and takes no more. */
export class ApiRelay implements Disposable {
  readonly #listener: Server;
  readonly #near = new Set<Socket>();
  readonly #far = new Set<Socket>();
  #isHeld = false;

  private constructor({ hostname, port }: URL) {
    this.#listener = createServer((near) => {
      const far = connect(Number(port), hostname);
      this.#keep(this.#near, near).on("close", () => far.destroy());
      this.#keep(this.#far, far).on("close", () => {
        if (!this.#isHeld) near.destroy();
      });
      near.pipe(far, { end: false });
      far.pipe(near, { end: false });
    });
  }

  /** `server`: base URL. */
  static async start(server: string): Promise<ApiRelay> {
    const relay = new ApiRelay(new URL(server));
    relay.#listener.listen(0, "127.0.0.1");
    await once(relay.#listener, "listening");
    return relay;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** From now on nothing comes of those that are open, and they stay so, whatever becomes of the server. */
  hold(): void {
    this.#isHeld = true;
    for (const far of this.#far) far.unpipe().pause();
  }

  /** Ends what was held; others go through again. */
  release(): void {
    this.#isHeld = false;
    this.#cut();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.release();
  }

  #cut(): void {
    for (const socket of [...this.#near, ...this.#far]) socket.destroy();
  }

  #keep(sockets: Set<Socket>, socket: Socket): Socket {
    sockets.add(socket);
    return socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  }
}
