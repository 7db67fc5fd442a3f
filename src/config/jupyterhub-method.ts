import { z } from "zod";
import { isSafeUrl, methodKeys, texts } from "./method-keys.ts";
import { duration, filePath, flag } from "./units.ts";

/** An address to which paths are added. */
function baseUrl(expected: string) {
  return z
    .string()
    .refine(isSafeUrl, { error: `expected ${expected}` })
    .transform((text) => text.replace(/\/+$/, ""));
}

const SERVICE_ERROR = "expected a name of letters, digits, dashes, dots and underscores, such as taskgate";

/** `url` and `apiUrl` come without a last slash. */
export const JupyterHubMethod = z.strictObject({
  type: z.literal("jupyterhub").describe("Users and tokens of a JupyterHub, of which the gate is a service."),
  ...methodKeys,
  url: baseUrl("the hub's address, an https URL such as https://jupyter.example.com/hub").describe(
    "The hub as browsers see it, `/hub/` included.",
  ),
  apiUrl: baseUrl("the address of the hub's API, such as http://127.0.0.1:8081/hub/api")
    .optional()
    .describe("The hub's API as the gate reaches it. Default: `api` below `url`."),
  service: z
    .string({ error: SERVICE_ERROR })
    .regex(/^[A-Za-z0-9][\w.-]{0,99}$/, { error: SERVICE_ERROR })
    .prefault("taskgate")
    .describe("The gate's name among the hub's services."),
  clientSecretFile: filePath
    .optional()
    .describe(
      "File with that service's `api_token`, for its owner alone to read. Without it browsers cannot log in by the hub, only programs.",
    ),
  scopes: texts("a scope, such as access:services!service=taskgate")
    .min(1)
    .optional()
    .describe("Scopes of the hub, one of which a token must hold. Default: access:services, also of `service` alone."),
  admins: flag.prefault(false).describe("Make the hub's administrators administrators of the gate."),
  schemes: z
    .array(z.enum(["jupyterhub", "token", "bearer"]))
    .min(1)
    .prefault(["jupyterhub", "token", "bearer"])
    .describe(
      "Schemes of Authorization that hold tokens of the hub: `jupyterhub` always, `token` and `bearer` where 32 hexadecimal digits " +
        "follow, as in the hub's own tokens and not in a notebook server's.",
    ),
  cache: duration("0ms", "1m").prefault("5s").describe("How long the hub's answer about a program's token is kept."),
  lifetime: duration("1m", "365d")
    .prefault("12h")
    .describe("How long a browser stays logged in, at most; then the hub is asked to log it in again."),
  recheck: duration("1s", "1d")
    .prefault("1m")
    .describe(
      "How old what is known of a person may get, while they use anything, before the hub is asked again: about their login there, " +
        "their groups, their scopes.",
    ),
  patience: duration("100ms", "10s")
    .prefault("5s")
    .describe("Longest wait for an answer of the hub; then the login is unavailable, which is never a no."),
});
export type JupyterHubMethod = z.output<typeof JupyterHubMethod>;
