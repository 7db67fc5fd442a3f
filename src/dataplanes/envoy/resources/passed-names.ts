import type { Problem, Route, Site } from "../../../model/index.ts";
import type { XdsStringMatcher } from "../proto/tables/xds-matcher.ts";
import type { TranslateSettings } from "./settings.ts";

/**
 * Names that TLS is passed through by, where the gate ends TLS itself: those below `tls.`, and those without a dot, which no visitor can mean
 * the gate by. A listener cannot follow the table, so all others are the gate's.
 */
export function passedNames({ domain }: Site): XdsStringMatcher[] {
  return [{ suffix: `.tls.${domain}` }, { safeRegex: { googleRe2: {}, regex: "[^.]+" } }];
}

/** Why nobody gets to a route by its server name; null: they do. */
export function unpassed({ match, service }: Route, { site, certificates }: TranslateSettings): Problem | null {
  if (match.by !== "serverName" || certificates === 0) return null;
  if (match.name.endsWith(`.tls.${site.domain}`) || !match.name.includes(".")) return null;
  const message = `Envoy passes TLS through by names below tls.${site.domain} and by names without a dot; ${match.name} is neither, and is not served.`;
  return { subject: service, code: "server_name_unserved", message };
}
