import type { GateFile } from "../../config/home.ts";
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
  const running = found.state === "running" ? runningGate(found.gate) : null;
  if (options.json === true) {
    printJson(terminal, { version: ownVersion(), node: process.version, gate: running });
  } else {
    print(terminal, `taskgate ${ownVersion()} (Node ${process.version.slice(1)})`);
    if (running !== null)
      print(terminal, `gate     ${running.version} at ${running.url}, data plane ${running.dataPlane}`);
  }
  return Promise.resolve(EXIT.ok);
}

function runningGate({ version, url, dataPlane = "embedded" }: GateFile) {
  return { version, url, dataPlane };
}
