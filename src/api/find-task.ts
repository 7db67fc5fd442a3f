import type { Context } from "hono";
import { GatewayError, whoText } from "../model/index.ts";
import type { ApiEnv } from "./api-env.ts";
import { noteAudit } from "./audit-operations.ts";
import type { ApiDeps } from "./deps.ts";
import { createVisibility, type Visibility } from "./visibility.ts";
import type { TaskView } from "./wire.ts";

/** What the caller may see. */
export function visibilityOf(c: Context<ApiEnv>, deps: ApiDeps): Visibility {
  return createVisibility(c.var.principal, deps);
}

/** The task of that name, as the caller may see it. Throws `not_found`, and `conflict` for a name that several have. */
export function findTask(c: Context<ApiEnv>, deps: ApiDeps, name: string): TaskView {
  const visibility = visibilityOf(c, deps);
  const view = deps.directory.get(name, visibility.sees);
  const owner = deps.directory.ownerOf(view.id);
  noteAudit(c, {
    object: view.id,
    task: view.id,
    ...(owner === null ? {} : { owner: whoText(owner) }),
  });
  return visibility.show(view) ?? view;
}

/** The same, for its owner and administrators alone, to see all of it or to act on it. Throws `denied`, too, for all others. */
export function findOwnTask(
  c: Context<ApiEnv>,
  deps: ApiDeps,
  name: string,
  to: "read" | "manage" = "manage",
): TaskView {
  const view = findTask(c, deps, name);
  const visibility = visibilityOf(c, deps);
  if (to === "read" ? visibility.reads(view.id) : visibility.manages(view.id)) return view;
  if (visibility.reads(view.id) || c.var.principal.scope !== undefined) {
    throw new GatewayError(
      "denied",
      `this token's scope does not take that in: it needs ${to}, for all of ${view.name}`,
    );
  }
  throw new GatewayError("denied", `${view.name} is shared with you: you may use it, and its owner decides about it`);
}
