import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import type { Context } from "hono";
import { GATE_PATH, type GatewayError, isCode } from "../model/index.ts";
import type { NewLogin } from "../auth/method-logins.ts";
import type { Api, ApiEnv } from "./api-env.ts";
import { noteAudit } from "./audit-operations.ts";
import type { ApiDeps } from "./deps.ts";
import { readText } from "./request-body.ts";
import { requestHeadOf } from "./request-head.ts";
import { body, failure, json, nothing } from "./route-parts.ts";
import { LoginView } from "./wire.ts";
import {
  BegunLoginView,
  CompleteLoginRequest,
  DeviceAnswerView,
  DeviceDecision,
  DeviceLoginView,
  DevicePollRequest,
  DeviceRequest,
  DeviceView,
  LoginMethodsView,
  PasswordLoginRequest,
  UserCodeRequest,
} from "./wire-login.ts";

const named = { params: z.strictObject({ method: z.string().min(1).max(40) }) };
const login = { 200: json(LoginView, "The browser's token."), ...failure };
const open = { security: [] };

/** Logins by the configured methods, and those of command lines. */
export const METHOD_ROUTES = {
  loginMethods: createRoute({
    ...{ method: "get", path: "/login/methods", summary: "The ways to log in", ...open },
    responses: { 200: json(LoginMethodsView, "In the order of the configuration."), ...failure },
  }),
  beginLogin: createRoute({
    ...{
      method: "post",
      path: "/login/methods/{method}/begin",
      summary: "Begin a login at a provider's page",
      ...open,
    },
    request: named,
    responses: { 200: json(BegunLoginView, "Where to go."), ...failure },
  }),
  completeLogin: createRoute({
    ...{
      method: "post",
      path: "/login/methods/{method}/complete",
      summary: "Come back from a provider's page",
      ...open,
    },
    request: { ...named, ...body(CompleteLoginRequest) },
    responses: login,
  }),
  passwordLogin: createRoute({
    ...{ method: "post", path: "/login/methods/{method}/password", summary: "Log in with a password", ...open },
    request: { ...named, ...body(PasswordLoginRequest) },
    responses: login,
  }),
  headerLogin: createRoute({
    ...{
      method: "post",
      path: "/login/methods/{method}/header",
      summary: "Log in by the request's own headers",
      ...open,
    },
    request: named,
    responses: login,
  }),
  beginDevice: createRoute({
    ...{ method: "post", path: "/login/device", summary: "Begin a command line's login (RFC 8628)", ...open },
    request: body(DeviceRequest),
    responses: { 201: json(DeviceLoginView, "The codes."), ...failure },
  }),
  pollDevice: createRoute({
    ...{ method: "post", path: "/login/device/poll", summary: "Ask what came of a command line's login", ...open },
    request: body(DevicePollRequest),
    responses: { 200: json(DeviceAnswerView, "Its token, once somebody said yes."), ...failure },
  }),
  showDevice: createRoute({
    ...{ method: "post", path: "/login/device/show", summary: "Which command line has this code" },
    request: body(UserCodeRequest),
    responses: { 200: json(DeviceView, "Who asks."), ...failure },
  }),
  answerDevice: createRoute({
    ...{ method: "post", path: "/login/device/answer", summary: "Let a command line in, or not" },
    request: body(DeviceDecision),
    responses: { ...nothing, ...failure },
  }),
} as const;

/** Of a provider's word of logins that ended. */
const ENDED_BYTES = 32 * 1024;

/** Adds the operations. */
export function addMethodRoutes(api: Api, { auth, signal }: Pick<ApiDeps, "auth" | "signal">): void {
  const { methods } = auth;
  const until = (c: Context<ApiEnv>): AbortSignal => AbortSignal.any([signal, c.req.raw.signal]);
  api.openapi(METHOD_ROUTES.loginMethods, (c) => c.json({ methods: [...methods.methods] }, 200));
  api.openapi(METHOD_ROUTES.beginLogin, async (c) => {
    return c.json(await methods.begin(c.req.valid("param").method, peerOf(c), until(c)), 200);
  });
  api.openapi(METHOD_ROUTES.completeLogin, async (c) => {
    const { method } = c.req.valid("param");
    return loggedIn(c, method, await methods.complete(method, c.req.valid("json"), peerOf(c), until(c)));
  });
  api.openapi(METHOD_ROUTES.passwordLogin, async (c) => {
    const { method } = c.req.valid("param");
    return loggedIn(c, method, await methods.withPassword(method, c.req.valid("json"), peerOf(c), until(c)));
  });
  api.openapi(METHOD_ROUTES.headerLogin, async (c) => {
    const { method } = c.req.valid("param");
    try {
      return loggedIn(c, method, await methods.withHeader(method, requestHeadOf(c.req.raw), until(c)));
    } catch (error) {
      const challenge = isCode(error, "unauthenticated") ? methods.challengeOf(method) : null;
      if (challenge === null) throw error;
      const { code, message } = error as GatewayError;
      return c.json({ error: { code, message } }, 401, { "www-authenticate": challenge });
    }
  });
  addDevices(api, auth);
}

function addDevices(api: Api, { devices }: ApiDeps["auth"]): void {
  api.openapi(METHOD_ROUTES.beginDevice, async (c) => {
    return c.json(await devices.begin(c.req.valid("json").client, peerOf(c)), 201);
  });
  api.openapi(METHOD_ROUTES.pollDevice, async (c) => {
    const answer = await devices.poll(c.req.valid("json").deviceCode, peerOf(c));
    if (answer.state === "approved") {
      const { id: credential, realm, principal: user } = answer;
      noteAudit(c, { realm, user, credential, proof: "device" });
    }
    return c.json(answer, 200);
  });
  api.openapi(METHOD_ROUTES.showDevice, async (c) => {
    return c.json(await devices.show(c.req.valid("json").userCode, peerOf(c)), 200);
  });
  api.openapi(METHOD_ROUTES.answerDevice, async (c) => {
    const { userCode, approve } = c.req.valid("json");
    await devices.answer(userCode, { approve, caller: c.var.principal }, peerOf(c));
    noteAudit(c, { after: { approve } });
    return c.body(null, 204);
  });
}

/**
 * Where providers say that a login there has ended (OpenID Connect Back-Channel Logout 1.0 section 2.5): a form, outside the API, whose
 * only proof is the token in it.
 */
export function addBackChannel(app: Api, { auth, signal, clock }: Pick<ApiDeps, "auth" | "signal" | "clock">): void {
  app.post(`${GATE_PATH}login/:method/backchannel-logout`, async (c) => {
    const method = c.req.param("method");
    const form = new URLSearchParams(await readText(c.req.raw.body, ENDED_BYTES));
    await auth.methods.ended(method, form, signal);
    const head = requestHeadOf(c.req.raw);
    const now = clock.now();
    const about = { kind: "login", event: "once", outcome: "allowed", operation: "endedByProvider" } as const;
    auth.audit.record({ ...about, object: method, peer: head.peer, start: now, end: now });
    return c.body(null, 200);
  });
}

function peerOf(c: Context<ApiEnv>): string {
  return requestHeadOf(c.req.raw).peer;
}

function loggedIn(c: Context<ApiEnv>, proof: string, { respond = [], ...found }: NewLogin) {
  noteAudit(c, { realm: found.realm, user: found.principal, proof });
  for (const [name, value] of respond) c.header(name, value, { append: true });
  return c.json(found, 200);
}
