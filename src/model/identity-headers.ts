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

const IDENTITY = new RegExp(
  `^(?:(?:${[...IDENTITY_HEADERS, "proxy-authorization"].join("|")})$|${IDENTITY_FAMILIES.join("|")})`,
);

/**
 * A field's name as the loosest program reads it: CGI and WSGI spell `-` and `_` alike (RFC 3875 section 4.1.18), and some servers turn
 * every other sign into `_`, so `X_Taskgate_User` and `X.Taskgate.User` would pass for `X-Taskgate-User`.
 */
export function fieldKey(name: string): string {
  return PLAIN.test(name) ? name : name.toLowerCase().replace(/[^a-z0-9]/g, "-");
}

const PLAIN = /^[a-z0-9-]*$/;

/** Whether a field says who is asking, however it is spelled. No visitor's word for that ever reaches a job, in a head or in trailers. */
export function isIdentityField(name: string): boolean {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const identity = IDENTITY.test(fieldKey(name));
  if (remembered.size < REMEMBERED_MAX && name.length <= REMEMBERED_LENGTH) remembered.set(name, identity);
  return identity;
}

/** Asked for every field of every request; all names that real programs use fit. */
const REMEMBERED_MAX = 2000;
const REMEMBERED_LENGTH = 64;
const remembered = new Map<string, boolean>();
