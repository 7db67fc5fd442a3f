import type { Server } from "node:net";
import type { ProcessLink } from "../../../platform/process-link.ts";
import { OPEN_PORT, PORT } from "./messages.ts";

/** Listens on raw ports that the gate's process bound. */
export class PassedPorts {
  readonly #link: ProcessLink;
  /** The handle came, and its answer did not yet. */
  readonly #handles = new Map<number, unknown>();

  constructor(link: ProcessLink) {
    this.#link = link;
    link.hear(PORT, (port, handle) => void this.#handles.set(port, handle));
  }

  /** As `server.listen` does: emits `listening`, or `error` with the system's code. */
  listen(server: Server, port: number): void {
    void this.#ask(port).then((error) => {
      const handle = this.#handles.get(port);
      this.#handles.delete(port);
      if (error === null && handle !== undefined) server.listen(handle);
      else server.emit("error", Object.assign(new Error("the gate did not give this port"), { code: error ?? "EIO" }));
    });
  }

  #ask(port: number): Promise<string | null> {
    return this.#link.ask(OPEN_PORT, port, new AbortController().signal).catch(() => "ECANCELED");
  }
}
