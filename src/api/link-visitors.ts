import { GatewayError, LINK_REALM, type Principal } from "../model/index.ts";
import { findOperation } from "./find-operation.ts";
import type { OPERATIONS } from "./wire.ts";

/** What there is here for who came by a link: the way to the service that it is for. */
const THEIRS: ReadonlySet<keyof typeof OPERATIONS> = new Set(["visit", "whoAmI", "version"] as const);

/** Throws `denied` for a visitor by a link who asks for anything else: they get no token, no list, no other link. */
export function boundLinkVisitor(
  principal: Principal,
  request: { readonly method: string; readonly path: string },
): void {
  if (principal.realm !== LINK_REALM) return;
  const operation = findOperation(request.method, request.path)?.name;
  if (operation !== undefined && THEIRS.has(operation)) return;
  throw new GatewayError("denied", "this login came by a link to a service, and is good for that alone");
}
