import { GatewayError } from "../../../model/index.ts";
import type { KerberosMethod } from "../../../config/kerberos-method.ts";

/** Components, and behind the only `@` the realm. A backslash would quote one of the two. */
const CLIENT = /^([^@\\\p{Cc}]+)@([^@/\\\p{Cc}]+)$/u;

/**
 * The name here of a Kerberos principal (`alice@EXAMPLE.COM`): what the config says; without the realm for the first realm's; with it for
 * those of the others, so that no two are the same. Throws `unauthenticated` for who is of none of the realms.
 */
export function principalName(client: string, { realms, names }: Pick<KerberosMethod, "realms" | "names">): string {
  const named = names.find(({ principal }) => principal === client);
  if (named !== undefined) return named.name;
  const [, name = "", realm = ""] = CLIENT.exec(client) ?? [];
  if (name === "" || !realms.includes(realm)) {
    throw new GatewayError("unauthenticated", "users of this Kerberos realm may not log in here");
  }
  return realm === realms[0] ? name : client;
}
