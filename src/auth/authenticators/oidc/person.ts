import { type OidcMethod, realmOf } from "../../../config/login-methods.ts";
import { GatewayError, type Identity, parseUser, type Principal } from "../../../model/index.ts";

/** What a provider said of somebody, verified. */
export type Claims = Readonly<Record<string, unknown>>;

/** So many groups of one person are looked at. */
const MAX_GROUPS = 1000;

/** What of a method says who somebody is. */
export type PersonRules = Pick<
  OidcMethod,
  "name" | "realm" | "nameClaim" | "groupsClaim" | "adminClaim" | "adminGroups" | "allow"
>;

/**
 * Who the person of these claims is here. Throws `denied` for somebody whom the method does not let in, and `unauthenticated` where the
 * claims name nobody.
 */
export function personOf(rules: PersonRules, claims: Claims): Principal {
  const realm = realmOf(rules);
  const name = nameOf(rules, claims);
  const groups = groupsOf(rules, claims);
  if (!isAllowed(rules.allow, { name, groups, claims })) {
    throw new GatewayError("denied", `${name} is not among those who may log in here`);
  }
  const admin =
    groups.some((group) => rules.adminGroups.includes(group)) ||
    (rules.adminClaim !== undefined && claimAt(claims, rules.adminClaim) === true);
  return { realm, name, groups: groups.flatMap((group) => identity(realm, group) ?? []), admin };
}

/** Whether the claims hold all that the method looks at; if not, the provider's userinfo may say more. */
export function saysEnough(rules: PersonRules, claims: Claims): boolean {
  const looked = [rules.nameClaim, rules.groupsClaim, rules.adminClaim ?? rules.nameClaim];
  if (rules.allow.emailDomains.length > 0) looked.push("email", "email_verified");
  if (rules.nameClaim === "email") looked.push("email_verified");
  return looked.every((name) => claimAt(claims, name) !== undefined);
}

function nameOf({ name: method, realm, nameClaim }: PersonRules, claims: Claims): string {
  const name = claimAt(claims, nameClaim);
  if (typeof name !== "string") {
    throw new GatewayError("unauthenticated", `${method}: the provider says no ${nameClaim} of this person`);
  }
  if (nameClaim === "email" && claims.email_verified !== true) {
    throw new GatewayError("denied", `${method}: the provider has not verified this person's address of e-mail`);
  }
  if (identity(realm ?? method, name) === null) {
    throw new GatewayError("denied", `${method}: the provider's name of this person cannot be used here`);
  }
  return name;
}

/** null: a name that nobody could be called by here. */
function identity(realm: string, name: string): Identity | null {
  try {
    const { realm: of, name: called } = parseUser(`user:${realm}/${name}`, realm);
    return { realm: of, name: called };
  } catch {
    return null;
  }
}

/** A list of texts, or one text. Objects, as some providers list, are not looked into. */
function groupsOf({ groupsClaim }: PersonRules, claims: Claims): readonly string[] {
  const found = claimAt(claims, groupsClaim);
  const list: readonly unknown[] = Array.isArray(found) ? found : [found];
  return list.filter((group) => typeof group === "string").slice(0, MAX_GROUPS);
}

function isAllowed(
  { users, groups, emailDomains }: PersonRules["allow"],
  person: { readonly name: string; readonly groups: readonly string[]; readonly claims: Claims },
): boolean {
  if (users.length + groups.length + emailDomains.length === 0) return true;
  const domain = verifiedDomain(person.claims);
  return (
    users.includes(person.name) ||
    person.groups.some((group) => groups.includes(group)) ||
    emailDomains.some((allowed) => allowed.toLowerCase() === domain)
  );
}

/** In lower case; null: none that the provider vouches for. */
function verifiedDomain({ email, email_verified: verified }: Claims): string | null {
  if (typeof email !== "string" || verified !== true) return null;
  const at = email.lastIndexOf("@");
  return at < 1 ? null : email.slice(at + 1).toLowerCase();
}

/** A claim by its very name, which may hold dots (`https://example.com/groups`), else by the path that its dots spell. */
function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split(".").reduce<unknown>((now, part) => {
    if (typeof now !== "object" || now === null || !Object.hasOwn(now, part)) return undefined;
    return (now as Claims)[part];
  }, claims);
}
