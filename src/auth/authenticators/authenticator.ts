import type { HeaderFields, Principal, RequestHead } from "../../model/index.ts";
import type { CredentialForm } from "./credential-forms.ts";

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
  /** What `recognises` goes by, for worker processes. */
  readonly forms: readonly CredentialForm[];
  /** Names (lower case) of headers in this request that hold credentials of its kind: removed before a job sees it, even when refused. */
  recognises(head: RequestHead): readonly string[];
  /** null: nothing of mine. Throws GatewayError `unauthenticated` (wrong, expired) or `unavailable`, which are never mixed up. */
  authenticate(head: RequestHead, signal: AbortSignal): Promise<Authenticated | null>;
  /** How long (ms) an answer may be kept and shared. 0: never, each credential is good for one request. Absent: 5 s. */
  readonly keepMs?: number;
  /** WWW-Authenticate. */
  readonly challenge?: string;
  /** A browser that gets the challenge asks the person at it for a password, on whatever page: it is for programs alone. */
  readonly challengesPeople?: boolean;
  /** What WWW-Authenticate says besides to programs on the gate's own host: what they would show elsewhere is not for whoever is there. */
  readonly challengeAtGate?: string;
  /** How people at a browser log in; absent: only programs do. */
  readonly interactive?: Interactive;
  /** Who somebody of its realm is today, where it knows that by itself; null: nobody any more. */
  current?(principal: Principal): Principal | null;
  /** Tells whose credentials count no more from now on: what came of them ends at once. Absent: that is never known. */
  observe?(listener: (ended: Ended) => void): Disposable;
}

/** A credential that counts no more. */
export interface Ended {
  /** Public name of the credential. */
  readonly id: string;
  /** Whose logins end too, as `LoggedIn.upstream` names them; null: everybody's. */
  readonly subject: string | null;
}

/** How people log in, on the gate's own login page. */
export type Interactive = RedirectLogin | PasswordLogin | HeaderLogin;

/** Somebody who logged in, and what is kept with the login. */
export interface LoggedIn {
  readonly principal: Principal;
  /** Ms from now. Absent: `login.gateSession`. */
  readonly lifetimeMs?: number;
  /** What `recheck` and `endSession` need, such as a refresh token. Kept encrypted, by a key that is not where it is kept. */
  readonly secret?: string;
  /**
   * How old what is known of this person may get before `recheck` is asked (ms). Absent: what was found out holds for the whole lifetime.
   */
  readonly recheckMs?: number;
  /** The provider's own names for this login and this person, by which it ends them (OIDC `sid` and `sub`). */
  readonly upstream?: { readonly session?: string; readonly subject?: string };
}

interface CommonLogin {
  /** What the login page calls it. */
  readonly label: string;
  /**
   * Who the person behind a login is today; `secret`: what was kept. What it resolves with is kept instead, also a new secret. Throws
   * `unauthenticated` where the login has ended there or the person may not come in any more, `unavailable` where nobody can say.
   */
  recheck?(secret: string, signal: AbortSignal): Promise<LoggedIn>;
}

/** By way of somebody else's page: OIDC, OAuth. */
export interface RedirectLogin extends CommonLogin {
  readonly kind: "redirect";
  /**
   * Where the browser goes. `redirectUri`: where it has to come back to, on the gate's own host, to the letter; `state`: what has to come
   * back with it, known to this browser's login alone. `keep` comes back to `complete`, from the gate's memory and never from the browser.
   * Throws `unavailable`.
   */
  begin(
    to: { readonly redirectUri: string; readonly state: string },
    signal: AbortSignal,
  ): Promise<{ readonly location: URL; readonly keep: string }>;
  /**
   * Who came back. `parameters`: of the address, as they came; their `state` is the one of `begin`, checked and spent. Throws
   * `unauthenticated` (nothing was proved), `denied` (proved, and may not come in), `unavailable`.
   */
  complete(
    back: {
      readonly redirectUri: string;
      readonly state: string;
      readonly parameters: URLSearchParams;
      readonly keep: string;
    },
    signal: AbortSignal,
  ): Promise<LoggedIn>;
  /** Where the browser ends the login at the provider too; null: it stays there. */
  endSession?(secret: string, returnTo: string, signal: AbortSignal): Promise<URL | null>;
  /**
   * What the provider, not a browser, says has ended (OIDC Back-Channel Logout 1.0). Throws `bad_request` for what does not prove that,
   * `unavailable`.
   */
  ended?(body: URLSearchParams, signal: AbortSignal): Promise<{ readonly session?: string; readonly subject?: string }>;
}

/** By a form on the login page. It bounds failed tries by itself: only it knows which of them are of one account. */
export interface PasswordLogin extends CommonLogin {
  readonly kind: "password";
  /** false: there is one password, and no name to give. */
  readonly asksName: boolean;
  /** `peer`: IP address of who tries. Throws `unauthenticated`, `rate_limited`, `unavailable`. */
  verify(
    given: { readonly user: string; readonly password: string; readonly peer: string },
    signal: AbortSignal,
  ): Promise<LoggedIn>;
}

/** By what the browser itself adds to the login page's request, once it is challenged (Kerberos), or what stands before the gate adds. */
export interface HeaderLogin extends CommonLogin {
  readonly kind: "header";
  /** `head`: of the login page's request; cookies are not in it. `respond` goes with the answer. Throws `unauthenticated`, `unavailable`. */
  verify(head: RequestHead, signal: AbortSignal): Promise<LoggedIn & { readonly respond?: HeaderFields }>;
  /** WWW-Authenticate of the answer to who has shown nothing yet. Absent: none. */
  readonly challenge?: string;
}
