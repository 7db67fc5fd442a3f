import { isIP } from "node:net";
import type { Config } from "../config/schema.ts";
import { isAnyAddress } from "../config/site.ts";
import type { HostPort } from "../config/units.ts";
import { buildBootstrap, type ClientFiles } from "../dataplanes/envoy/bootstrap.ts";
import { GatewayError } from "../model/index.ts";

export interface FleetBootstrapOptions {
  readonly fleet: string;
  /** By which its Envoys reach the gate or, each with its own `HOST[:PORT]`, the gates; empty: the address that the gate listens on. */
  readonly hosts: readonly string[];
  /** Of its Envoys' machines; needed where the gate asks for certificates. */
  readonly files: ClientFiles | null;
  /** Port of Envoy's admin on loopback. */
  readonly adminPort: number;
}

/** What Envoys of a fleet are started with, as their own JSON has it. Throws `bad_request` that says what is missing. */
export function fleetBootstrap({ envoy, limits }: Config, options: FleetBootstrapOptions): object {
  const { fleet, hosts, files, adminPort } = options;
  if (!envoy.fleets.some(({ name }) => name === fleet)) {
    const names = envoy.fleets.map(({ name }) => name).join(", ");
    throw bad(`the configuration has no fleet ${fleet}; there ${names === "" ? "is none" : `are: ${names}`}`);
  }
  const { tls } = envoy.xds;
  if (tls !== undefined && files === null) {
    throw bad("the gate asks Envoys for certificates: --certificate, --key and --authority");
  }
  const { address, gateAddress, advertise } = envoy.xds;
  const [first, ...others] = hosts;
  if (others.length > 0 && advertise === undefined) {
    throw bad("Envoys that several gates tell are to know which one does: set envoy.xds.advertise of each gate");
  }
  return buildBootstrap({
    fleet,
    admin: { host: "127.0.0.1", port: adminPort },
    control: [
      dialled("envoy.xds.address", address, first),
      ...others.map((host) => dialled("envoy.xds.address", address, host)),
    ],
    gate: advertise === undefined ? dialled("envoy.xds.gateAddress", gateAddress, first) : null,
    tls: tls === undefined ? null : files,
    connections: limits.connections,
  });
}

/** Where an Envoy finds what the gate listens on. */
function dialled(key: string, address: HostPort | undefined, at: string | undefined): HostPort {
  if (address === undefined) throw bad(`the configuration has no ${key}`);
  const { host, port } = at === undefined ? address : readHost(at, address.port);
  if (isAnyAddress(host)) throw bad(`${key}: ${host} cannot be dialled: say by --host how Envoys reach the gate`);
  return { host, port };
}

/** `gate.example.com`, `gate.example.com:7083`, `[::1]:7083`, `::1`. Throws `bad_request`. */
function readHost(text: string, usual: number): HostPort {
  const [, bracketed, plain, port = String(usual)] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = isIP(text) === 6 ? text : (bracketed ?? plain);
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw bad(`--host ${text}: expected HOST[:PORT]`);
  return { host, port: Number(port) };
}

function bad(message: string): GatewayError {
  return new GatewayError("bad_request", message);
}
