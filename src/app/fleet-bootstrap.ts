import type { Config } from "../config/schema.ts";
import { isAnyAddress } from "../config/site.ts";
import type { HostPort } from "../config/units.ts";
import { buildBootstrap, type ClientFiles } from "../dataplanes/envoy/bootstrap.ts";
import { GatewayError } from "../model/index.ts";

export interface FleetBootstrapOptions {
  readonly fleet: string;
  /** By which its Envoys reach the gate; undefined: the address that the gate listens on. */
  readonly host: string | undefined;
  /** Of its Envoys' machines; needed where the gate asks for certificates. */
  readonly files: ClientFiles | null;
  /** Port of Envoy's admin on loopback. */
  readonly adminPort: number;
}

/** What Envoys of a fleet are started with, as their own JSON has it. Throws `bad_request` that says what is missing. */
export function fleetBootstrap({ envoy, limits }: Config, options: FleetBootstrapOptions): object {
  const { fleet, host, files, adminPort } = options;
  if (!envoy.fleets.some(({ name }) => name === fleet)) {
    const names = envoy.fleets.map(({ name }) => name).join(", ");
    throw bad(`the configuration has no fleet ${fleet}; there ${names === "" ? "is none" : `are: ${names}`}`);
  }
  const { tls } = envoy.xds;
  if (tls !== undefined && files === null) {
    throw bad("the gate asks Envoys for certificates: --certificate, --key and --authority");
  }
  return buildBootstrap({
    fleet,
    admin: { host: "127.0.0.1", port: adminPort },
    control: dialled("envoy.xds.address", envoy.xds.address, host),
    gate: dialled("envoy.xds.gateAddress", envoy.xds.gateAddress, host),
    tls: tls === undefined ? null : files,
    connections: limits.connections,
  });
}

/** Where an Envoy finds what the gate listens on. */
function dialled(key: string, address: HostPort | undefined, host: string | undefined): HostPort {
  if (address === undefined) throw bad(`the configuration has no ${key}`);
  const dial = host ?? address.host;
  if (isAnyAddress(dial)) throw bad(`${key}: ${dial} cannot be dialled: say by --host how Envoys reach the gate`);
  return { host: dial, port: address.port };
}

function bad(message: string): GatewayError {
  return new GatewayError("bad_request", message);
}
