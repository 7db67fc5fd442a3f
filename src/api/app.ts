import { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { GatewayError } from "../model/index.ts";
import { addAccessRoutes } from "./access-routes.ts";
import type { Api, ApiEnv } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";
import { auditOperations } from "./audit-operations.ts";
import { addAuditRoutes } from "./audit-routes.ts";
import { addEnvoyRoutes } from "./envoy-routes.ts";
import { addReachRoutes } from "./reach-routes.ts";
import { answerErrors, explainInvalid, sayFailure } from "./error-view.ts";
import { openEventStream } from "./event-stream.ts";
import { findOperation } from "./find-operation.ts";
import { lastingAnswer } from "./lasting.ts";
import { boundLinkVisitor } from "./link-visitors.ts";
import { addLoginRoutes } from "./login-routes.ts";
import { addBackChannel, addMethodRoutes } from "./method-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { addPages } from "./pages.ts";
import { readJsonBody } from "./request-body.ts";
import { requestHeadOf } from "./request-head.ts";
import { ROUTES } from "./routes.ts";
import { boundScope } from "./scoped-operations.ts";
import { addKeySet, addSessionRoutes } from "./session-routes.ts";
import { securityHeaders } from "./security-headers.ts";
import { addTaskRoutes } from "./task-routes.ts";
import { createVisibility } from "./visibility.ts";
import { API_PREFIX } from "./wire.ts";

const BODY_BYTES = 2 * 1024 * 1024;
/** Of what anybody may send. */
const OPEN_BODY_BYTES = 1024;
/** Of a browser that comes back from a provider: some send codes of thousands of characters. */
const RETURN_BODY_BYTES = 16 * 1024;
const AUTHENTICATE_MS = 15_000;
/** Open event streams, all together; more are refused. */
const MAX_SUBSCRIBERS = 256;

/** The operations that need no login; every other path under the prefix does, even one that is not there. */
const OPEN: ReadonlySet<string> = new Set(
  Object.entries(ROUTES).flatMap(([name, route]) => ("security" in route && route.security.length === 0 ? [name] : [])),
);

/** The gate's own host: its pages, and the API under its prefix. Needs no closing; streams end with `deps.signal`. */
export function createApi(deps: ApiDeps): Api {
  const app: Api = new OpenAPIHono<ApiEnv>();
  app.use(securityHeaders);
  app.onError(answerErrors(deps.logger));
  app.notFound((c) => sayFailure(c, new GatewayError("not_found", "there is nothing at this path")));
  addPages(app, deps.pages);
  addBackChannel(app, deps);
  addKeySet(app, deps);
  app.route(API_PREFIX, createOperations(deps));
  return app;
}

function createOperations(deps: ApiDeps): Api {
  const api: Api = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) throw new GatewayError("bad_request", explainInvalid(result.error));
    },
  });
  api.use(refuseHead, auditOperations(deps), requireLogin(deps));
  const openBody = readJsonBody(OPEN_BODY_BYTES);
  const returnBody = readJsonBody(RETURN_BODY_BYTES);
  const body = readJsonBody(BODY_BYTES);
  api.use((c, next) => {
    const open = openOperation(c.req);
    return (open === undefined ? body : open === "completeLogin" ? returnBody : openBody)(c, next);
  });
  let document: ReturnType<typeof openApiDocument> | undefined;
  api.openapi(ROUTES.openapi, (c) => c.json((document ??= openApiDocument()), 200));
  api.openapi(ROUTES.version, (c) => c.json(deps.version(), 200));
  addTaskRoutes(api, deps);
  addAccessRoutes(api, deps);
  addLoginRoutes(api, deps);
  addMethodRoutes(api, deps);
  addEvents(api, deps);
  addAuditRoutes(api, deps);
  addSessionRoutes(api, deps);
  addEnvoyRoutes(api, deps);
  addReachRoutes(api, deps);
  return api;
}

/** Otherwise a HEAD would open a stream that nobody reads or ends. */
const refuseHead: MiddlewareHandler = async (c, next) => {
  if (c.req.method === "HEAD") throw new GatewayError("bad_request", "HEAD is not answered here; use GET");
  await next();
};

function requireLogin(deps: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (openOperation(c.req) !== undefined) return next();
    const signal = AbortSignal.any([deps.signal, c.req.raw.signal, AbortSignal.timeout(AUTHENTICATE_MS)]);
    const head = requestHeadOf(c.req.raw);
    c.set("challenge", deps.auth.challenge(head));
    const caller = await deps.auth.authenticate(head, signal);
    for (const [name, value] of caller.respond ?? []) c.header(name, value);
    c.set("principal", caller);
    boundLinkVisitor(c.var.principal, c.req);
    boundScope(c.var.principal, c.req);
    return next();
  };
}

/** Its name; undefined: what is asked for needs a login. */
function openOperation(request: { readonly method: string; readonly path: string }): string | undefined {
  const name = findOperation(request.method, request.path)?.name;
  return name !== undefined && OPEN.has(name) ? name : undefined;
}

function addEvents(api: Api, deps: ApiDeps): void {
  api.openapi(ROUTES.events, (c) => {
    if (deps.directory.subscribers >= MAX_SUBSCRIBERS) {
      throw new GatewayError("unavailable", "too many event streams are open; close some pages");
    }
    const visibility = createVisibility(c.var.principal, deps);
    const { directory, clock } = deps;
    const stream = openEventStream({ directory, visibility, clock }, lastingAnswer(c, deps));
    return c.body(stream, 200, { "content-type": "text/event-stream; charset=utf-8" });
  });
}
