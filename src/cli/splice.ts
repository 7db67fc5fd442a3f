import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

/**
 * Carries bytes both ways until both sides have ended. Each direction ends by itself (half-close), no faster than its receiver takes it. A
 * side that breaks breaks the other: `cut` is called with it, so that a reset arrives as a reset and never as a clean end.
 */
export function splice(a: Duplex, b: Duplex, cut: (side: Duplex) => void): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let open = 2;
  const watch = (side: Duplex, other: Duplex): void => {
    // The reason is on the side that broke; "close" says that it did.
    side.on("error", () => undefined);
    side.on("close", () => {
      if (!(side.readableEnded && side.writableFinished)) cut(other);
      if (--open === 0) resolve(undefined);
    });
  };
  watch(a, b);
  watch(b, a);
  a.pipe(b);
  b.pipe(a);
  return promise;
}

/** Ends a TCP connection by RST: the peer sees an error, as it should where bytes are missing. Of TLS, which has no such thing, it just ends. */
export function resetSocket(socket: Duplex): void {
  if (socket.destroyed) return;
  if (socket instanceof Socket && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
  else socket.destroy();
}
