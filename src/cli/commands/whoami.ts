import { EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { print, printable, printJson, type Terminal } from "../terminal.ts";

export async function whoami(
  terminal: Terminal,
  _words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const client = connect(terminal);
  const who = await client.whoAmI(terminal.signal);
  if (options.json === true) printJson(terminal, { ...who, gate: client.gate.url });
  else {
    const role = who.admin ? ", an administrator" : "";
    print(terminal, `${printable(who.name)} (${who.realm})${role} at ${client.gate.url}`);
  }
  return EXIT.ok;
}
