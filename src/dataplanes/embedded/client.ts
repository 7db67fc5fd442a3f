import type { ConnectionEnds } from "./proxy-protocol.ts";

/** Somebody's connection, as far as requests on it need to know. */
export interface Client {
  readonly peer: string;
  readonly secure: boolean;
  /** Of its connection; absent: nobody knows. */
  readonly ends?: ConnectionEnds;
  /** Whether the certificate that it was shown would have been shown for this host as well (RFC 9110 §7.4). Absent: any host may be asked for. */
  mayAsk?(host: string): boolean;
}
