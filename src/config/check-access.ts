import { parseWho, sameIdentity } from "../model/index.ts";
import { type AccessConfig, Anyone } from "./access-config.ts";
import { dotted } from "./config-keys.ts";
import type { Finding } from "./describe-issue.ts";
import { realmOfConfig } from "./login-methods.ts";
import type { Config } from "./schema.ts";

const ANYONE = Anyone.options;

/** Rules that give what `access` does not allow: it is the administrator who wrote both. */
export function checkAccess({ access, login }: Partial<Config>): Finding[] {
  if (access === undefined) return [];
  const realm = realmOfConfig(login?.methods ?? []);
  return access.rules.flatMap((rule, index) => {
    const found: Finding[] = [];
    const add = (key: string, message: string) => {
      const path = ["access", "rules", index, key];
      found.push({ path, key: dotted(path), message });
    };
    if (ANYONE.indexOf(rule.anyone) > ANYONE.indexOf(access.ceiling)) {
      add("anyone", `${rule.anyone} is more open than access.ceiling, ${access.ceiling}`);
    }
    for (const text of rule.with) {
      const refusal = granteeRefusal(text, { access, realm });
      if (refusal !== null) add("with", refusal);
    }
    return found;
  });
}

function granteeRefusal(
  text: string,
  { access, realm }: { readonly access: AccessConfig; readonly realm: string },
): string | null {
  const who = parseWho(text, realm);
  const identity = "group" in who ? who.group : who;
  if (access.realms?.includes(identity.realm) === false) {
    return `${text} is of realm ${identity.realm}, which access.realms does not name`;
  }
  if (!("group" in who) || access.groups === undefined) return null;
  const groups = access.groups.map((group) => parseWho(group, realm));
  const named = groups.some((group) => "group" in group && sameIdentity(group.group, identity));
  return named ? null : `${text} is no group that access.groups names`;
}
