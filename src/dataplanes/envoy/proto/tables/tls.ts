import { bool, boolValue, duration, enumeration, field, map, message, repeated, string, uint32Value } from "../kit.ts";
import type { Value } from "../kit.ts";
import { DataSource, TransportSocket, TypedExtensionConfig, WatchedDirectory } from "./core.ts";
import { StringMatcher } from "./matcher.ts";
import { ConfigSource } from "./config-source.ts";
import { ProxyProtocolConfig } from "./address.ts";

/** Transport sockets: TLS and its secrets, QUIC, plain, and the PROXY protocol to upstreams. */

/** envoy.extensions.transport_sockets.tls.v3.TlsParameters.TlsProtocol. */
export const TlsProtocol = { TLS_AUTO: 0, TLSv1_0: 1, TLSv1_1: 2, TLSv1_2: 3, TLSv1_3: 4 } as const;

export const TlsParameters = message("envoy.extensions.transport_sockets.tls.v3.TlsParameters", {
  tlsMinimumProtocolVersion: enumeration(1, TlsProtocol),
  tlsMaximumProtocolVersion: enumeration(2, TlsProtocol),
  cipherSuites: repeated(string(3)),
  ecdhCurves: repeated(string(4)),
  signatureAlgorithms: repeated(string(5)),
  compliancePolicies: repeated(enumeration(6, { FIPS_202205: 0 })),
});
export type TlsParameters = Value<typeof TlsParameters>;

export const TlsCertificate = message("envoy.extensions.transport_sockets.tls.v3.TlsCertificate", {
  certificateChain: field(1, DataSource),
  privateKey: field(2, DataSource),
  pkcs12: field(8, DataSource),
  watchedDirectory: field(7, WatchedDirectory),
  password: field(3, DataSource),
  ocspStaple: field(4, DataSource),
  tlsParams: field(9, TlsParameters),
});
export type TlsCertificate = Value<typeof TlsCertificate>;

export const TlsSessionTicketKeys = message("envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys", {
  keys: repeated(field(1, DataSource)),
});
export type TlsSessionTicketKeys = Value<typeof TlsSessionTicketKeys>;

export const SubjectAltNameMatcher = message("envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher", {
  sanType: enumeration(1, { SAN_TYPE_UNSPECIFIED: 0, EMAIL: 1, DNS: 2, URI: 3, IP_ADDRESS: 4, OTHER_NAME: 5 }),
  matcher: field(2, StringMatcher),
  oid: string(3),
});
export type SubjectAltNameMatcher = Value<typeof SubjectAltNameMatcher>;

export const CertificateValidationContext = message(
  "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext",
  {
    trustedCa: field(1, DataSource),
    watchedDirectory: field(11, WatchedDirectory),
    verifyCertificateSpki: repeated(string(3)),
    verifyCertificateHash: repeated(string(2)),
    matchTypedSubjectAltNames: repeated(field(15, SubjectAltNameMatcher)),
    crl: field(7, DataSource),
    allowExpiredCertificate: bool(8),
    trustChainVerification: enumeration(10, { VERIFY_TRUST_CHAIN: 0, ACCEPT_UNTRUSTED: 1 }),
    customValidatorConfig: field(12, TypedExtensionConfig),
    onlyVerifyLeafCertCrl: bool(14),
    maxVerifyDepth: uint32Value(16),
    suppressClientCaList: bool(18),
  },
);
export type CertificateValidationContext = Value<typeof CertificateValidationContext>;

export const GenericSecret = message("envoy.extensions.transport_sockets.tls.v3.GenericSecret", {
  secret: field(1, DataSource),
  secrets: map(field(2, DataSource)),
});
export type GenericSecret = Value<typeof GenericSecret>;

export const SdsSecretConfig = message("envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig", {
  name: string(1),
  sdsConfig: field(2, ConfigSource),
});
export type SdsSecretConfig = Value<typeof SdsSecretConfig>;

export const Secret = message("envoy.extensions.transport_sockets.tls.v3.Secret", {
  name: string(1),
  tlsCertificate: field(2, TlsCertificate),
  sessionTicketKeys: field(3, TlsSessionTicketKeys),
  validationContext: field(4, CertificateValidationContext),
  genericSecret: field(5, GenericSecret),
});
export type Secret = Value<typeof Secret>;

export const CombinedCertificateValidationContext = message(
  "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext",
  {
    defaultValidationContext: field(1, CertificateValidationContext),
    validationContextSdsSecretConfig: field(2, SdsSecretConfig),
  },
);
export type CombinedCertificateValidationContext = Value<typeof CombinedCertificateValidationContext>;

export const CommonTlsContext = message("envoy.extensions.transport_sockets.tls.v3.CommonTlsContext", {
  tlsParams: field(1, TlsParameters),
  tlsCertificates: repeated(field(2, TlsCertificate)),
  tlsCertificateSdsSecretConfigs: repeated(field(6, SdsSecretConfig)),
  customTlsCertificateSelector: field(16, TypedExtensionConfig),
  validationContext: field(3, CertificateValidationContext),
  validationContextSdsSecretConfig: field(7, SdsSecretConfig),
  combinedValidationContext: field(8, CombinedCertificateValidationContext),
  alpnProtocols: repeated(string(4)),
  customHandshaker: field(13, TypedExtensionConfig),
});
export type CommonTlsContext = Value<typeof CommonTlsContext>;

export const UpstreamTlsContext = message("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
  commonTlsContext: field(1, CommonTlsContext),
  sni: string(2),
  autoHostSni: bool(6),
  autoSniSanValidation: bool(7),
  allowRenegotiation: bool(3),
  maxSessionKeys: uint32Value(4),
});
export type UpstreamTlsContext = Value<typeof UpstreamTlsContext>;

export const DownstreamTlsContext = message("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
  commonTlsContext: field(1, CommonTlsContext),
  requireClientCertificate: boolValue(2),
  sessionTicketKeys: field(4, TlsSessionTicketKeys),
  sessionTicketKeysSdsSecretConfig: field(5, SdsSecretConfig),
  disableStatelessSessionResumption: bool(7),
  disableStatefulSessionResumption: bool(10),
  sessionTimeout: duration(6),
  ocspStaplePolicy: enumeration(8, { LENIENT_STAPLING: 0, STRICT_STAPLING: 1, MUST_STAPLE: 2 }),
  fullScanCertsOnSniMismatch: boolValue(9),
  preferClientCiphers: bool(11),
});
export type DownstreamTlsContext = Value<typeof DownstreamTlsContext>;

export const QuicDownstreamTransport = message("envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport", {
  downstreamTlsContext: field(1, DownstreamTlsContext),
  enableEarlyData: boolValue(2),
  enableResumption: boolValue(3),
});
export type QuicDownstreamTransport = Value<typeof QuicDownstreamTransport>;

export const RawBuffer = message("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer", {});

export const ProxyProtocolUpstreamTransport = message(
  "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
  {
    config: field(1, ProxyProtocolConfig),
    transportSocket: field(2, TransportSocket),
  },
);
export type ProxyProtocolUpstreamTransport = Value<typeof ProxyProtocolUpstreamTransport>;
