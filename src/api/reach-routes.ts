import { createRoute } from "@hono/zod-openapi";
import { GatewayError, type ReachReport } from "../model/index.ts";
import type { Api } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";
import { failure, json } from "./route-parts.ts";
import { ReachesView, type ReachView } from "./wire-reaches.ts";

export const REACH_ROUTES = {
  listReaches: createRoute({
    method: "get",
    path: "/reaches",
    summary:
      "How providers are reached whose tasks cannot be dialled as they are, and what there is room for; for administrators",
    responses: { 200: json(ReachesView, "By provider."), ...failure },
  }),
} as const;

/** How tasks in other networks are reached. */
export function addReachRoutes(api: Api, { reaches }: Pick<ApiDeps, "reaches">): void {
  api.openapi(REACH_ROUTES.listReaches, (c) => {
    if (!c.var.principal.admin) throw new GatewayError("denied", "only administrators may see how tasks are reached");
    const views = reaches().map(viewReach);
    return c.json({ reaches: views.toSorted((one, other) => one.provider.localeCompare(other.provider)) }, 200);
  });
}

function viewReach(report: ReachReport): ReachView {
  return { ...report, gateways: [...report.gateways], advice: [...report.advice] };
}
