import type { Problem, RequestHead, Route, RouteTable, Session, TableDiff } from "../model/index.ts";
import type { PlaneFigures } from "./figures.ts";

/** What a plane knows and the control plane does not. */
export interface PlaneStatus {
  /** By instance: `applied` is the `seq` of the revision that it serves. */
  readonly instances: ReadonlyMap<string, { readonly applied: number; readonly connected: boolean }>;
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
