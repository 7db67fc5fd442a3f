import type * as loaded from "node:tls";

/** Node's `tls`, loaded when the first TLS connection is wanted: 3 MiB, which not every process needs. */
export function tls(): typeof loaded {
  return process.getBuiltinModule("node:tls");
}

/** Whether a socket speaks TLS, without loading what would make it. */
export function isTlsSocket(socket: object): socket is loaded.TLSSocket {
  return "encrypted" in socket && socket.encrypted === true;
}
