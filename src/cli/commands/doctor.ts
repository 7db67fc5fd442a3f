import { availableParallelism } from "node:os";
import type { Config } from "../../config/schema.ts";
import { checkNotebooks } from "../checks/determined-checks.ts";
import { fail, type Finding } from "../checks/finding.ts";
import { formatFinding } from "../checks/format-finding.ts";
import { checkGate } from "../checks/gate-checks.ts";
import { checkHome } from "../checks/home-checks.ts";
import {
  checkClock,
  checkDescriptors,
  checkDiscovery,
  checkDisk,
  checkNames,
  checkNode,
} from "../checks/machine-checks.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { loadGateConfig } from "../gate-config.ts";
import { startProgress } from "../progress.ts";
import { findGate } from "../running-gate.ts";
import { colorsFor, homeOf, print, printJson, type Terminal } from "../terminal.ts";

export interface DoctorOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export async function doctor(terminal: Terminal, _words: readonly string[], options: DoctorOptions): Promise<ExitCode> {
  using progress = startProgress(terminal, "Looking around");
  const findings = await examine(terminal, options);
  progress[Symbol.dispose]();
  if (options.json === true) printJson(terminal, findings);
  else for (const finding of findings) print(terminal, formatFinding(finding, colorsFor(terminal, "stdout")));
  return findings.some((finding) => finding.level === "fail") ? EXIT.failure : EXIT.ok;
}

async function examine(terminal: Terminal, options: DoctorOptions): Promise<readonly Finding[]> {
  const home = homeOf(terminal);
  const config = readConfig(terminal, options);
  const found = findGate(home);
  const domain = found.state === "running" ? found.gate.domain : "domain" in config ? config.domain : "localhost";
  return [
    checkNode(),
    ...checkHome(home),
    await checkDisk(home),
    checkClock(home),
    ...("domain" in config ? [] : [config]),
    ...(await checkGate(
      { home, environment: terminal.environment, config: "domain" in config ? config : null },
      terminal.signal,
    )),
    await checkNames(domain),
    checkDiscovery(),
    ...("domain" in config ? [checkDescriptors(descriptorsOf(config)), ...checkNotebooks(config)] : []),
  ];
}

function descriptorsOf({ limits, workers }: Config): Parameters<typeof checkDescriptors>[0] {
  const processes = workers === "auto" ? availableParallelism() : Math.max(1, workers);
  return { connections: limits.connections, processes };
}

/** The configuration, or what is wrong with it. */
function readConfig(terminal: Terminal, options: DoctorOptions): Config | Finding {
  try {
    return loadGateConfig(terminal, options);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return fail("config", error.message, error.remedy ?? "taskgate check FILE");
  }
}
