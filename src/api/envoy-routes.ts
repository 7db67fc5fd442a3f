import { createRoute } from "@hono/zod-openapi";
import type { Instance } from "../dataplanes/dataplane.ts";
import { GatewayError } from "../model/index.ts";
import type { Api } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";
import { failure, json } from "./route-parts.ts";
import { EnvoysView, type EnvoyView } from "./wire-envoys.ts";

export const ENVOY_ROUTES = {
  listEnvoys: createRoute({
    method: "get",
    path: "/envoys",
    summary: "Envoys that are connected, or were in the last ten minutes; for administrators",
    responses: { 200: json(EnvoysView, "By fleet, then id."), ...failure },
  }),
} as const;

const NO_ENVOYS =
  "this gate has no Envoys: it moves the bytes itself. taskgate up --data-plane envoy starts one that does not";

/** What serves in the gate's stead. */
export function addEnvoyRoutes(api: Api, { envoys, version }: Pick<ApiDeps, "envoys" | "version">): void {
  api.openapi(ENVOY_ROUTES.listEnvoys, (c) => {
    if (!c.var.principal.admin) throw new GatewayError("denied", "only administrators may see Envoys");
    const all = envoys();
    if (all === null) throw new GatewayError("not_found", NO_ENVOYS);
    const { revision } = version();
    const views = [...all].flatMap(([id, instance]) => viewEnvoy(id, instance, revision) ?? []);
    return c.json({ revision, envoys: views.toSorted(byFleet) }, 200);
  });
}

function viewEnvoy(id: string, { applied, proxy }: Instance, revision: number): EnvoyView | null {
  if (proxy === undefined) return null;
  return { id, ...proxy, applied, behind: applied < 0 ? null : Math.max(0, revision - applied) };
}

function byFleet(one: EnvoyView, other: EnvoyView): number {
  return one.fleet.localeCompare(other.fleet) || one.id.localeCompare(other.id);
}
