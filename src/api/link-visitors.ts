import { GatewayError, LINK_REALM, type Principal } from "../model/index.ts";
import { API_PREFIX } from "./wire.ts";

/** What there is here for who came by a link: the way to the service that it is for. */
const THEIRS: ReadonlySet<string> = new Set(["POST /visits", "GET /login", "GET /version"].map(withPrefix));

function withPrefix(operation: string): string {
  return operation.replace(" ", ` ${API_PREFIX}`);
}

/** Throws `denied` for a visitor by a link who asks for anything else: they get no token, no list, no other link. */
export function boundLinkVisitor(
  principal: Principal,
  request: { readonly method: string; readonly path: string },
): void {
  if (principal.realm !== LINK_REALM || THEIRS.has(`${request.method} ${request.path}`)) return;
  throw new GatewayError("denied", "this login came by a link to a service, and is good for that alone");
}
