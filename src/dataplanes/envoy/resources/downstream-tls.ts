import type { Certificate } from "../../../model/index.ts";
import type { TransportSocket } from "../proto/tables/core.ts";
import {
  DownstreamTlsContext,
  QuicDownstreamTransport,
  type DownstreamTlsContext as TlsContext,
  type Secret,
} from "../proto/tables/tls.ts";
import { extension, FROM_GATE } from "./envoy-json.ts";

/** Of TLS 1.2 forward secrecy and authenticated encryption alone (RFC 9325 §4.2); TLS 1.3 is as it is. */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** Secret of one of the gate's certificates: the first is for who names no server that another one is for. */
export function certificateName(index: number): string {
  return `certificate/${String(index)}`;
}

export function certificateSecret(index: number, { chain, key }: Certificate): Secret {
  return {
    name: certificateName(index),
    tlsCertificate: { certificateChain: { inlineString: chain }, privateKey: { inlineString: key } },
  };
}

/** TLS that Envoy ends. Certificates change without the listener: they are named, and come on their own. */
export function tlsSocket(certificates: number): TransportSocket {
  return extension("envoy.transport_sockets.tls", DownstreamTlsContext, {
    ...tlsContext(certificates, ["h2", "http/1.1"]),
    // A visitor who names nobody that a certificate is for gets the first one, and may go on if it likes.
    fullScanCertsOnSniMismatch: false,
  });
}

/** The same for HTTP/3. */
export function quicSocket(certificates: number): TransportSocket {
  return extension("envoy.transport_sockets.quic", QuicDownstreamTransport, {
    downstreamTlsContext: tlsContext(certificates, ["h3"]),
  });
}

function tlsContext(certificates: number, alpnProtocols: string[]): TlsContext {
  return {
    commonTlsContext: {
      tlsParams: { tlsMinimumProtocolVersion: "TLSv1_2", tlsMaximumProtocolVersion: "TLSv1_3", cipherSuites: CIPHERS },
      alpnProtocols,
      tlsCertificateSdsSecretConfigs: Array.from({ length: certificates }, (_, index) => ({
        name: certificateName(index),
        sdsConfig: FROM_GATE,
      })),
    },
  };
}
