import { isIP, type Socket } from "node:net";
import type { ConnectionOptions, SecureContext, TLSSocket } from "node:tls";
import type { Address, Policy, Protocol } from "../../../model/index.ts";
import { tls } from "../../../platform/node-tls.ts";

export type UpstreamTlsPolicy = NonNullable<Policy["upstreamTls"]>;

export interface UpstreamTlsDeps {
  readonly policy: UpstreamTlsPolicy;
  readonly protocol: Protocol;
  readonly address: Address;
}

/** What is spoken inside, as RFC 7301 names it; raw bytes name nothing. */
const ALPN: Readonly<Record<Protocol, readonly string[]>> = { http: ["http/1.1"], grpc: ["h2"], tcp: [], tls: [] };

/** By policy, so that all endpoints of a service share what costs memory. */
const contexts = new WeakMap<UpstreamTlsPolicy, SecureContext>();

/** Throws where authority or identity are no PEM, or do not belong together. */
export function upstreamContext(policy: UpstreamTlsPolicy): SecureContext {
  let context = contexts.get(policy);
  if (context === undefined) {
    const { authority, identity } = policy;
    context = tls().createSecureContext({
      minVersion: "TLSv1.2",
      ...(authority === undefined ? {} : { ca: authority }),
      ...(identity === undefined ? {} : { cert: identity, key: identity }),
    });
    contexts.set(policy, context);
  }
  return context;
}

/** TLS to one endpoint as its service asks for it: keeps the last session, so that the next connection costs no full handshake. */
export class UpstreamTls {
  readonly #deps: UpstreamTlsDeps;
  #session: Buffer | null = null;

  constructor(deps: UpstreamTlsDeps) {
    this.#deps = deps;
  }

  /** Begins TLS on a connection that nothing of the service's was said on yet. null: the service's own settings cannot be used. */
  secure(socket: Socket): TLSSocket | null {
    let secureContext: SecureContext;
    try {
      secureContext = upstreamContext(this.#deps.policy);
    } catch {
      return null; // the plane has a Problem for it
    }
    const { protocol } = this.#deps;
    const secured = tls().connect({
      socket,
      secureContext,
      ...this.#identity(),
      ALPNProtocols: [...ALPN[protocol]],
      ...(this.#session === null ? {} : { session: this.#session }),
    });
    secured.on("session", (session: Buffer) => (this.#session = session));
    secured.once("error", () => (this.#session = null)); // it may be why: the next try is a whole one
    return secured;
  }

  /** Whom to find there. `full`: the server's name, else the address itself (RFC 9525 §6.5); `authority`: anybody whom the authority vouches for. */
  #identity(): ConnectionOptions {
    const { policy, address } = this.#deps;
    const { serverName, verify } = policy;
    const host = serverName ?? ("unix" in address ? "localhost" : address.ip);
    return {
      host,
      // Server names are never addresses: RFC 6066 §3.
      ...(serverName === undefined || isIP(serverName) !== 0 ? {} : { servername: serverName }),
      rejectUnauthorized: verify !== "none",
      ...(verify === "full" ? {} : { checkServerIdentity: () => undefined }),
    };
  }
}
