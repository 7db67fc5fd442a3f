import type { Socket } from "node:net";
import { claimLent, isThrough } from "../lent-reads.ts";
import { LAST_CHUNK, startOfChunk } from "./say.ts";

/** How the end of an answer's body is said: not at all, by its length, by chunks, or by the end of the connection. */
export type AnswerMode = "none" | "length" | "chunked" | "close";

/** So little is put together with the head into one write; more goes out as it is, without a copy. */
const TOGETHER_MAX = 16 * 1024;

/** Writes one answer to a visitor, in as few writes as can be. */
export class AnswerWriter {
  readonly #socket: Socket;
  #mode: AnswerMode = "none";
  /** Not written yet, as latin1. */
  #held = "";

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get mode(): AnswerMode {
    return this.#mode;
  }

  /** Nothing goes out before `flush`, or a body does. */
  head(text: string, mode: AnswerMode): void {
    this.#mode = mode;
    this.#held = text;
  }

  /** false: no more before the socket has drained. */
  write(chunk: Buffer): boolean {
    if (this.#mode === "none" || chunk.length === 0) return true;
    const chunked = this.#mode === "chunked";
    if (this.#held.length + chunk.length <= TOGETHER_MAX && (chunked || this.#held !== "")) {
      const text = chunk.toString("latin1");
      claimLent(chunk)?.();
      this.#held += chunked ? `${startOfChunk(chunk.length)}${text}\r\n` : text;
      return true;
    }
    const room = chunked || this.#held !== "" ? this.#writeAround(chunk) : this.#socket.write(chunk, claimLent(chunk));
    return room || isThrough(this.#socket);
  }

  /** With what was held, and with the framing of a chunk. */
  #writeAround(chunk: Buffer): boolean {
    const chunked = this.#mode === "chunked";
    this.#socket.cork();
    if (chunked) this.#held += startOfChunk(chunk.length);
    this.flush();
    let room = this.#socket.write(chunk, claimLent(chunk));
    if (chunked) room = this.#socket.write("\r\n", "latin1");
    this.#socket.uncork();
    return room;
  }

  /** false: no more before the socket has drained. */
  flush(): boolean {
    if (this.#held === "") return true;
    const held = this.#held;
    this.#held = "";
    return this.#socket.write(held, "latin1");
  }

  /** `trailers`: field lines; only chunks have room for them. */
  end(trailers: string): void {
    if (this.#mode === "chunked") this.#held += `${LAST_CHUNK}${trailers}\r\n`;
    this.flush();
  }
}
