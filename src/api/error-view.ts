import { randomBytes } from "node:crypto";
import type { Context, ErrorHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";
import { GatewayError } from "../model/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { ApiEnv } from "./api-env.ts";
import type { ErrorView } from "./wire.ts";

/** Failures become an ErrorView of their status. What was not foreseen is logged under an id, and the caller learns the id alone. */
export function answerErrors(logger: Logger): ErrorHandler<ApiEnv> {
  return (error, c) => {
    const failure = foreseen(error) ?? unforeseen(error, logger, c.req.method, c.req.path);
    if (failure.code === "unavailable") logger.warn({ err: failure.cause, reason: failure.message }, "not available");
    return sayFailure(c, failure);
  };
}

const BEARER = 'Bearer realm="taskgate"';

/** The answer that is a failure. */
export function sayFailure(c: Context<ApiEnv>, failure: GatewayError): Response {
  const view: ErrorView = { error: { code: failure.code, message: failure.message } };
  const challenge = failure.code === "unauthenticated" ? { "www-authenticate": c.get("challenge") ?? BEARER } : {};
  const wait = failure.retryAfterS === undefined ? {} : { "retry-after": String(failure.retryAfterS) };
  return c.json(view, failure.httpStatus as ContentfulStatusCode, { ...challenge, ...wait });
}

/** It may name every key that a caller made up. */
const LONGEST = 500;

/** The first thing that is wrong with a request, with the key that it is about. */
export function explainInvalid(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "the request is not valid";
  const key = issue.path.map(String).join(".");
  const text = key === "" ? issue.message : `${key}: ${issue.message}`;
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST).toWellFormed()}…`;
}

function foreseen(error: unknown): GatewayError | null {
  if (error instanceof GatewayError) return error;
  if (error instanceof HTTPException && error.status < 500) return new GatewayError("bad_request", error.message);
  return null;
}

function unforeseen(err: unknown, logger: Logger, method: string, path: string): GatewayError {
  const id = randomBytes(6).toString("hex");
  logger.error({ err, id, method, path }, "api request failed");
  return new GatewayError("internal", `something went wrong in the gate; its log says what, under ${id}`);
}
