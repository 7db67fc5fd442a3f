import { z } from "zod";
import { methodKeys } from "./method-keys.ts";
import { duration, filePath } from "./units.ts";

export const BasicMethod = z
  .strictObject({
    type: z.literal("basic").describe("Passwords: HTTP basic authentication for programs, a form for people."),
    ...methodKeys,
    passwordFile: filePath
      .optional()
      .describe(
        "File as htpasswd writes it, USER:HASH on each line, bcrypt (`htpasswd -B`) or scrypt (`taskgate password`). Read again when it changes; " +
          "one that is broken is not taken.",
      ),
    groupsFile: filePath.optional().describe("File with GROUP: USER USER … on each line. Read again when it changes."),
    sharedPasswordFile: filePath
      .optional()
      .describe(
        "File with one password for everybody, whatever user they say they are, as in the simple mode of Dask Gateway. For a team whose " +
          "members trust each other; for its owner alone to read.",
      ),
    cache: duration("0ms", "1h")
      .prefault("5m")
      .describe("How long a password that was right is not checked again. A change of the file ends it at once."),
    lifetime: duration("1m", "365d").prefault("12h").describe("How long a browser stays logged in, at most."),
  })
  .refine((method) => (method.passwordFile === undefined) !== (method.sharedPasswordFile === undefined), {
    path: ["passwordFile"],
    error: "expected either passwordFile or sharedPasswordFile",
  });
export type BasicMethod = z.output<typeof BasicMethod>;
