import { GatewayError, type Principal, type ScopeAction } from "../model/index.ts";
import { findOperation } from "./find-operation.ts";
import type { OPERATIONS } from "./wire.ts";

/**
 * What a token with a scope may ask for, and the action that its scope must hold. "any": whatever it holds, it is answered with what is in
 * its scope. What is not listed is for nobody with a scope: an operation that is new is closed to them until somebody thinks of it.
 */
const SCOPED: Readonly<Partial<Record<keyof typeof OPERATIONS, ScopeAction | "any">>> = {
  version: "any",
  whoAmI: "any",
  logout: "any",
  revokeToken: "any", // itself alone
  listTasks: "any",
  showTask: "any",
  events: "any",
  taskLogs: "read",
  listProblems: "read",
  runTask: "manage",
  attachTask: "manage",
  stopTask: "manage",
  restartTask: "manage",
  removeTask: "manage",
  visit: "connect",
};

/** Throws `denied` for what the scope of the caller's token leaves out. */
export function boundScope({ scope }: Principal, request: { readonly method: string; readonly path: string }): void {
  if (scope === undefined) return;
  const operation = findOperation(request.method, request.path)?.name;
  const needed = operation === undefined ? undefined : SCOPED[operation];
  if (needed === "any") return;
  const { actions } = scope;
  if (needed === undefined) throw new GatewayError("denied", "this is for no token with a scope; log in");
  if (actions.includes(needed) || (needed === "read" && actions.includes("manage"))) return;
  throw new GatewayError("denied", `this token's scope does not take that in: it needs ${needed}`);
}
