import { isIP } from "node:net";
import type { Address, Policy, Problem, Route } from "../../../model/index.ts";
import { tls } from "../../../platform/node-tls.ts";
import { pack } from "../proto/kit.ts";
import type { Cluster } from "../proto/tables/cluster.ts";
import type { TransportSocket } from "../proto/tables/core.ts";
import {
  ProxyProtocolUpstreamTransport,
  RawBuffer,
  UpstreamTlsContext,
  type CertificateValidationContext,
  type CommonTlsContext,
  type Secret,
  type SubjectAltNameMatcher,
} from "../proto/tables/tls.ts";
import { extension, FROM_GATE } from "./envoy-json.ts";
import { GATE_MATCH } from "./load-assignment.ts";

type UpstreamTls = NonNullable<Policy["upstreamTls"]>;

/** What is spoken inside, as RFC 7301 names it; raw bytes name nothing. */
const ALPN = { http: ["http/1.1"], grpc: ["h2"], tcp: [], tls: [] } as const;
const RAW: TransportSocket = extension("envoy.transport_sockets.raw_buffer", RawBuffer, {});
/** Secret of the authorities that are believed where a service names none. */
export const AUTHORITIES = "authorities";

/** What is between Envoy and the endpoints of a cluster, where that is not the bytes alone. The gate itself is dialled without. */
export function upstreamSocket(route: Route, addresses: readonly Address[]): Partial<Cluster> {
  const { policy } = route;
  const asked = tlsOf(route);
  if (asked === undefined && policy.proxyProtocol === undefined) return {};
  const inner = asked === undefined ? RAW : tlsSocket(asked, route, addresses);
  return {
    transportSocketMatches: [{ name: "gate", match: GATE_MATCH, transportSocket: RAW }],
    transportSocket: policy.proxyProtocol === undefined ? inner : proxied(policy.proxyProtocol, inner),
  };
}

/** The certificate must name the endpoint's address: so the cluster follows from its endpoints, too. */
export function namesAddresses(route: Pick<Route, "policy" | "protocol">): boolean {
  const asked = tlsOf(route);
  return asked?.verify === "full" && asked.serverName === undefined;
}

/** TLS that Envoy begins; undefined: none, also where the service ends what its visitors began. */
function tlsOf({ policy, protocol }: Pick<Route, "policy" | "protocol">): UpstreamTls | undefined {
  return protocol === "tls" ? undefined : policy.upstreamTls;
}

/** What is wrong with the certificates that a service names; null: nothing, or it names none. */
export function unusableTls(route: Route): Problem | null {
  const { authority, identity } = tlsOf(route) ?? {};
  if (authority === undefined && identity === undefined) return null;
  try {
    tls().createSecureContext({
      ...(authority === undefined ? {} : { ca: authority }),
      ...(identity === undefined ? {} : { cert: identity, key: identity }),
    });
    return null;
  } catch {
    const message =
      "policy.upstreamTls cannot be used: expected certificates in PEM as authority, and a chain with its private key as identity.";
    return { subject: route.service, code: "upstream_tls_unusable", message };
  }
}

/** The authorities that Node knows. */
export function authoritiesSecret(): Secret {
  return { name: AUTHORITIES, validationContext: { trustedCa: { inlineString: tls().rootCertificates.join("\n") } } };
}

function proxied(version: "v1" | "v2", transportSocket: TransportSocket): TransportSocket {
  return extension("envoy.transport_sockets.upstream_proxy_protocol", ProxyProtocolUpstreamTransport, {
    config: { version: version === "v1" ? "V1" : "V2" },
    transportSocket,
  });
}

function tlsSocket(asked: UpstreamTls, { protocol }: Route, addresses: readonly Address[]): TransportSocket {
  const { serverName, identity } = asked;
  const alpn = ALPN[protocol];
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: pack(UpstreamTlsContext, {
      // Server names are never addresses: RFC 6066 §3.
      ...(serverName !== undefined && isIP(serverName) === 0 && { sni: serverName }),
      commonTlsContext: {
        tlsParams: { tlsMinimumProtocolVersion: "TLSv1_2", tlsMaximumProtocolVersion: "TLSv1_3" },
        ...(alpn.length > 0 && { alpnProtocols: alpn }),
        ...(identity !== undefined && { tlsCertificates: [certificateOf(identity)] }),
        ...validation(asked, addresses),
      },
    }),
  };
}

function certificateOf(pem: string) {
  const blocks = pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];
  const isKey = (block: string) => block.slice(0, block.indexOf("\n")).includes(" KEY-----");
  const text = (wanted: boolean) => `${blocks.filter((block) => isKey(block) === wanted).join("\n")}\n`;
  return { certificateChain: { inlineString: text(false) }, privateKey: { inlineString: text(true) } };
}

function validation(asked: UpstreamTls, addresses: readonly Address[]): CommonTlsContext {
  if (asked.verify === "none") return {};
  const names = asked.verify === "full" ? { matchTypedSubjectAltNames: namesFor(asked.serverName, addresses) } : {};
  const context: CertificateValidationContext = {
    ...(asked.authority !== undefined && { trustedCa: { inlineString: asked.authority } }),
    ...names,
  };
  if (asked.authority !== undefined) return { validationContext: context };
  return {
    combinedValidationContext: {
      defaultValidationContext: context,
      validationContextSdsSecretConfig: { name: AUTHORITIES, sdsConfig: FROM_GATE },
    },
  };
}

/** Whom to find there: the server's name, else the address itself (RFC 9525 §6.5). */
function namesFor(serverName: string | undefined, addresses: readonly Address[]): SubjectAltNameMatcher[] {
  const own = addresses.map((address) => ("unix" in address ? "localhost" : address.ip));
  const names = serverName === undefined ? [...new Set(own)] : [serverName];
  // Nobody's certificate names nothing: without an endpoint there is no one to believe.
  return (names.length === 0 ? ["invalid."] : names).map((name) => ({
    sanType: isIP(name) === 0 ? "DNS" : "IP_ADDRESS",
    matcher: { exact: name },
  }));
}
