import { OpenAPIHono } from "@hono/zod-openapi";
import { ROUTES } from "./routes.ts";
import { API_PREFIX } from "./wire.ts";

/** The API as OpenAPI 3.1. Pure: the same for every gate of this version of the API. */
export function openApiDocument(): Record<string, unknown> {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  for (const [operationId, route] of Object.entries(ROUTES)) registry.registerPath({ ...route, operationId });
  registry.registerComponent("securitySchemes", "token", {
    type: "http",
    scheme: "bearer",
    description: "A token of `taskgate token create`; X-Taskgate-Authorization is taken likewise.",
  });
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "taskgate",
      version: "1",
      description:
        "One gate to everything that your jobs serve. Failures are an ErrorView with the status of its code.",
      license: { name: "Apache-2.0" },
    },
    servers: [{ url: API_PREFIX }],
    security: [{ token: [] }],
  });
  return { ...document };
}
