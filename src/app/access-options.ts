import type { Config } from "../config/schema.ts";
import { realmOfConfig } from "../config/login-methods.ts";
import type { Ceiling } from "../core/access-ceiling.ts";
import type { TableOptions } from "../core/table-state.ts";
import { parseWho, type Identity } from "../model/index.ts";

/** Who gives what the config gives; no identity of a person is like it. */
const CONFIG: Identity = Object.freeze({ realm: "config", name: "access.rules" });

/** The most that owners may give. */
export function ceilingOf({ access, login }: Pick<Config, "access" | "login">): Ceiling {
  const realm = realmOfConfig(login.methods);
  const { ceiling: anyone, links, longestLink, longestGrant, realms } = access;
  const groups = access.groups
    ?.map((text) => parseWho(text, realm))
    .flatMap((who) => ("group" in who ? who.group : []));
  return { anyone, links, longestLink, longestGrant, realms, groups };
}

/** What the table is to know of who may give what, and of what the config itself gives. */
export function accessOptions(
  config: Pick<Config, "access" | "login">,
): Pick<TableOptions, "ceiling" | "grantBounds" | "accessRules"> {
  const { anyone, ...grantBounds } = ceilingOf(config);
  const realm = realmOfConfig(config.login.methods);
  const accessRules = config.access.rules.map(({ anyone: open, with: whom, until, ...patterns }) => {
    const grants = whom.map((text) => ({
      to: parseWho(text, realm),
      ...(until === undefined ? {} : { until }),
      by: CONFIG,
    }));
    return { ...patterns, access: { grants, anyone: open } };
  });
  return { ceiling: anyone, grantBounds, accessRules };
}
