import { parseWho, type Principal, sameIdentity } from "../model/index.ts";

/** Whether somebody is among `names`, spelt `[user:|group:][REALM/]NAME`; `realm`: of those without one. Throws `bad_request`. */
export function createAdmins(names: readonly string[], realm: string): (principal: Principal) => boolean {
  const listed = names.map((name) => parseWho(name, realm));
  return (principal) =>
    listed.some((who) =>
      "group" in who ? principal.groups.some((group) => sameIdentity(group, who.group)) : sameIdentity(who, principal),
    );
}
