import { parse } from "tldts";
import { ok, warn, type Finding } from "./finding.ts";

/**
 * Whether browsers keep apps under this domain from setting cookies for all of it, which they do for public suffixes alone. A name of one
 * part is one by the list's default rule.
 */
export function checkDomain(domain: string): Finding {
  const { publicSuffix } = parse(domain, { allowPrivateDomains: true });
  if (!domain.includes(".") || publicSuffix === domain) {
    return ok("domain", `${domain} is a public suffix: no app under it can set cookies for its siblings`);
  }
  return warn(
    "domain",
    `${domain} is not on the Public Suffix List: a script of one app can set cookies that all others under it get. ` +
      "The gate takes no harm, and drops such cookies of servers; an app that trusts its own cookies might",
    "have the domain put on the list (publicsuffix.org, section of private domains), or use one that is, for apps alone",
  );
}
