import { createApiClient } from "../api-client.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { currentRemote, forgetRemote, readRemote } from "../remote-gates.ts";
import { homeOf, note, print, printJson, type Terminal } from "../terminal.ts";

/** Revokes the login to a gate elsewhere, and forgets it here in any case. */
export async function logout(
  terminal: Terminal,
  words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const home = homeOf(terminal);
  const named = words[0] ?? terminal.environment.TASKGATE_GATE ?? "";
  const login = named === "" ? currentRemote(home) : readRemote(home, named);
  if (login === null) {
    throw new CommandFailure(EXIT.notFound, `not logged in to ${named === "" ? "any gate elsewhere" : named}`);
  }
  forgetRemote(home, login);
  const { gate, token, id } = login;
  let revoked = true;
  try {
    await createApiClient({ gate, token }).revokeToken(id, terminal.signal);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    revoked = error.exitCode === EXIT.denied; // it had ended already
    if (!revoked) note(terminal, `The gate could not be told (${error.message}); there the login ends by itself.`);
  }
  if (options.json === true) printJson(terminal, { gate: gate.url, revoked });
  else print(terminal, `Logged out of ${gate.url}`);
  return revoked ? EXIT.ok : EXIT.failure;
}
