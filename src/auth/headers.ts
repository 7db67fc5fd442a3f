import type { RequestHead, Route } from "../model/index.ts";

/**
 * Headers by which something in front of a program tells it who is asking. A visitor can write them too, so none of a visitor's ever
 * reaches a job. Documented in docs/security.md.
 */
export const IDENTITY_HEADERS: readonly string[] = Object.freeze([
  "remote-user",
  "remote-name",
  "remote-email",
  "remote-groups",
  "x-remote-user",
  "x-remote-group",
  "x-remote-groups",
  "x-forwarded-user",
  "x-forwarded-email",
  "x-forwarded-groups",
  "x-forwarded-preferred-username",
  "x-forwarded-access-token",
  "x-forwarded-client-cert",
  "x-authenticated-user",
  "x-authenticated-userid",
  "x-authenticated-groups",
  "x-goog-iap-jwt-assertion",
  "teleport-jwt-assertion",
]);

/** Beginnings of the names of whole families of such headers; the first is the gate's own. */
export const IDENTITY_FAMILIES: readonly string[] = Object.freeze([
  "x-taskgate-",
  "x-auth-request-",
  "x-remote-extra-",
  "x-webauth-",
  "x-authentik-",
  "x-pomerium-",
  "x-goog-authenticated-user-",
  "x-amzn-oidc-",
  "x-ms-client-principal",
  "cf-access-",
  "tailscale-user-",
  "x-ssl-client-",
]);

/** Of the gate's own family; what is looked for where a plane cannot say which names there are. */
const OWN_HEADERS = [
  "x-taskgate-authorization",
  "x-taskgate-service",
  "x-taskgate-user",
  "x-taskgate-groups",
  "x-taskgate-assertion",
];

const EXACT = new Set(IDENTITY_HEADERS);
const WITHOUT_NAMES: readonly string[] = [...IDENTITY_HEADERS, ...OWN_HEADERS];

/** Names of the fields of a request that its job must not see. `recognised`: what authenticators take as theirs. */
export function strippedHeaders(route: Route, head: RequestHead, recognised: readonly string[]): readonly string[] {
  const stripped = new Set(recognised);
  for (const name of head.names?.() ?? WITHOUT_NAMES) if (isStripped(name)) stripped.add(name);
  if (route.policy.authorization === "gate") stripped.add("authorization");
  return [...stripped];
}

/** CGI and WSGI spell `-` and `_` alike (RFC 3875 section 4.1.18), so `X_Taskgate_User` would pass for `X-Taskgate-User`. */
function isStripped(name: string): boolean {
  const dashed = name.includes("_") ? name.replaceAll("_", "-") : name;
  return (
    EXACT.has(dashed) ||
    dashed === "proxy-authorization" ||
    IDENTITY_FAMILIES.some((family) => dashed.startsWith(family))
  );
}
