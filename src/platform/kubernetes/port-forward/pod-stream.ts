import { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { GatewayError } from "../../../model/index.ts";
import { dataFrame, pingFrame, type SpdyFrame, SpdyOpener, SpdyReader } from "./spdy.ts";

const ERROR_STREAM = 1;
const DATA_STREAM = 3;
const MOST_ERROR_BYTES = 4096;
/** Frames are as large as what one read of a socket gives. */
const HIGH_WATER_MARK = 64 * 1024;

/**
 * A connection to a port of a pod, through its API server and kubelet: what kubectl port-forward has for each, alone on a WebSocket, as streams
 * that share one hold each other up. That this side ended the pod hears when the stream is destroyed: container runtimes take the end of one
 * direction for that of both, and cut the answer off a second later. Emits `unavailable` with what the kubelet says where nobody listens.
 * Destroying it ends the WebSocket.
 */
export class PodStream extends Duplex {
  readonly #socket: WebSocket;
  readonly #reader = new SpdyReader();
  readonly #errors: Buffer[] = [];
  #errorBytes = 0;
  #hasBytes = false;
  #hasEnded = false;

  constructor(socket: WebSocket, port: number) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER_MARK });
    this.#socket = socket;
    socket.on("message", (message: Buffer) => this.#hear(message));
    socket.on("close", () => this.#lost());
    socket.on("error", () => this.#lost());
    const opener = new SpdyOpener();
    const headers = { port: String(port), requestid: "0" };
    socket.send(
      Buffer.concat([
        opener.open(ERROR_STREAM, { ...headers, streamtype: "error" }),
        dataFrame(ERROR_STREAM, Buffer.alloc(0), true),
        opener.open(DATA_STREAM, { ...headers, streamtype: "data" }),
      ]),
    );
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.send(dataFrame(DATA_STREAM, chunk), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // By a close frame the API server knows at once; whoever does not answer it is cut off by the library.
    this.#socket.close();
    done(error);
  }

  #hear(message: Buffer): void {
    if (this.destroyed) return;
    try {
      for (const frame of this.#reader.push(message)) this.#take(frame);
    } catch (error) {
      this.destroy(new GatewayError("unavailable", "what came through the API server is no SPDY", { cause: error }));
    }
  }

  #take(frame: SpdyFrame): void {
    if (frame.kind === "ping") this.#socket.send(pingFrame(frame.id));
    else if (frame.kind === "goAway" || (frame.kind === "reset" && frame.stream === DATA_STREAM)) this.#lost();
    else if (frame.kind !== "data") return;
    else if (frame.stream === ERROR_STREAM) this.#takeError(frame.bytes, frame.isLast);
    else if (frame.stream === DATA_STREAM) this.#takeData(frame.bytes, frame.isLast);
  }

  #takeData(bytes: Buffer, isLast: boolean): void {
    if (this.#hasEnded) return;
    this.#hasBytes ||= bytes.length > 0;
    if (bytes.length > 0 && !this.push(bytes)) this.#socket.pause();
    if (!isLast) return;
    this.#hasEnded = true;
    // Where nobody listens the end comes before the reason.
    if (this.#hasBytes) this.push(null);
  }

  #takeError(bytes: Buffer, isLast: boolean): void {
    if (this.#errorBytes < MOST_ERROR_BYTES) this.#errors.push(bytes);
    this.#errorBytes += bytes.length;
    if (!isLast) return;
    const said = Buffer.concat(this.#errors).subarray(0, MOST_ERROR_BYTES).toString();
    if (said !== "") this.destroy(new GatewayError("unavailable", said.replace(/\p{Cc}+/gu, " ").trim()));
    else if (this.#hasEnded && !this.#hasBytes) this.push(null);
  }

  #lost(): void {
    if (this.#hasEnded && this.#hasBytes) this.destroy();
    else this.destroy(new GatewayError("unavailable", "the connection through the API server was cut"));
  }
}
