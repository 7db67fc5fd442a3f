import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { body, failure, json, nothing } from "./route-parts.ts";
import {
  AccessHistoryView,
  AccessRequest,
  AccessView,
  GrantCreated,
  GrantRequest,
  SharedLinkRequest,
  SharedLinkView,
} from "./wire-access.ts";

const name = z.string().min(1).max(300).describe("A task's name, or its PROVIDER/TASK, percent-encoded.");
const ofTask = { params: z.strictObject({ task: name }) };
const ofService = {
  params: z.strictObject({ task: name, service: z.string().min(1).max(63).describe("A service's name.") }),
};

/** Sharing, by the names of the wire's OPERATIONS. */
export const ACCESS_ROUTES = {
  showAccess: createRoute({
    method: "get",
    path: "/tasks/{task}/access",
    summary: "Who may use a task beside its owner and administrators",
    request: ofTask,
    responses: { 200: json(AccessView, "All that is given, and the most that may be."), ...failure },
  }),
  shareTask: createRoute({
    method: "post",
    path: "/tasks/{task}/access",
    summary: "Let somebody use a task; to the same as before, this changes the end",
    request: { ...ofTask, ...body(GrantRequest) },
    responses: { 201: json(GrantCreated, "What was given; a link is shown this once."), ...failure },
  }),
  replaceAccess: createRoute({
    method: "put",
    path: "/tasks/{task}/access",
    summary: "Say all that is given to users, groups and everybody; links stay",
    request: { ...ofTask, ...body(AccessRequest) },
    responses: { 200: json(AccessView, "What is given now."), ...failure },
  }),
  unshareTask: createRoute({
    method: "delete",
    path: "/tasks/{task}/access",
    summary: "Take back all that was given, links too",
    request: ofTask,
    responses: { ...nothing, ...failure },
  }),
  removeGrant: createRoute({
    method: "delete",
    path: "/tasks/{task}/access/{grant}",
    summary: "Take back one thing that was given; what it opened ends",
    request: { params: ofTask.params.extend({ grant: z.string().min(1).max(100) }) },
    responses: { ...nothing, ...failure },
  }),
  accessHistory: createRoute({
    method: "get",
    path: "/tasks/{task}/access/history",
    summary: "Who changed what was given, and when",
    request: ofTask,
    responses: { 200: json(AccessHistoryView, "Newest first."), ...failure },
  }),
  showServiceAccess: createRoute({
    method: "get",
    path: "/tasks/{task}/services/{service}/access",
    summary: "Who may use a service beside its owner and administrators",
    request: ofService,
    responses: { 200: json(AccessView, "What is given for this service alone, and for all of its task."), ...failure },
  }),
  shareService: createRoute({
    method: "post",
    path: "/tasks/{task}/services/{service}/access",
    summary: "Let somebody use one service",
    request: { ...ofService, ...body(GrantRequest) },
    responses: { 201: json(GrantCreated, "What was given; a link is shown this once."), ...failure },
  }),
  replaceServiceAccess: createRoute({
    method: "put",
    path: "/tasks/{task}/services/{service}/access",
    summary: "Say all that is given for this service alone; links stay",
    request: { ...ofService, ...body(AccessRequest) },
    responses: { 200: json(AccessView, "What is given now."), ...failure },
  }),
  unshareService: createRoute({
    method: "delete",
    path: "/tasks/{task}/services/{service}/access",
    summary: "Take back all that was given for this service alone, links too",
    request: ofService,
    responses: { ...nothing, ...failure },
  }),
  redeemLink: createRoute({
    method: "post",
    path: "/links/redeem",
    summary: "Exchange a secret link for a token of its visitor",
    security: [],
    request: body(SharedLinkRequest),
    responses: { 200: json(SharedLinkView, "A token that ends with the link, and where it leads."), ...failure },
  }),
} as const;
