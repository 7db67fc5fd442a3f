import type { ConnectionEnds } from "./proxy-protocol.ts";

/** Somebody's connection, as far as requests on it need to know. */
export interface Client {
  readonly peer: string;
  readonly secure: boolean;
  /** Where it is a front whose word counts: for whom it asks, by its X-Forwarded-For. */
  readonly visitor?: ((chain: string | undefined) => string) | undefined;
  /** Of its connection; absent: nobody knows. */
  readonly ends?: ConnectionEnds;
  /** Whether the certificate that it was shown would have been shown for this host as well (RFC 9110 §7.4). Absent: any host may be asked for. */
  mayAsk?(host: string): boolean;
}

/** Who asks, by whom: `front` undefined where it is who connected. */
export function askerOf(
  { peer, visitor }: Client,
  header: (name: string) => string | undefined,
): { readonly peer: string; readonly front: string | undefined } {
  return visitor === undefined ? { peer, front: undefined } : { peer: visitor(header("x-forwarded-for")), front: peer };
}
