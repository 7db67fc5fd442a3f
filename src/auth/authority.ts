import type { Principal } from "../model/index.ts";

/** Somebody else who decides who may do what. */
export interface Authority {
  readonly name: string;
  /** Throws GatewayError `unavailable` where no answer could be had: that is never a yes, and never a no. */
  allows(principal: Principal, resource: string, action: string, signal: AbortSignal): Promise<boolean>;
}
