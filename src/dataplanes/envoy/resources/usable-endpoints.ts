import { addressText, type Endpoint, type Endpoints, type Problem, providerOf } from "../../../model/index.ts";
import { forbiddenTarget, type DialRules } from "../../forbidden-target.ts";

/** Linux: `sun_path` without its closing zero. */
const UNIX_PATH_BYTES = 107;

export interface Usable {
  readonly list: readonly Endpoint[];
  readonly problems: readonly Problem[];
}

export type UsableRules = DialRules & { readonly ownAddresses: ReadonlySet<string> };

/** The endpoints that Envoy may be told of; what it may never dial, and what it would refuse as a whole, is left out. */
export function usableEndpoints({ upstream, list }: Endpoints, rules: UsableRules): Usable {
  const problems: Problem[] = [];
  const provider = providerOf(upstream);
  const usable = list.filter((endpoint) => {
    const why = unusable(endpoint) ?? forbiddenTarget(endpoint.address, provider, rules);
    if (why === null) return true;
    const message = `The endpoint ${addressText(endpoint.address)} ${why}. It is left out.`;
    problems.push({ subject: upstream, code: "endpoint_invalid", message });
    return false;
  });
  return { list: problems.length === 0 ? list : usable, problems };
}

function unusable({ address }: Endpoint): string | null {
  if ("unix" in address)
    return Buffer.byteLength(address.unix) > UNIX_PATH_BYTES ? "has a path that is too long" : null;
  const { port } = address;
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? null : "has a port that is none from 1 to 65535";
}
