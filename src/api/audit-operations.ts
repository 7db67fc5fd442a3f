import type { Context, MiddlewareHandler } from "hono";
import { type AuditEntry, GatewayError } from "../model/index.ts";
import type { ApiEnv, AuditNote } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";
import { findOperation } from "./find-operation.ts";
import { requestHeadOf } from "./request-head.ts";
import { API_PREFIX } from "./wire.ts";

/** Adds to what the audit will say of this request: what it is about, what stood there before and after, who came in by it. */
export function noteAudit(c: Context<ApiEnv>, note: AuditNote): void {
  c.set("audit", { ...c.get("audit"), ...note });
}

/**
 * Puts every operation that changes something on record, and every refusal. While a required audit log cannot be written, changes are
 * refused; taking away (tokens, grants, logins, tasks) never is.
 */
export function auditOperations(deps: Pick<ApiDeps, "auth" | "clock">): MiddlewareHandler<ApiEnv> {
  const { audit } = deps.auth;
  return async (c, next) => {
    const { method } = c.req;
    const start = deps.clock.now();
    if (audit.blocked && method !== "GET" && method !== "DELETE") {
      throw new GatewayError("unavailable", "nothing is changed while the audit log cannot be written");
    }
    await next();
    if (method === "GET" && !isRefusal(c.res.status)) return;
    const entry: AuditEntry = { ...entryOf(c), start, end: deps.clock.now() };
    // Who proved nothing may try, or ask whether they may come in, any number of times.
    if (entry.user === undefined || method === "GET") audit.tally(entry);
    else audit.record(entry);
  };
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403 || status === 429;
}

function entryOf(c: Context<ApiEnv>): AuditEntry {
  const { method, path } = c.req;
  const found = findOperation(method, path);
  const object = found?.object;
  const { status } = c.res;
  const code = c.error instanceof GatewayError ? c.error.code : "internal";
  return {
    kind: path.startsWith(`${API_PREFIX}/login`) ? "login" : "api",
    event: "once",
    outcome: status < 400 ? "allowed" : status < 500 ? "refused" : "failed",
    operation: found?.name ?? method,
    peer: requestHeadOf(c.req.raw).peer,
    status,
    ...(status < 400 ? {} : { code }),
    ...(object === undefined ? {} : { object: decoded(object) }),
    ...whoOf(c),
    ...c.get("audit"),
  };
}

function whoOf(c: Context<ApiEnv>): AuditNote {
  const caller = c.get("principal") as ApiEnv["Variables"]["principal"] | undefined;
  if (caller === undefined) return {};
  const { realm, name, credential } = caller;
  const proof = credential?.proof;
  return {
    ...{ realm, user: name },
    ...(credential === undefined ? {} : { credential: credential.id }),
    ...(proof === undefined ? {} : { proof }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
