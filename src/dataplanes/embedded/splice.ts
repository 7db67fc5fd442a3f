import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { isTlsSocket } from "../../platform/node-tls.ts";
import { Tunnel } from "./http2/tunnel.ts";
import { carryOneWay } from "./one-way.ts";

export interface SpliceInput {
  /** Towards the visitor. */
  readonly near: Duplex;
  /** Towards the job. */
  readonly far: Duplex & Pick<Socket, "setTimeout">;
  /** Already read from the visitor. */
  readonly nearHead?: Buffer;
  /** Already read from the job. */
  readonly farHead?: Buffer;
  /** Longest silence on both ways together. */
  readonly idleMs: number;
  readonly counted: { bytesIn: number; bytesOut: number; largestIn: number };
}

/**
 * Joins two connections until both are done: backpressure both ways, an end passed on as an end (half-close), a break as a break. Resolves
 * once both are closed; never rejects.
 */
export function splice({ near, far, nearHead, farHead, idleMs, counted }: SpliceInput): Promise<void> {
  const ended = { near: near.readableEnded, far: far.readableEnded };
  near.on("error", () => undefined); // `close` follows and does what there is to do
  far.on("error", () => undefined);
  if (nearHead !== undefined && nearHead.length > 0) far.write(nearHead);
  if (farHead !== undefined && farHead.length > 0) near.write(farHead);
  const came = (bytes: number): void => {
    counted.bytesIn += bytes;
    if (bytes > counted.largestIn) counted.largestIn = bytes;
  };
  came(nearHead?.length ?? 0);
  counted.bytesOut += farHead?.length ?? 0;
  near.once("end", () => (ended.near = true));
  far.once("end", () => (ended.far = true));
  // One clock is enough: every byte either way passes the far socket.
  far.setTimeout(idleMs, () => {
    near.destroy();
    far.destroy();
  });
  carryOneWay({ from: near, to: far, count: came });
  carryOneWay({ from: far, to: near, count: (bytes) => (counted.bytesOut += bytes) });
  return Promise.all([closed(near, far, () => ended.near), closed(far, near, () => ended.far)]).then(() => undefined);
}

function closed(one: Duplex, other: Duplex, ended: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const close = () => {
      // After an end the other side may still be sending or reading what was sent; after a break there is nobody left.
      if (!ended() || !one.writableFinished) breakOff(other);
      resolve();
    };
    if (one.closed || one.destroyed) close();
    else one.once("close", close);
  });
}

function breakOff(stream: Duplex): void {
  if (stream.destroyed) return;
  // A reset in the midst of an end fails in libuv, and node then keeps the descriptor for ever.
  const ending = stream.writableEnded && !stream.writableFinished;
  if (stream instanceof Socket && !isTlsSocket(stream) && !ending) stream.resetAndDestroy();
  else if (stream instanceof Tunnel) stream.breakOff();
  else stream.destroy();
}
