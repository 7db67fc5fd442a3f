import { EXIT, type ExitCode } from "../failure.ts";
import { ownVersion } from "../../platform/package-info.ts";
import { findGate } from "../running-gate.ts";
import { homeOf, print, printJson, type Terminal } from "../terminal.ts";

/** Asks nobody: the gate's version is in its file. */
export function version(
  terminal: Terminal,
  _words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const found = findGate(homeOf(terminal));
  const running = found.state === "running" ? { version: found.gate.version, url: found.gate.url } : null;
  if (options.json === true) {
    printJson(terminal, { version: ownVersion(), node: process.version, gate: running });
  } else {
    print(terminal, `taskgate ${ownVersion()} (Node ${process.version.slice(1)})`);
    if (running !== null) print(terminal, `gate     ${running.version} at ${running.url}`);
  }
  return Promise.resolve(EXIT.ok);
}
