import { addressText, type Address } from "../model/index.ts";

/** Host that a job at this address answers to. On loopback its name: what Bokeh's servers take, and everything else too. */
export function hostOf(address: Address): string {
  if ("unix" in address) return "localhost";
  return address.ip === "127.0.0.1" || address.ip === "::1"
    ? `localhost:${String(address.port)}`
    : addressText(address);
}
