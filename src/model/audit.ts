import type { TrafficKind } from "./gatekeeper.ts";
import type { Identity } from "./identity.ts";

/** What an entry is about: traffic by its kind, a login, an operation of the API, an act of the gate of its own. */
export type AuditKind = TrafficKind | "login" | "api" | "gate";

export const AUDIT_KINDS = Object.freeze([
  "http",
  "websocket",
  "grpc",
  "tcp",
  "tls",
  "forward",
  "login",
  "api",
  "gate",
] as const satisfies readonly AuditKind[]);

/** `cut`: let in, and ended by the gate before its time. `failed`: neither let in nor turned away, as something broke. */
export type AuditOutcome = "allowed" | "refused" | "failed" | "cut";

export const AUDIT_OUTCOMES = Object.freeze(["allowed", "refused", "failed", "cut"] as const);

/** Who did it and how they proved it; nothing of what they showed. */
export interface AuditWho extends Pick<Identity, "realm"> {
  readonly user: string;
  /** Name of the login method. */
  readonly proof?: string;
  /** Public id of the login or token. */
  readonly credential?: string;
}

/** Who did what, from where, and what became of it. Times are epoch ms, figures those of this entry alone. See docs/audit.md. */
export interface AuditEntry extends Partial<AuditWho> {
  readonly kind: AuditKind;
  /** `start` and `end` of what takes its time share an `id`; `once` is all that there is to say. */
  readonly event: "start" | "end" | "once";
  readonly outcome: AuditOutcome;
  readonly id?: string;
  /** Why it was refused, failed or cut. */
  readonly code?: string;
  readonly peer?: string;
  /** `provider/task/service`. */
  readonly service?: string;
  /** `provider/task`. */
  readonly task?: string;
  /** Of the task: `realm/name`. */
  readonly owner?: string;
  /** Way in: the route's id. */
  readonly route?: string;
  readonly method?: string;
  readonly host?: string;
  /** Without its query. */
  readonly path?: string;
  readonly status?: number;
  /** What was done: of the API, the operation's name. */
  readonly operation?: string;
  /** What it was done to. */
  readonly object?: string;
  /** What stood there before and what after, where it was changed. */
  readonly before?: unknown;
  readonly after?: unknown;
  readonly start?: number;
  readonly end?: number;
  readonly requests?: number;
  /** Of the requests, those that were answered with 400 or more. */
  readonly errors?: number;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
  /** For people. */
  readonly reason?: string;
}

/** What a line of the log says: an entry, its times as text, when it was written down, and a link to the line before. */
export type AuditLine = Omit<AuditEntry, "start" | "end"> & {
  readonly time: string;
  readonly start?: string;
  readonly end?: string;
  readonly chain: string;
};

/** Where entries go. Never throws, never waits, is called on the way of requests. */
export interface AuditSink {
  record(entry: AuditEntry): void;
  /** The audit log is required and cannot be written: nothing new is to be let in, and nothing changed. */
  readonly blocked: boolean;
}

/** What is told of traffic that is alike: one entry for each request, or one for many. */
export interface AuditDetail {
  readonly detail: "visits" | "requests";
  /** Silence after which a visit is over. */
  readonly visitIdleMs: number;
  /** Requests that take longer have an entry of their own. */
  readonly streamMs: number;
}

/** For who keeps no audit. */
export const NO_AUDIT: AuditSink = Object.freeze({ record: () => undefined, blocked: false });
