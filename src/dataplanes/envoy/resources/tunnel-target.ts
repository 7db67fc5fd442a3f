import { hostPort, takesNew, type Endpoints, type Route } from "../../../model/index.ts";
import { usableEndpoints, type UsableRules } from "./usable-endpoints.ts";

/** `IP:PORT` of an endpoint that a tunnel to this route may be led to; undefined: there is none. `random`: 0 to 1. */
export function tunnelTarget(
  { replica }: Pick<Route, "replica">,
  endpoints: Endpoints | undefined,
  { rules, random }: { readonly rules: UsableRules; readonly random: number },
): string | undefined {
  if (endpoints === undefined) return undefined;
  const well = usableEndpoints(endpoints, rules).list.flatMap((endpoint) => {
    const { address, health } = endpoint;
    const usable = takesNew(health) && (replica ?? endpoint.replica) === endpoint.replica;
    return usable && "ip" in address ? [hostPort(address.ip, address.port)] : [];
  });
  return well[Math.floor(random * well.length)];
}
