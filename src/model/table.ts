import type { Problem } from "./problem.ts";
import type { Endpoints, Route, Upstream } from "./route.ts";

/** One kind of entry of the table: a read-only view that the core keeps up to date, never copied per change. */
export type Entries<T> = ReadonlyMap<string, T>;

export interface Listener {
  readonly id: string;
  /** `HOST:PORT`. */
  readonly address: string;
  readonly tls: boolean;
}

export interface Certificate {
  readonly names: readonly string[];
  /** PEM. */
  readonly chain: string;
  /** PEM. Never logged. */
  readonly key: string;
}

/** Verifies sessions. */
export interface SessionKey {
  /** SPKI in PEM, Ed25519. */
  readonly publicKey: string;
  /** Epoch ms. */
  readonly notAfter: number;
}

/** `epoch` is of one life of the gate; `seq` rises by one with every published change. */
export interface Revision {
  readonly epoch: string;
  readonly seq: number;
}

/** The result: the one thing that data planes see. */
export interface RouteTable {
  readonly revision: Revision;
  readonly listeners: Entries<Listener>;
  readonly certificates: Entries<Certificate>;
  readonly routes: Entries<Route>;
  readonly upstreams: Entries<Upstream>;
  readonly endpoints: Entries<Endpoints>;
  readonly keys: Entries<SessionKey>;
  readonly problems: Entries<Problem>;
}

/** What is there now of what changed, and the keys of what is gone. */
export interface Changed<T> {
  readonly set: readonly T[];
  /** Keys. */
  readonly removed: readonly string[];
}

/** What turns one table into the next. */
export interface TableDiff {
  readonly from: Revision;
  readonly to: Revision;
  readonly routes: Changed<Route>;
  readonly upstreams: Changed<Upstream>;
  readonly endpoints: Changed<Endpoints>;
  readonly problems: Changed<Problem>;
  /** Listeners, certificates or keys changed. */
  readonly rest: boolean;
}
