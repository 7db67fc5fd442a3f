import { OWNER_ONLY, type Access, type Grant, type Identity } from "../model/index.ts";
import { LIMITS } from "./limits.ts";
import { own, readChoice, readFields, readInteger, readList, readText, type Fields } from "./read-value.ts";

export const ANYONE = ["nobody", "authenticated", "public"] as const;

const NAME_LENGTH = 256;

/** A copy. Throws Unusable. */
export function readIdentity(value: unknown, what: string): Identity {
  const fields = readFields(value, what);
  return {
    realm: readText(fields.realm, `${what}.realm`, NAME_LENGTH),
    name: readText(fields.name, `${what}.name`, NAME_LENGTH),
  };
}

/** A copy. Throws Unusable: an access that is not understood in full is never read as a narrower or wider one. */
export function readAccess(value: unknown): Access {
  if (value === OWNER_ONLY) return OWNER_ONLY;
  const fields = readFields(value, "access");
  const anyone = readChoice(fields.anyone, "access.anyone", ANYONE);
  const grants = readList(fields.grants, "access.grants", LIMITS.grantsPerAccess);
  const authority = fields.authority;
  if (grants.length === 0 && authority === undefined && anyone === "nobody") return OWNER_ONLY;
  return {
    grants: grants.map(readGrant),
    anyone,
    ...(authority !== undefined && { authority: readAuthority(authority) }),
  };
}

function readGrant(value: unknown): Grant {
  const fields = readFields(value, "grant");
  const until = fields.until;
  return {
    to: readGrantee(readFields(fields.to, "grant.to")),
    ...(until !== undefined && { until: readInteger(until, "grant.until", 0, Number.MAX_SAFE_INTEGER) }),
    by: readIdentity(fields.by, "grant.by"),
  };
}

function readGrantee(fields: Fields): Grant["to"] {
  const group = fields.group;
  if (group !== undefined) return { group: readIdentity(group, "grant.to.group") };
  const link = fields.link;
  if (link !== undefined) return { link: readText(link, "grant.to.link", NAME_LENGTH) };
  return readIdentity(fields, "grant.to");
}

function readAuthority(value: unknown): NonNullable<Access["authority"]> {
  const fields = readFields(value, "access.authority");
  const read = (name: string) => readText(own(fields, name), `access.authority.${name}`, 1024);
  return {
    name: read("name"),
    resource: read("resource"),
    action: read("action"),
    epoch: read("epoch"),
  };
}
