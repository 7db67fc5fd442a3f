import type { HttpBindings } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AuditEntry } from "../model/index.ts";
import type { Caller } from "../auth/login.ts";

/** What middleware leaves for handlers. */
export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
  Variables: {
    /** Who asks. Not set on the few operations that need no login. */
    principal: Caller;
    /** WWW-Authenticate for who is not logged in. Not set on those operations. */
    challenge?: string;
    /** What the audit is told beside who did what: see `noteAudit`. */
    audit?: AuditNote;
  };
}

export type AuditNote = Partial<
  Pick<
    AuditEntry,
    "object" | "task" | "owner" | "before" | "after" | "reason" | "realm" | "user" | "proof" | "credential"
  >
>;

export type Api = OpenAPIHono<ApiEnv>;
