import type { Principal } from "./identity.ts";
import type { Route } from "./route.ts";

/** The head of a request as a plane read it. */
export interface RequestHead {
  readonly method: string;
  /** As sent, in lower case, with its port. */
  readonly host: string;
  /** Path and query, as sent. */
  readonly path: string;
  /** IP address of who connected, or of whom the front before the gate says that it asks for (`listen.forwarded`). */
  readonly peer: string;
  /** IP address of that front. Absent: whoever asks connected here. */
  readonly front?: string | undefined;
  /** The listener is TLS, or what stands before it is. */
  readonly secure: boolean;
  /** `name` in lower case. Repeated fields are joined by `, ` (cookies by `; `). */
  header(name: string): string | undefined;
  /** Names of all fields, lower case. Absent: only names that are known beforehand can be looked for, not beginnings of names. */
  names?(): Iterable<string>;
  /**
   * Stands for exactly these fields, host, peer, front and `secure`, where the same came before on this connection: what follows from those alone
   * may be remembered by it. Absent: they came for the first time, or nobody looked.
   */
  readonly repeated?: object | undefined;
}

/** Somebody let in to one service. */
export interface Session {
  /** Public; up to its first dot the id of the login or token that it stands on. */
  readonly id: string;
  readonly principal: Principal;
  /** How they proved who they are: name of the login method. Absent: that was not kept. */
  readonly proof?: string;
  /** `provider/task/service`. */
  readonly service: string;
  /** What the service's job is given to verify who asks: see docs/identity.md. Absent: not known; empty: there is none. */
  readonly assertion?: string;
  /** `fingerprintOf` its route when it was signed, where planes go by that. */
  readonly fingerprint?: string;
  /** Epoch ms: when who they are was last looked up; absent where that is done for every request. */
  readonly issuedAt?: number;
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
      /** Response headers that the visitor gets (a renewed session); of CORS, in place of the job's. */
      readonly respond: HeaderFields;
      /** Who may show the job's pages in a frame; absent: the job's own affair. */
      readonly frame?: {
        /** As CSP's `frame-ancestors` lists them; `*`: anybody. */
        readonly ancestors: string;
        /** Whatever the job says; else where it says nothing. */
        readonly replaces: boolean;
      };
    }
  | {
      readonly kind: "deny";
      readonly status: 400 | 401 | 403 | 404 | 421 | 429 | 503;
      readonly code: string;
      /** For the visitor. */
      readonly reason: string;
      /** WWW-Authenticate. */
      readonly challenge?: string;
      /** Retry-After, in seconds. */
      readonly retryAfterS?: number;
      /** Who was refused, where that is known; its service may be any. */
      readonly session?: Session;
    }
  /** 204: a question about the service that the gate answers for it (a CORS preflight). */
  | { readonly kind: "answer"; readonly respond: HeaderFields }
  | { readonly kind: "redirect"; readonly location: string; readonly respond: HeaderFields };

/** What goes through a plane. */
export type TrafficKind = "http" | "websocket" | "grpc" | "tcp" | "tls" | "forward";

/** Why something was ended before its time. */
export type CutReason = "revoked" | "expired" | "access_lost" | "route_gone";

/** One request, stream or connection as its plane sees it, from its first moment to its last: its figures are those of the moment. */
export interface Use {
  readonly kind: TrafficKind;
  /** IP address of who connected. */
  readonly peer: string;
  /** null: what came speaks no HTTP. */
  readonly head: RequestHead | null;
  /** Who was let in, or refused, where that is known. */
  readonly session: Session | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of the answer; 0: there was none. */
  readonly status: number;
  /** Why the gate answered itself; null: it did not, or nothing was wrong. */
  readonly code: string | null;
  /** Bytes of the largest piece that came from the visitor since somebody last set this to 0. What only keeps a connection open is small. */
  largestIn: number;
  /** Set by whoever cuts it, before. */
  cutFor: CutReason | null;
  /** Epoch ms at which it began and ended, where that is told later; absent: as it is told. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** What a gatekeeper knows of one use while it is open. */
export interface OpenUse {
  closed(): void;
  /** Its route was replaced by this one, which leads to the same service: who may come in is looked at again, and `cut` called if need be. */
  moved(route: Route): void;
}

/** What a data plane asks: first the local, synchronous way; "ask" means the slow way, once. */
export interface Gatekeeper {
  check(route: Route, head: RequestHead): Decision | { readonly kind: "ask" };
  /** Never throws but on abort: what went wrong is a denial with 503. */
  admit(route: Route, head: RequestHead, signal: AbortSignal): Promise<Decision>;
  /** Every connection and stream is opened and closed here: audit, revocation (`cut` is called), last use. */
  opened(use: Use, route: Route, cut: () => void): OpenUse;
  /** Somebody was refused, by whatever part of the gate. `route`: what they wanted; null: nothing that there is. */
  refused(use: Use, route: Route | null): void;
}
