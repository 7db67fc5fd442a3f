import type { Socket } from "node:net";

/** So much is taken in before it is known where it goes. */
const EARLY_MAX = 64 * 1024;

/**
 * Reads what a visitor sends while its change of protocols is not decided yet: only who reads notices that a visitor left. One that ends
 * its side that early is taken for gone. The call gives all that came, `head` first, and leaves the socket paused for who reads on.
 */
export function readEarly(socket: Socket, head: Buffer): () => Buffer {
  const chunks = [head];
  let length = head.length;
  const hold = (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > EARLY_MAX) socket.pause();
  };
  const leave = () => socket.destroy();
  socket.on("data", hold);
  socket.once("end", leave);
  return () => {
    socket.off("data", hold).off("end", leave).pause();
    return Buffer.concat(chunks.splice(0));
  };
}
