import { z } from "zod";

/** Of who runs the gate, of visitors by a link, of service accounts: no method vouches for those. */
const OWN_REALMS = ["local", "link", "service"];

const NAME_ERROR = "expected a name of lower-case letters, digits and dashes, such as corp";

const methodName = z
  .string({ error: NAME_ERROR })
  .regex(/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/, { error: NAME_ERROR })
  .refine((name) => !OWN_REALMS.includes(name), { error: `expected another name than ${OWN_REALMS.join(", ")}` });

/** What every method has beside its `type`. */
export const methodKeys = {
  name: methodName.describe("Name of this method: part of its addresses, and its realm unless `realm` says otherwise."),
  realm: methodName.optional().describe("Realm of the people whom it vouches for. Default: its name."),
  label: z
    .string()
    .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,80}$/u, { error: "expected one line of text, 1 to 80 characters" })
    .optional()
    .describe("What the login page calls it. Default: its name."),
};

/** A list of texts, each of 1 to 256 characters. */
export function texts(expected: string) {
  return z.array(z.string().regex(/^.{1,256}$/su, { error: `expected ${expected}` })).max(1000);
}

/** Plain HTTP is for a provider on this very machine: what crosses a network in the clear proves nothing. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if ([url.search, url.hash, url.username, url.password].some((part) => part !== "")) return false;
  const local = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname) || url.hostname.endsWith(".localhost");
  return url.protocol === "https:" || (url.protocol === "http:" && local);
}
