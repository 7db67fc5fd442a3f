import { z } from "zod";
import { methodKeys } from "./method-keys.ts";
import { duration, filePath } from "./units.ts";

const REALM_ERROR = "expected a Kerberos realm, such as EXAMPLE.COM";
const PRINCIPAL_ERROR = "expected a service principal without realm, such as HTTP/gate.example.com";
const NAME_ERROR = "expected one line of text, 1 to 256 characters";
const USER_ERROR = "expected a Kerberos principal, such as host/ci.example.com@EXAMPLE.COM";

export const KerberosMethod = z.strictObject({
  type: z.literal("kerberos").describe("Kerberos tickets (Negotiate, RFC 4559). It needs the npm package kerberos."),
  ...methodKeys,
  keytab: filePath.describe("File with the keys of the service principal, for its owner alone to read."),
  principal: z
    .string({ error: PRINCIPAL_ERROR })
    .regex(/^[A-Za-z]{1,32}\/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, { error: PRINCIPAL_ERROR })
    .optional()
    .describe("The gate's service principal. Default: HTTP/ and the gate's host."),
  realms: z
    .array(z.string().regex(/^[^\p{Cc}\s/@\\]{1,255}$/u, { error: REALM_ERROR }))
    .min(1)
    .max(100)
    .describe(
      "Kerberos realms whose users may log in. Those of the first are named without it (alice), others with it (alice@OTHER.EXAMPLE).",
    ),
  names: z
    .array(
      z.strictObject({
        principal: z
          .string()
          .regex(/^[^\p{Cc}\s@\\]{1,500}@[^\p{Cc}\s/@\\]{1,255}$/u, { error: USER_ERROR })
          .describe("A Kerberos principal, realm and all."),
        name: z
          .string()
          .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u, { error: NAME_ERROR })
          .describe("Its name here."),
      }),
    )
    .max(10_000)
    .prefault([])
    .describe("Principals that have another name here; of any realm."),
  lifetime: duration("1m", "365d")
    .prefault("12h")
    .describe("How long a browser stays logged in; then it shows a ticket again."),
  patience: duration("100ms", "10s")
    .prefault("5s")
    .describe("Longest time to judge a ticket; then the login is unavailable, which is never a no."),
});
export type KerberosMethod = z.output<typeof KerberosMethod>;
