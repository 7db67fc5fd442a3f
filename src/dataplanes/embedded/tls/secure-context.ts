import { constants, createHash } from "node:crypto";
import type { SecureContext, SecureContextOptions } from "node:tls";
import type { Pem } from "./local-authority.ts";
import { tls } from "../../../platform/node-tls.ts";

/**
 * TLS 1.3 as OpenSSL has it; of TLS 1.2 forward secrecy and authenticated encryption alone (RFC 9325 §4.2). No renegotiation: it costs the
 * server more than the client, and HTTP/2 forbids it (RFC 9113 §9.2.1).
 */
export const SERVER_OPTIONS = Object.freeze({
  minVersion: "TLSv1.2",
  ciphers: [
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  // Of all contexts the same, or sessions that began with one certificate could not go on after it was renewed.
  sessionIdContext: createHash("sha256").update("taskgate").digest("hex").slice(0, 32),
} as const satisfies SecureContextOptions);

/** Throws where certificate and key are no PEM, or do not belong together. */
export function serverContext(pem: Pem): SecureContext {
  return tls().createSecureContext({ ...SERVER_OPTIONS, ...pem });
}
