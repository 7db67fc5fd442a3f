import type { HeaderFields, Principal, RequestHead } from "../../model/index.ts";

/** Somebody who showed who they are, and how long that is good. */
export interface Authenticated {
  readonly principal: Principal;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Public name of the credential, by which it is revoked: letters, digits and dashes. Absent: one is derived from what was sent. */
  readonly id?: string;
  /** Response headers that the visitor gets. */
  readonly respond?: HeaderFields;
}

/** Turns credentials into a Principal. */
export interface Authenticator {
  readonly name: string;
  /** Of the identities that it vouches for. */
  readonly realm: string;
  /** Names (lower case) of headers in this request that hold credentials of its kind: removed before a job sees it, even when refused. */
  recognises(head: RequestHead): readonly string[];
  /** null: nothing of mine. Throws GatewayError `unauthenticated` (wrong, expired) or `unavailable`, which are never mixed up. */
  authenticate(head: RequestHead, signal: AbortSignal): Promise<Authenticated | null>;
  /** WWW-Authenticate. */
  readonly challenge?: string;
  /** Where a browser goes to log in. */
  begin?(returnTo: URL): URL;
}
