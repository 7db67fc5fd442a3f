import { Secret } from "../secret.ts";
import type { TextSource } from "./text-source.ts";

/** What one call shows of who it comes from. */
export interface Credential {
  /** Value of the header of that name. */
  readonly authorization?: Secret;
  /** PEM: certificate chain and key of the client, for the TLS handshake. */
  readonly certificate?: { readonly chain: string; readonly key: Secret };
}

/** Who the client is; what it shows may change with time. */
export interface Credentials {
  /** Throws `unavailable`. */
  get(signal: AbortSignal): Promise<Credential>;
  /** The server did not know whoever showed that: the next `get` looks for something newer. */
  refused(credential: Credential): void;
}

export interface CredentialSources {
  readonly token?: TextSource;
  readonly certificate?: { readonly chain: TextSource; readonly key: TextSource };
  readonly basic?: { readonly user: string; readonly password: Secret };
}

/** Credentials that are written down somewhere: all that are given are shown. */
export function writtenCredentials({ token, certificate, basic }: CredentialSources): Credentials {
  const sources = [token, certificate?.chain, certificate?.key].filter((source) => source !== undefined);
  return {
    async get() {
      const authorization = await authorizationOf(token, basic);
      return {
        ...(authorization === null ? {} : { authorization: new Secret(authorization) }),
        ...(certificate === undefined
          ? {}
          : {
              certificate: {
                chain: await certificate.chain.read(),
                key: new Secret(await certificate.key.read()),
              },
            }),
      };
    },
    refused() {
      for (const source of sources) source.refused();
    },
  };
}

async function authorizationOf(token: TextSource | undefined, basic: CredentialSources["basic"]) {
  if (token !== undefined) return `Bearer ${(await token.read()).trim()}`;
  if (basic === undefined) return null;
  return `Basic ${Buffer.from(`${basic.user}:${basic.password.reveal()}`).toString("base64")}`;
}
