import type { GateFile } from "../config/home.ts";

/** A running gate. Disposing stops it at once; its tasks go on. */
export interface Gate extends AsyncDisposable {
  /** What the command line is told of it. */
  readonly file: GateFile;
  /** A link that logs one browser in, once. */
  loginLink(): Promise<{ readonly url: string; readonly expiresAt: number }>;
  /** Puts fresh worker processes in the place of the present ones; no connection is refused. null: the gate has no workers. */
  readonly renew: (() => Promise<void>) | null;
  /** Takes no new connections and lets the open ones end, `deadlineMs` at the longest. Dispose it after. */
  drain(deadlineMs: number): Promise<void>;
  /** Resolves once it is disposed of. */
  readonly closed: Promise<unknown>;
}
