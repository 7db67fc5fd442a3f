import { lookup } from "node:dns/promises";
import net, { isIP } from "node:net";
import { getSystemErrorName } from "node:util";

/** A bound socket that accepts nothing in this process: the processes that it is sent to listen on it. */
export interface BoundPort extends Disposable {
  /** IP address. */
  readonly address: string;
  readonly port: number;
  /** To be sent along with a message, and listened on at the other side by `server.listen(handle)`. */
  readonly handle: object;
}

interface Handle {
  getsockname(into: { address?: string; port?: number }): number;
  close(): void;
}

/**
 * Node's own `cluster` makes the sockets that it shares by this function. The documented way, a `net.Server`, cannot be kept open without
 * accepting, and whoever accepts here would hold connections that no worker sees.
 */
const { _createServerHandle: createHandle } = net as unknown as {
  _createServerHandle(address: string, port: number, addressType: 4 | 6): Handle | number;
};

/**
 * Binds `host` (a name or an IP address) and `port` (0: a free one). Throws an error with the system's `code`: `EADDRINUSE` for one that
 * somebody listens on. As long as nobody listens on it, connections are refused; from then on they wait for whoever accepts, also while
 * no worker is there. Disposing gives it up.
 */
export async function bindPort(host: string, port: number): Promise<BoundPort> {
  const address = isIP(host) === 0 ? (await lookup(host)).address : host;
  const handle = createHandle(address, port, isIP(address) === 6 ? 6 : 4);
  if (typeof handle === "number") throw systemError(handle, address, port);
  const name: { address?: string; port?: number } = {};
  const status = handle.getsockname(name); // what is wrong with an address shows only here
  if (status !== 0 || name.address === undefined || name.port === undefined) {
    handle.close();
    throw systemError(status, address, port);
  }
  return { handle, address: name.address, port: name.port, [Symbol.dispose]: () => handle.close() };
}

function systemError(status: number, address: string, port: number): NodeJS.ErrnoException {
  const code = status < 0 ? getSystemErrorName(status) : "EINVAL";
  return Object.assign(new Error(`bind ${code} ${address}:${String(port)}`), { code, address, port });
}
