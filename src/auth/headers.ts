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

/** Every name that is taken out, as one expression: it is asked for each field of each request. */
const STRIPPED = new RegExp(
  `^(?:(?:${[...IDENTITY_HEADERS, "proxy-authorization"].join("|")})$|${IDENTITY_FAMILIES.join("|")})`,
);
const WITHOUT_NAMES: readonly string[] = [...IDENTITY_HEADERS, ...OWN_HEADERS];

/** Names of the fields of a request that its job must not see. `recognised`: what authenticators take as theirs. */
export function strippedHeaders(route: Route, head: RequestHead, recognised: readonly string[]): readonly string[] {
  const stripped = [...recognised];
  for (const name of head.names?.() ?? WITHOUT_NAMES) if (isStripped(name)) stripped.push(name);
  if (route.policy.authorization === "gate") stripped.push("authorization");
  return stripped.length > 1 ? [...new Set(stripped)] : stripped;
}

/** CGI and WSGI spell `-` and `_` alike (RFC 3875 section 4.1.18), so `X_Taskgate_User` would pass for `X-Taskgate-User`. */
function isStripped(name: string): boolean {
  return STRIPPED.test(name.includes("_") ? name.replaceAll("_", "-") : name);
}
