import type { Problem, RequestHead, Route, RouteTable, Session, TableDiff } from "../model/index.ts";
import type { PlaneFigures } from "./figures.ts";

/** What serves, of a plane: a process, here or elsewhere. */
export interface Instance {
  /** `seq` of the revision that it serves; negative: it has not had all once. */
  readonly applied: number;
  readonly connected: boolean;
  /** Of programs of others that do as they are told. */
  readonly proxy?: Proxy;
}

/** A proxy that gets its configuration from the gate. Times are epoch ms. */
export interface Proxy {
  readonly fleet: string;
  /** `1.40.0`; empty: unknown. */
  readonly version: string;
  /** `IP:PORT` that it comes from; null: it is of this machine, or never came. */
  readonly address: string | null;
  /** Since when it is connected; null: it is not. */
  readonly since: number | null;
  /** When it last said something; null: never. */
  readonly heardAt: number | null;
  /** By which it gets its configuration: more than one while another takes over from it. */
  readonly streams: number;
  /** Of what it was given, what it does not take. */
  readonly refused: number;
  /** Since when it has not answered or read; null: it is well. */
  readonly stuckSince: number | null;
}

/** What a plane knows and the control plane does not. */
export interface PlaneStatus {
  /** By name. */
  readonly instances: ReadonlyMap<string, Instance>;
  /** Seen by passive and active checks: keys are `UPSTREAM ADDRESS` as `endpointKey` spells them. */
  readonly endpoints: ReadonlyMap<string, "healthy" | "unhealthy">;
  /** By service key: epoch ms. */
  readonly lastUsed: ReadonlyMap<string, number>;
  readonly problems: readonly Problem[];
}

/** Moves the bytes. */
export interface DataPlane extends AsyncDisposable {
  readonly name: string;
  /**
   * Hands over a change; the first diff holds everything. No live connection whose route and endpoint did not change is touched; one
   * whose route went away is closed. What became of it comes by `observe`. Never throws for a bad entry.
   */
  apply(table: RouteTable, diff: TableDiff): void;
  /** Calls at once with the present status, then on change (settled, at most every 100 ms). */
  observe(listener: (status: PlaneStatus) => void): Disposable;
  /** What it counted since it started, of all its processes. For whoever scrapes: nothing of it is kept ready. */
  figures(): Promise<PlaneFigures>;
  /** Takes no new connections, ends idle ones, waits for the others until `deadline` (epoch ms), then cuts them. */
  drain(deadline: number): Promise<void>;
}

/** Why a request gets no answer from a job, for whoever asked. */
export interface Explanation {
  readonly status: 404 | 421 | 501 | 502 | 503 | 504;
  /** Stable, for programs: `unknown_host`, `starting`, `stopped`, `crashed`, `unreachable`, `timeout`. */
  readonly code: string;
  readonly title: string;
  /** What is the matter and what to do, one or two sentences. */
  readonly message: string;
  /** Last log lines: only where `session` is of the owner or an administrator. */
  readonly lines?: readonly string[];
  readonly retryAfterSeconds?: number;
}

/** Asked by a plane when a route has no healthy endpoint, an endpoint failed, or nothing matched (route null). Never throws. */
export type Explain = (question: {
  readonly route: Route | null;
  readonly head: RequestHead;
  readonly session: Session | null;
  /** What the plane saw, if it tried: `connect_failed`, `connect_timeout`, `tls_failed`, `reset`, `no_endpoint`, `idle_timeout`. */
  readonly failure: string | null;
}) => Promise<Explanation>;

/** The one spelling of an endpoint in a status; `address` as `addressText` spells it. */
export function endpointKey(upstream: string, address: string): string {
  return `${upstream} ${address}`;
}
