import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import type { Logger } from "../../../platform/logger.ts";
import type { Certificates } from "./certificates.ts";
import { SERVER_OPTIONS } from "./secure-context.ts";
import { tls } from "../../../platform/node-tls.ts";

export interface TerminatorDeps {
  readonly certificates: Certificates;
  readonly handshakeMs: number;
  readonly logger: Logger;
  /** A handshake is done. The caller owns the socket from now on, and with it the one that it went over. */
  secured(socket: TLSSocket): void;
}

/** Ends TLS: listens to nothing, connections are handed in with their ClientHello unread. */
export class Terminator {
  readonly #server: Server;

  constructor({ certificates, handshakeMs, logger, secured }: TerminatorDeps) {
    this.#server = tls().createServer({
      ...SERVER_OPTIONS,
      ...certificates.standard,
      handshakeTimeout: handshakeMs,
      ALPNProtocols: ["h2", "http/1.1"],
      ticketKeys: certificates.ticketKey,
      SNICallback(serverName, done) {
        Promise.resolve(certificates.pick(serverName.toLowerCase())).then(
          (context) => done(null, context),
          (error: unknown) => done(error as Error),
        );
      },
    });
    certificates.onChange(() => {
      this.#server.setSecureContext({ ...SERVER_OPTIONS, ...certificates.standard });
      this.#server.setTicketKeys(certificates.ticketKey);
    });
    this.#server.on("secureConnection", (socket: TLSSocket) => {
      socket.on("error", () => undefined); // `close` follows
      secured(socket);
    });
    this.#server.on("tlsClientError", (error, socket: TLSSocket) => {
      logger.debug({ err: error }, "TLS handshake failed");
      socket.destroy();
    });
  }

  take(socket: Socket): void {
    this.#server.emit("connection", socket);
  }
}
