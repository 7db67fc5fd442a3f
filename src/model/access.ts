import type { Identity } from "./identity.ts";

export type Anyone = "nobody" | "authenticated" | "public";

export interface Grant {
  readonly to: Identity | { readonly group: Identity } | { readonly link: string };
  /** Epoch ms; absent means until it is taken back. */
  readonly until?: number;
  readonly by: Identity;
}

/** The owner and administrators always may. Everything else is a grant. */
export interface Access {
  readonly grants: readonly Grant[];
  readonly anyone: Anyone;
  /** Someone else decides. A new epoch makes earlier answers void. */
  readonly authority?: {
    readonly name: string;
    readonly resource: string;
    readonly action: string;
    readonly epoch: string;
  };
}

/** The closed default: the owner and administrators, nobody else. */
export const OWNER_ONLY: Access = Object.freeze({ grants: Object.freeze([]), anyone: "nobody" });
