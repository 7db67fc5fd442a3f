import type { Principal } from "./identity.ts";
import type { Route } from "./route.ts";

/** The head of a request as a plane read it. */
export interface RequestHead {
  readonly method: string;
  /** As sent, in lower case, with its port. */
  readonly host: string;
  /** Path and query, as sent. */
  readonly path: string;
  /** IP address of who connected. */
  readonly peer: string;
  /** The listener is TLS, or what stands before it is. */
  readonly secure: boolean;
  /** `name` in lower case. Repeated fields are joined by `, ` (cookies by `; `). */
  header(name: string): string | undefined;
  /** Names of all fields, lower case. Absent: only names that are known beforehand can be looked for, not beginnings of names. */
  names?(): Iterable<string>;
  /**
   * Stands for exactly these fields, host, peer and `secure`, where the same came before on this connection: what follows from those alone
   * may be remembered by it. Absent: they came for the first time, or nobody looked.
   */
  readonly repeated?: object | undefined;
}

/** Somebody let in to one service. */
export interface Session {
  readonly id: string;
  readonly principal: Principal;
  /** `provider/task/service`. */
  readonly service: string;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Epoch ms; from then on a plane asks again, and the visitor notices nothing. */
  readonly renewAt: number;
}

/** Names and values, in order; a name may be there twice. */
export type HeaderFields = readonly (readonly [name: string, value: string])[];

/** What becomes of a request. */
export type Decision =
  | {
      readonly kind: "allow";
      /** null: the route is public and nobody said who they are, or the service checks by itself. */
      readonly session: Session | null;
      /** Request header names, lower case, that the job must not see. */
      readonly strip: readonly string[];
      /** Cookie names that are taken out of `cookie`; the app's own stay. */
      readonly stripCookies: readonly string[];
      /** Request headers that the job gets. */
      readonly set: HeaderFields;
      /** Response headers that the visitor gets (a renewed session). */
      readonly respond: HeaderFields;
    }
  | {
      readonly kind: "deny";
      readonly status: 400 | 401 | 403 | 404 | 421 | 503;
      readonly code: string;
      /** For the visitor. */
      readonly reason: string;
      /** WWW-Authenticate. */
      readonly challenge?: string;
    }
  | { readonly kind: "redirect"; readonly location: string; readonly respond: HeaderFields };

/** What a data plane asks: first the local, synchronous way; "ask" means the slow way, once. */
export interface Gatekeeper {
  check(route: Route, head: RequestHead): Decision | { readonly kind: "ask" };
  /** Never throws but on abort: what went wrong is a denial with 503. */
  admit(route: Route, head: RequestHead, signal: AbortSignal): Promise<Decision>;
  /** Every connection and stream is opened and closed here: audit, revocation (`cut` is called), last use. */
  opened(session: Session | null, route: Route, cut: () => void): { closed(bytesIn: number, bytesOut: number): void };
}
