import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { AUDIT_KINDS, AUDIT_OUTCOMES, GatewayError } from "../model/index.ts";
import type { Api } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";
import { lastingAnswer } from "./lasting.ts";
import { openLogStream } from "./log-stream.ts";
import { failure, json, text } from "./route-parts.ts";
import { AuditCheckView } from "./wire-audit.ts";

/** Readers at once, all together; more are refused. Each holds a file and a buffer. */
const MAX_READERS = 64;

const moment = (what: string) =>
  z
    .string()
    .regex(/^\d{1,15}$/, { error: "expected a time in ms since 1970" })
    .transform(Number)
    .optional()
    .describe(what);
const name = (what: string) => z.string().min(1).max(1100).optional().describe(what);

const AuditQuery = z.strictObject({
  user: name("Only what they did: NAME, or REALM/NAME."),
  task: name("Only of this task: its name, or PROVIDER/TASK."),
  service: name("Only of this service: its name, TASK/SERVICE or PROVIDER/TASK/SERVICE."),
  kind: z.enum(AUDIT_KINDS).optional().describe("Only of this kind."),
  outcome: z.enum(AUDIT_OUTCOMES).optional().describe("Only with this outcome."),
  since: moment("Only what was recorded from then on; ms since 1970."),
  until: moment("Only what was recorded before; ms since 1970."),
  follow: z.enum(["true", "false"]).optional().describe("Stay, and send what comes."),
});

export const AUDIT_ROUTES = {
  readAudit: createRoute({
    method: "get",
    path: "/audit",
    summary: "Who did what: administrators see everything, others their own doings and what was done with their tasks",
    request: { query: AuditQuery },
    responses: { 200: text("application/x-ndjson", "Lines of JSON, oldest first. See docs/audit.md."), ...failure },
  }),
  checkAudit: createRoute({
    method: "get",
    path: "/audit/check",
    summary: "Whether each line of the audit log follows from the one before; for administrators",
    responses: { 200: json(AuditCheckView, "What was found."), ...failure },
  }),
} as const;

/** What is on record, and whether it was changed since. */
export function addAuditRoutes(api: Api, deps: ApiDeps): void {
  const { audit } = deps;
  let readers = 0;
  api.openapi(AUDIT_ROUTES.readAudit, async (c) => {
    if (readers >= MAX_READERS) throw new GatewayError("unavailable", "too many read the audit log; end some");
    const { follow, user, ...query } = c.req.valid("query");
    const { principal } = c.var;
    const filter = {
      ...query,
      user: user === undefined ? undefined : userOf(user),
      visibleTo: principal.admin ? undefined : principal,
    };
    readers += 1;
    const lasting = lastingAnswer(c, deps, () => (readers -= 1));
    const read = (signal: AbortSignal) => audit.read(filter, { follow: follow === "true" }, signal);
    const failed = (err: unknown) => {
      deps.logger.warn({ err }, "reading the audit log broke off");
      c.env.outgoing?.destroy();
    };
    const stream = await openLogStream({ read, failed, clock: deps.clock }, lasting);
    return c.body(stream, 200, { "content-type": "application/x-ndjson; charset=utf-8" });
  });
  api.openapi(AUDIT_ROUTES.checkAudit, async (c) => {
    if (!c.var.principal.admin) throw new GatewayError("denied", "only administrators may check the audit log");
    const { broken, ...found } = await audit.verify(AbortSignal.any([deps.signal, c.req.raw.signal]));
    return c.json({ ...found, broken: [...broken] }, 200);
  });
}

function userOf(text: string): { readonly realm?: string; readonly name: string } {
  const plain = text.replace(/^user:/, "");
  const slash = plain.indexOf("/");
  return slash < 0 ? { name: plain } : { realm: plain.slice(0, slash), name: plain.slice(slash + 1) };
}
