import type { Config } from "../../config/schema.ts";
import { warn, type Finding } from "./finding.ts";

/** Of each provider of Determined's tasks whether notebooks have to show who they are. */
export function checkNotebooks({ providers }: Pick<Config, "providers">): readonly Finding[] {
  return providers
    .filter(({ kinds, determinedTls }) => kinds.includes("determined") && determinedTls === undefined)
    .map(({ name }) =>
      warn(
        "determined",
        `notebooks of ${name} are spoken to by TLS whoever answers: any certificate will do`,
        "determined.tls: certificates of Determined's master, see docs/determined.md",
      ),
    );
}
