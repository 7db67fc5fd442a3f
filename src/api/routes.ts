import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { ACCESS_ROUTES } from "./access-operations.ts";
import { ENVOY_ROUTES } from "./envoy-routes.ts";
import { AUDIT_ROUTES } from "./audit-routes.ts";
import { METHOD_ROUTES } from "./method-routes.ts";
import { REACH_ROUTES } from "./reach-routes.ts";
import { body, failure, json, nothing, text } from "./route-parts.ts";
import {
  AttachRequest,
  LinkRequest,
  LinkView,
  LoginView,
  ProblemsView,
  RedeemRequest,
  RunRequest,
  TasksView,
  TaskView,
  VersionView,
  VisitRequest,
  VisitView,
  WhoView,
} from "./wire.ts";
import { TokenCreated, TokenRequest, TokensView } from "./wire-tokens.ts";
import { SESSION_ROUTES } from "./session-routes.ts";
import { LogoutView } from "./wire-login.ts";

const task = {
  params: z.strictObject({
    task: z.string().min(1).max(300).describe("A task's name, or its PROVIDER/TASK, percent-encoded."),
  }),
};

/** A repeated parameter would come as a list, which no schema here takes. */
const LogQuery = z.strictObject({
  follow: z.enum(["true", "false"]).optional().describe("Stay, and send what comes."),
  tail: z
    .string()
    .regex(/^\d{1,6}$/, { error: "expected a number of lines, at most 999999" })
    .transform(Number)
    .optional()
    .describe("Only the last so many lines of what is there."),
  replica: z.string().min(1).max(100).optional().describe("Absent: the first."),
});

/** Every operation of the wire's OPERATIONS, by the same name. */
export const ROUTES = {
  version: createRoute({
    method: "get",
    path: "/version",
    summary: "What runs here",
    responses: { 200: json(VersionView, "The gate."), ...failure },
  }),
  listTasks: createRoute({
    method: "get",
    path: "/tasks",
    summary: "All tasks that you may see",
    responses: { 200: json(TasksView, "By name."), ...failure },
  }),
  runTask: createRoute({
    method: "post",
    path: "/tasks",
    summary: "Start a command as a task",
    request: body(RunRequest),
    responses: { 201: json(TaskView, "It is on record, and starts."), ...failure },
  }),
  attachTask: createRoute({
    method: "post",
    path: "/attach",
    summary: "Take in a port that already listens",
    request: body(AttachRequest),
    responses: { 201: json(TaskView, "It is on record."), ...failure },
  }),
  showTask: createRoute({
    method: "get",
    path: "/tasks/{task}",
    summary: "One task",
    request: task,
    responses: { 200: json(TaskView, "The task."), ...failure },
  }),
  stopTask: createRoute({
    method: "post",
    path: "/tasks/{task}/stop",
    summary: "Stop a task, politely, then not",
    request: task,
    responses: { 200: json(TaskView, "It has ended."), ...failure },
  }),
  restartTask: createRoute({
    method: "post",
    path: "/tasks/{task}/restart",
    summary: "Start a task anew; one that runs is stopped first",
    request: task,
    responses: { 200: json(TaskView, "It starts."), ...failure },
  }),
  removeTask: createRoute({
    method: "delete",
    path: "/tasks/{task}",
    summary: "Stop a task and forget it, with its logs",
    request: task,
    responses: { ...nothing, ...failure },
  }),
  taskLogs: createRoute({
    method: "get",
    path: "/tasks/{task}/logs",
    summary: "What a task wrote",
    request: { ...task, query: LogQuery },
    responses: {
      200: text("text/plain", "Lines, as they come. A cut connection means that there was more."),
      ...failure,
    },
  }),
  listProblems: createRoute({
    method: "get",
    path: "/problems",
    summary: "What is wrong",
    responses: { 200: json(ProblemsView, "Of tasks, sources and planes."), ...failure },
  }),
  listTokens: createRoute({
    method: "get",
    path: "/tokens",
    summary: "Your tokens and browser logins",
    responses: { 200: json(TokensView, "Without the tokens themselves."), ...failure },
  }),
  createToken: createRoute({
    method: "post",
    path: "/tokens",
    summary: "Issue a token",
    request: body(TokenRequest),
    responses: { 201: json(TokenCreated, "The token, shown this once."), ...failure },
  }),
  revokeToken: createRoute({
    method: "delete",
    path: "/tokens/{id}",
    summary: "Revoke a token or a browser's login",
    request: { params: z.strictObject({ id: z.string().min(1).max(200) }) },
    responses: { ...nothing, ...failure },
  }),
  createLink: createRoute({
    method: "post",
    path: "/links",
    summary: "A login link for a browser; it works once",
    request: body(LinkRequest),
    responses: { 201: json(LinkView, "The link."), ...failure },
  }),
  redeemCode: createRoute({
    method: "post",
    path: "/login",
    summary: "Log in with the one-time code of a link",
    security: [],
    request: body(RedeemRequest),
    responses: { 200: json(LoginView, "The browser's token."), ...failure },
  }),
  whoAmI: createRoute({
    method: "get",
    path: "/login",
    summary: "Whose login this is",
    responses: { 200: json(WhoView, "You."), ...failure },
  }),
  logout: createRoute({
    method: "delete",
    path: "/login",
    summary: "Revoke the token that this request carries",
    responses: { 200: json(LogoutView, "Done here; and where to go on to."), ...nothing, ...failure },
  }),
  visit: createRoute({
    method: "post",
    path: "/visits",
    summary: "Go on from the login page to a service's host",
    request: body(VisitRequest),
    responses: { 200: json(VisitView, "Where to go, with a single-use code."), ...failure },
  }),
  events: createRoute({
    method: "get",
    path: "/events",
    summary: "The tasks, live",
    responses: {
      200: text(
        "text/event-stream",
        'Events "tasks" (first: {tasks, problems}) and "change" ({set, removed, problems}); data is JSON with its kind.',
      ),
      ...failure,
    },
  }),
  ...METHOD_ROUTES,
  ...SESSION_ROUTES,
  ...ACCESS_ROUTES,
  ...AUDIT_ROUTES,
  ...ENVOY_ROUTES,
  ...REACH_ROUTES,
  openapi: createRoute({
    method: "get",
    path: "/openapi.json",
    summary: "This document",
    security: [],
    responses: { 200: json(z.looseObject({}), "OpenAPI 3.1."), ...failure },
  }),
} as const;
