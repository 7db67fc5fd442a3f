import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { KEY_SET_MAX_AGE_MS } from "../auth/auth-keys.ts";
import { GATE_PATH, GatewayError, parseUser, type Principal, whoText } from "../model/index.ts";
import type { Api } from "./api-env.ts";
import { noteAudit } from "./audit-operations.ts";
import type { ApiDeps } from "./deps.ts";
import { body, failure, json, nothing } from "./route-parts.ts";
import { EndedUserView, EndUserRequest, SessionsView, SigningKeysView } from "./wire-sessions.ts";

const session = { params: z.strictObject({ id: z.string().min(1).max(200) }) };

export const SESSION_ROUTES = {
  listSessions: createRoute({
    ...{
      method: "get",
      path: "/sessions",
      summary: "Sessions of browsers at services: your own, or everybody's for administrators",
    },
    responses: { 200: json(SessionsView, "Oldest first."), ...failure },
  }),
  endSession: createRoute({
    ...{ method: "delete", path: "/sessions/{id}", summary: "End a session, and what is open of it" },
    request: session,
    responses: { ...nothing, ...failure },
  }),
  endUser: createRoute({
    ...{
      method: "post",
      path: "/sessions/end",
      summary:
        "End all that somebody has: logins, tokens, sessions, and what is open; for themselves and administrators",
    },
    request: body(EndUserRequest),
    responses: { 200: json(EndedUserView, "It is ended."), ...failure },
  }),
  listKeys: createRoute({
    ...{ method: "get", path: "/keys", summary: "The keys that sign sessions and assertions; for administrators" },
    responses: { 200: json(SigningKeysView, "Newest first, by use."), ...failure },
  }),
  rotateKeys: createRoute({
    ...{ method: "post", path: "/keys/rotate", summary: "Have the keys followed by new ones; for administrators" },
    responses: {
      200: json(SigningKeysView, "The next ones are published; they sign once all planes have them."),
      ...failure,
    },
  }),
} as const;

/** Sessions and keys. */
export function addSessionRoutes(api: Api, { auth }: Pick<ApiDeps, "auth">): void {
  api.openapi(SESSION_ROUTES.listSessions, async (c) => {
    const sessions = await auth.sessions.list(c.var.principal);
    return c.json({ sessions: sessions.map((each) => ({ ...each, user: whoText(each.user) })) }, 200);
  });
  api.openapi(SESSION_ROUTES.endSession, async (c) => {
    await auth.sessions.end(c.req.valid("param").id, c.var.principal);
    return c.body(null, 204);
  });
  api.openapi(SESSION_ROUTES.endUser, async (c) => {
    const user = parseUser(c.req.valid("json").user, c.var.principal.realm);
    noteAudit(c, { object: whoText(user) });
    return c.json({ user: whoText(user), ended: await auth.sessions.endUser(user, c.var.principal) }, 200);
  });
  const keys = () => ({ keys: auth.keys.list().map((key) => ({ ...key })) });
  api.openapi(SESSION_ROUTES.listKeys, (c) => {
    demandAdmin(c.var.principal);
    return c.json(keys(), 200);
  });
  api.openapi(SESSION_ROUTES.rotateKeys, async (c) => {
    demandAdmin(c.var.principal);
    await auth.keys.rotate();
    return c.json(keys(), 200);
  });
}

/** What jobs verify assertions with: for everybody, and for who keeps it no longer than a key is published before it signs. */
export function addKeySet(app: Api, { auth }: Pick<ApiDeps, "auth">): void {
  app.get(`${GATE_PATH}jwks.json`, (c) => {
    c.header("content-type", "application/jwk-set+json");
    c.header("cache-control", `public, max-age=${String(KEY_SET_MAX_AGE_MS / 1000)}`);
    return c.body(JSON.stringify(auth.keys.keySet()), 200);
  });
}

function demandAdmin(principal: Principal): void {
  if (!principal.admin || principal.scope !== undefined) {
    throw new GatewayError("denied", "the keys are for administrators");
  }
}
