import type { LimitsConfig, ListenConfig } from "../../../config/schema.ts";
import type {
  Certificate,
  Listener,
  PlainHead,
  Problem,
  Route,
  Session,
  SessionKey,
  Site,
  TableDiff,
} from "../../../model/index.ts";
import type { Notice, Question } from "../../../platform/process-link.ts";
import type { Explanation } from "../../dataplane.ts";
import type { PlaneFigures } from "../../figures.ts";
import type { LocalAuthorityOptions } from "../tls/local-authority.ts";
import type { ObserveConfig } from "../observe/observation.ts";

/** What every worker of a gate is started with: plain values only. */
export interface WorkerSettings {
  readonly listen: ListenConfig;
  readonly limits: LimitsConfig;
  readonly site: Site;
  /** Of the dial rules. */
  readonly loopback: readonly string[];
  /** Providers that are reached by sockets. */
  readonly sockets: readonly string[];
  readonly ownPorts: readonly number[];
  readonly secret: string;
  readonly via: string;
  /** Where the gate's own authority is kept, which it has made; null: there is none. */
  readonly authority: Omit<LocalAuthorityOptions, "now"> | null;
  readonly observe: ObserveConfig;
  /** Workers that share what is bounded in total. */
  readonly share: number;
  /** How long what is open may go on once the gate is gone, ms. */
  readonly graceMs: number;
}

/** Entries of the table that no diff lists one by one. Present where they changed. */
export interface TableRest {
  readonly listeners: readonly (readonly [id: string, listener: Listener])[];
  readonly certificates: readonly (readonly [id: string, certificate: Certificate])[];
  readonly keys: readonly (readonly [kid: string, key: SessionKey])[];
}

/** A change of the table; the first one that a worker gets holds everything. */
export interface TableChange {
  readonly diff: TableDiff;
  readonly rest: TableRest | null;
}

/** What active checks found; null: not known (any more). */
export type Checked = readonly (readonly [endpoint: string, verdict: "healthy" | "unhealthy" | null])[];

export interface Setup {
  readonly settings: WorkerSettings;
  /** Writes the access log where only one may. */
  readonly rotatesLog: boolean;
  /** For the worker's gatekeeper; nobody here looks at it. */
  readonly grounding: unknown;
  readonly table: TableChange;
  readonly checked: Checked;
}

/** With the handle of the gate's port. */
export const SETUP: Notice<Setup> = { name: "plane.setup" };
/** Serves now. The text says why it never will. */
export const READY: Notice<null | { readonly code: string; readonly message: string }> = { name: "plane.ready" };
export const CHANGE: Notice<TableChange> = { name: "plane.change" };
export const CHECKED: Notice<Checked> = { name: "plane.checked" };
/** Ends when nothing is open any more, at the latest at the deadline (epoch ms). */
export const DRAIN: Notice<number> = { name: "plane.drain" };
/** It lives: every second. Figures are those that outlive it, should it be killed. */
export const BEAT: Notice<PlaneFigures> = { name: "plane.beat" };

/** What changed since the last one. */
export interface StatusNews {
  readonly applied: number;
  readonly endpoints: Checked;
  readonly used: readonly (readonly [service: string, at: number])[];
  /** Absent: as before. */
  readonly problems?: readonly Problem[];
}
export const STATUS: Notice<StatusNews> = { name: "plane.status" };

export const FIGURES: Question<null, PlaneFigures> = { name: "plane.figures" };

/** Asks for a raw port: its handle comes by `PORT` before the answer, which is the system's error code where there is none. */
export const OPEN_PORT: Question<number, string | null> = { name: "plane.openPort" };
/** With the handle of this port. */
export const PORT: Notice<number> = { name: "plane.port" };

export interface PlainQuestion {
  readonly route: Route | null;
  readonly head: PlainHead;
  readonly session: Session | null;
  readonly failure: string | null;
}
export const EXPLAIN: Question<PlainQuestion, Explanation> = { name: "plane.explain" };

/** A line for the gate's log: an error is told apart from other fields by its own text. */
export const LOG: Notice<{
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: object;
  readonly message: string;
}> = {
  name: "plane.log",
};
