import type { HttpBindings } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Caller } from "../auth/login.ts";

/** What middleware leaves for handlers. */
export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
  Variables: {
    /** Who asks. Not set on the few operations that need no login. */
    principal: Caller;
  };
}

export type Api = OpenAPIHono<ApiEnv>;
