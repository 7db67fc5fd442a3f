import type { Command } from "commander";
import { parseActions, parseLifetime } from "./arguments.ts";
import { collect, type Declare, JSON_OPTION } from "./declare.ts";

/** `taskgate token …`. */
export function declareTokens(declare: Declare, tree: Command): void {
  const token = tree.command("token").description("logins for programs");
  declare(
    "create",
    "make a token and print it, this once",
    async () => (await import("./commands/token.ts")).createToken,
    { parent: token },
  )
    .argument("[name]", "what it is for", "command line")
    .option("--for <duration>", "how long it is good (default: login.tokens.lifetime)", (text) =>
      parseLifetime(text, "--for"),
    )
    .option("--scope <actions>", "only these: connect, read, manage, with commas between", parseActions)
    .option(
      "--service <service>",
      "only these: TASK, TASK/SERVICE or PROVIDER/TASK/SERVICE, with * for any characters; may be repeated",
      collect,
    )
    .option("--account <name>", "for a service account instead of you: administrators alone")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      "\nWith --service alone the token may connect, and nothing else. Without both it may do what you may.",
    );
  declare(
    "list",
    "list tokens and browsers that are logged in",
    async () => (await import("./commands/token.ts")).listTokens,
    {
      parent: token,
    },
  ).option(...JSON_OPTION);
  declare("revoke", "revoke tokens, at once", async () => (await import("./commands/token.ts")).revokeTokens, {
    parent: token,
  })
    .argument("<tokens...>", "ids, or names that only one has")
    .option(...JSON_OPTION);
  declare(
    "password",
    "hash a password for a password file (login method basic)",
    async () => (await import("./commands/password.ts")).password,
  ).argument("<user>", "whose password it is");
}
