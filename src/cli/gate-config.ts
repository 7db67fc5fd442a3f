import { resolve } from "node:path";
import { formatConfigProblems } from "../config/config-problem.ts";
import { loadConfig } from "../config/load-config.ts";
import type { Config } from "../config/schema.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { note, type Terminal } from "./terminal.ts";

/** What the command line says of a gate's configuration. */
export interface GateOptions {
  readonly listen?: string;
  /** Certificates by an authority of the gate's own. */
  readonly tls?: "local";
  readonly dataPlane?: string;
  readonly config?: string;
  /** `key=value`. */
  readonly set?: readonly string[];
}

/** The configuration of a gate that is to start: file, environment and options. Warnings are said; throws `CommandFailure` with all problems. */
export function loadGateConfig(terminal: Terminal, options: GateOptions): Config {
  const { config, problems } = loadConfig({
    file: options.config === undefined ? undefined : resolve(terminal.directory, options.config),
    environment: terminal.environment,
    flags: flagsOf(options),
  });
  if (config === null) {
    throw new CommandFailure(EXIT.failure, `the configuration cannot be used\n${formatConfigProblems(problems)}`, {
      remedy: "taskgate check FILE, and docs/generated/config.md for every key",
    });
  }
  if (problems.length > 0) note(terminal, formatConfigProblems(problems));
  return config;
}

function flagsOf(options: GateOptions): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const pair of options.set ?? []) {
    const at = pair.indexOf("=");
    if (at < 1)
      throw new CommandFailure(
        EXIT.usage,
        `--set: "${pair}" is no setting; expected KEY=VALUE, such as log.level=debug`,
      );
    flags[pair.slice(0, at)] = pair.slice(at + 1);
  }
  if (options.listen !== undefined) flags["listen.address"] = options.listen;
  if (options.dataPlane !== undefined) flags.dataPlane = options.dataPlane;
  if (options.tls === "local") flags["listen.tls.local"] = "true";
  return flags;
}
