import { GatewayError } from "../../model/index.ts";

const LEAD = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Name of the Lease that is held by who leads. Throws `bad_request` for a lead that is no lower-case word. */
export function leaseName(store: string, lead: string): string {
  if (!LEAD.test(lead)) throw new GatewayError("bad_request", `${JSON.stringify(lead)} is no lead: a lower-case word`);
  return `${store}-${lead}`;
}
