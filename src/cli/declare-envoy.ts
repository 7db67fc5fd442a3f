import type { Command } from "commander";
import { parseCount } from "./arguments.ts";
import { collect, CONFIG_OPTION, type Declare, JSON_OPTION } from "./declare.ts";

/** `taskgate envoy …`. */
export function declareEnvoy(declare: Declare, tree: Command): void {
  const envoy = tree.command("envoy").description("Envoys that move the bytes");
  declare(
    "status",
    "list Envoys: which are connected, and what each has taken; for administrators",
    async () => (await import("./commands/envoy-status.ts")).envoyStatus,
    { parent: envoy },
  ).option(...JSON_OPTION);
  declare(
    "bootstrap",
    "print what an Envoy of a fleet is started with (JSON), as the configuration has it",
    async () => (await import("./commands/envoy.ts")).envoyBootstrap,
    { parent: envoy },
  )
    .requiredOption("--fleet <name>", "one of envoy.fleets")
    .option(
      "--host <host[:port]>",
      "name or address by which the Envoy reaches the gate (default: that of envoy.xds.address); repeated for several gates",
      collect,
    )
    .option("--certificate <file>", "certificate chain of the Envoy, on its machine")
    .option("--key <file>", "its private key")
    .option("--authority <file>", "authorities that the gate's certificate comes from")
    .option("--admin-port <port>", "where the Envoy's admin is, on 127.0.0.1", parsePort, 9901)
    .option(...CONFIG_OPTION)
    .option("--set <key=value>", "set one key of the configuration; may be repeated", collect)
    .addHelpText("after", '\nStart it with: envoy -c FILE --service-node "$(hostname)"');
}

function parsePort(text: string): number {
  return parseCount(text, "--admin-port", { from: 1, to: 65_535 });
}
