import { z } from "zod";
import { methodKeys } from "./method-keys.ts";
import { duration, filePath, network } from "./units.ts";

const FIELD_ERROR = "expected a header's name, such as X-Remote-User";
/** The name of a field that the gate may take for itself: nothing that requests need (RFC 9110), and nothing of the gate's own. */
const field = z
  .string({ error: FIELD_ERROR })
  .regex(/^[A-Za-z][A-Za-z0-9-]{0,99}$/, { error: FIELD_ERROR })
  .refine(
    (name) =>
      !/^(?:accept.*|authorization|cache-control|connection|content-.*|cookie|date|expect|forwarded|host|if-.*|origin|range|referer|sec-.*|te|trailer|transfer-encoding|upgrade|user-agent|via|x-forwarded-(?:for|host|proto)|x-taskgate-.*)$/i.test(
        name,
      ),
    { error: "expected a header that requests do not need for themselves" },
  )
  .transform((name) => name.toLowerCase());

export const TrustedHeaderMethod = z.strictObject({
  type: z
    .literal("trusted-header")
    .describe("What a proxy that stands before the gate, and has everybody log in, says in headers."),
  ...methodKeys,
  from: z
    .array(network)
    .min(1, { error: "expected at least one address or network" })
    .max(1000)
    .describe(
      "Addresses or networks of the proxies: of who connects to the gate, whatever X-Forwarded-For says. From anybody else the headers " +
        "are ignored.",
    ),
  user: field.prefault("X-Forwarded-User").describe("Header with the user's name."),
  groups: field.optional().describe("Header with the user's groups, separated by commas. Without it nobody is in any."),
  secret: z
    .strictObject({
      header: field.prefault("X-Proxy-Secret").describe("Header that the proxy sends with every request."),
      file: filePath.describe("File with what it says, for its owner alone to read. Read again when it changes."),
    })
    .optional()
    .describe("A secret that the proxy shows beside its address."),
  lifetime: duration("1m", "30d")
    .prefault("1h")
    .describe("How long a browser stays logged in to the gate's own page; then the proxy's word is heard again."),
});
export type TrustedHeaderMethod = z.output<typeof TrustedHeaderMethod>;
