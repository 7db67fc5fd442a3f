import { fleetBootstrap } from "../../app/fleet-bootstrap.ts";
import { GatewayError } from "../../model/index.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { type GateOptions, loadGateConfig } from "../gate-config.ts";
import { printJson, type Terminal } from "../terminal.ts";

export interface EnvoyBootstrapOptions extends GateOptions {
  readonly fleet: string;
  readonly host?: readonly string[];
  readonly certificate?: string;
  readonly key?: string;
  readonly authority?: string;
  readonly adminPort: number;
}

/** Prints what an Envoy of a fleet is started with. Asks no gate: it follows from the configuration. */
export function envoyBootstrap(
  terminal: Terminal,
  _words: readonly string[],
  options: EnvoyBootstrapOptions,
): Promise<ExitCode> {
  const { fleet, host: hosts = [], certificate, key, authority, adminPort } = options;
  const config = loadGateConfig(terminal, options);
  const files =
    certificate === undefined || key === undefined || authority === undefined ? null : { certificate, key, authority };
  if (files === null && (certificate ?? key ?? authority) !== undefined) {
    throw new CommandFailure(EXIT.usage, "--certificate, --key and --authority belong together: expected all or none");
  }
  try {
    printJson(terminal, fleetBootstrap(config, { fleet, hosts, files, adminPort }));
    return Promise.resolve(EXIT.ok);
  } catch (error) {
    if (error instanceof GatewayError) throw new CommandFailure(EXIT.failure, error.message, { cause: error });
    throw error;
  }
}
