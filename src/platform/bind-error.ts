import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { type ErrorCode, GatewayError, hostPort } from "../model/index.ts";

const REASONS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  EADDRINUSE: ["conflict", "is taken by another program"],
  EACCES: ["denied", "may not be used by this user"],
  EADDRNOTAVAIL: ["bad_request", "is no address of this machine"],
};

/** Why an address cannot be listened on, `key` being the one of the configuration that names it: `conflict`, `denied` or `bad_request`. */
export function bindError(
  key: string,
  address: { readonly host: string; readonly port: number },
  cause: NodeJS.ErrnoException,
): GatewayError {
  const [code, words] = REASONS[cause.code ?? ""] ?? ["bad_request", "cannot be listened on"];
  return new GatewayError(code, `${key}: ${hostPort(address.host, address.port)} ${words}`, { cause });
}

/** Where `server` listens from now on. Throws what `bindError` says of `address`; later errors of the server are the caller's to hear. */
export async function listenAt(
  server: Server,
  key: string,
  address: { readonly host: string; readonly port: number; readonly exclusive?: boolean },
): Promise<AddressInfo> {
  try {
    server.listen(address);
    await once(server, "listening");
  } catch (cause) {
    throw bindError(key, address, cause as NodeJS.ErrnoException);
  }
  return server.address() as AddressInfo;
}
