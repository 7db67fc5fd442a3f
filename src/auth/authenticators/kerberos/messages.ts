import type { Question } from "../../../platform/process-link.ts";

/** What became of a ticket. */
export type Verdict =
  | {
      readonly kind: "accepted";
      /** As Kerberos spells it: `alice@EXAMPLE.COM`. */
      readonly client: string;
      /** The gate's own proof for the client (mutual authentication), base64; null: none is due. */
      readonly answer: string | null;
    }
  /** `reason`: for the visitor. */
  | { readonly kind: "refused"; readonly reason: string }
  /** Nobody can say. `reason`: for the log. */
  | { readonly kind: "unusable"; readonly reason: string };

/** `service`: `HTTP@gate.example.com` (GSS_C_NT_HOSTBASED_SERVICE). `ticket`: base64, as it came. */
export const ACCEPT: Question<{ readonly service: string; readonly ticket: string }, Verdict> = {
  name: "kerberos.accept",
};
