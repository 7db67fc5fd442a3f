import type { Socket } from "node:net";
import type { ConnectionEnds } from "./proxy-protocol.ts";

/** IP address of who connected. IPv4 as such, also where the listener is an IPv6 one. */
export function peerOf(socket: Socket): string {
  return plainIp(socket.remoteAddress ?? "unknown");
}

/** Both ends of a connection as the system knows them. */
export function endsOf(socket: Socket): ConnectionEnds {
  return {
    source: { ip: peerOf(socket), port: socket.remotePort ?? 0 },
    destination: { ip: plainIp(socket.localAddress ?? "unknown"), port: socket.localPort ?? 0 },
  };
}

function plainIp(ip: string): string {
  return ip.replace(/^::ffff:(?=\d+\.)/, "");
}
