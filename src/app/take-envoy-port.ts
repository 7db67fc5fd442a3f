import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { once } from "node:events";
import type { Home } from "../config/home.ts";
import type { FleetConfig } from "../config/envoy-config.ts";
import type { Config } from "../config/schema.ts";
import { buildBootstrap } from "../dataplanes/envoy/bootstrap.ts";
import type { GrpcTls } from "../dataplanes/envoy/grpc-server.ts";
import { type EnvoyFiles, envoyFiles, makeEnvoyFolder } from "../dataplanes/envoy/local/envoy-files.ts";
import { findEnvoy } from "../dataplanes/envoy/local/find-envoy.ts";
import { LocalEnvoy } from "../dataplanes/envoy/local/local-envoy.ts";
import { isAlive, readRecord } from "../dataplanes/envoy/local/record.ts";
import { LOCAL_FLEET } from "../dataplanes/envoy/names.ts";
import type { RemoteFleet } from "../dataplanes/envoy/admit-envoys.ts";
import { type LocalFleet, type RemoteAddresses, startEnvoyPlane } from "../dataplanes/envoy/plane.ts";
import { startEnvoyCertificates } from "./envoy-certificates.ts";
import { GATE_PROVIDER } from "../model/index.ts";
import { listenAt } from "../platform/bind-error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { LocalAuthority } from "../dataplanes/embedded/tls/local-authority.ts";
import { readFleetTls, watchFleetTls } from "./fleet-tls.ts";
import type { TakenPort } from "./taken-port.ts";

export interface EnvoyPortDeps {
  readonly config: Config;
  readonly home: Home;
  /** What makes certificates where the configuration asks for it. */
  readonly authority: LocalAuthority | null;
  readonly listener: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Address = LocalFleet["listen"];

/**
 * The port of a gate whose bytes Envoys move: one that is free, or that an Envoy which an earlier gate left behind has; the Envoy itself
 * binds it. Throws what `bindError`, `findEnvoy` and `startCertificates` throw.
 */
export async function takeEnvoyPort(deps: EnvoyPortDeps): Promise<TakenPort> {
  const { config, home, authority, listener, clock, logger } = deps;
  const { envoy, listen, limits, requestId, accessLog, tracing } = config;
  await using scope = new AsyncDisposableStack();
  const certificates = scope.adopt(
    await startEnvoyCertificates({ tls: listen.tls, authority, clock, logger }),
    (source) => source?.[Symbol.dispose](),
  );
  const files = envoyFiles(home.envoy);
  const address = envoy.local
    ? await takeAddress(listen, files)
    : { ip: ipOf(listen.address.host), port: listen.address.port };
  const local = await localFleet(deps, files, address);
  const remote = await remoteAddresses(config);
  const resources = scope.move();
  return {
    ...{ port: address.port, address: address.ip },
    ...(!envoy.local && { apiSocket: home.apiSocket }),
    otherPorts: remote === null ? [] : [remote.address.port, remote.gateAddress.port],
    trustFile: (host) => certificates?.trustFile(host),
    async serve({ site, dialRules, secret, auth, explain, isAdmin }) {
      const plane = await startEnvoyPlane({
        ...{ site, limits, secret, listener, dialRules, requestId, accessLog, tracing, certificates, local, remote },
        ...{ explain, isAdmin, clock, logger, apiSocket: home.apiSocket },
        ...{ gatekeeper: auth.gatekeeper, verification: auth.verification },
        proxiesFrom: listen.proxyProtocol.from,
        fronts: listen.forwarded,
        fleets: envoy.fleets.map((fleet) => remoteFleet(fleet, listen)),
      });
      if (envoy.xds.tls !== undefined && remote !== null) {
        const renew = (tls: GrpcTls): void => plane.renewTls(tls);
        resources.use(await watchFleetTls(envoy.xds.tls, { clock, logger, renew }));
      }
      return {
        plane,
        replace: () => plane.restart(),
        settled: () => plane.settled(),
        ready: () => plane.ready(),
      };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Of an Envoy that runs, the address that it has; else one that nobody has now. */
async function takeAddress({ address }: Config["listen"], files: EnvoyFiles): Promise<Address> {
  const left = readRecord(files.record);
  if (left !== null && isAlive(left) && isFor(left, address)) return { ip: left.address, port: left.port };
  const probe = createServer();
  const taken = await listenAt(probe, "listen.address", { host: address.host, port: address.port, exclusive: true });
  probe.close();
  await once(probe, "close");
  return { ip: taken.address, port: taken.port };
}

function isFor(
  left: { readonly address: string; readonly port: number },
  wanted: Config["listen"]["address"],
): boolean {
  return left.address === ipOf(wanted.host) && (wanted.port === 0 || wanted.port === left.port);
}

function ipOf(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

async function localFleet(
  { config, clock, logger }: EnvoyPortDeps,
  files: EnvoyFiles,
  listen: Address,
): Promise<LocalFleet> {
  const { envoy, limits, workers, workerGrace } = config;
  makeEnvoyFolder(files);
  const { controlSocket, gateSocket, adminSocket } = files;
  if (!envoy.local) return { listen, controlSocket, gateSocket, create: null };
  const program = await findEnvoy({ configured: envoy.program, environment: process.env });
  const bootstrap = buildBootstrap({
    fleet: LOCAL_FLEET,
    ...{ admin: { unix: adminSocket }, control: [{ unix: controlSocket }], gate: { unix: gateSocket }, tls: null },
    connections: limits.connections,
  });
  return {
    ...{ listen, controlSocket, gateSocket },
    create: (changed) =>
      new LocalEnvoy({
        ...{ program, files, bootstrap, address: listen.ip, port: listen.port, changed, clock, logger },
        threads: workers === "auto" ? availableParallelism() : Math.max(1, workers),
        graceMs: workerGrace,
        logBytes: envoy.logBytes,
      }),
  };
}

function remoteFleet(
  { name, listen, clients, providers }: FleetConfig,
  { address: own }: Config["listen"],
): RemoteFleet {
  const { host, port } = listen ?? own;
  return {
    ...{ name, listen: { ip: ipOf(host), port } },
    ...(providers !== undefined && { providers: [...providers, GATE_PROVIDER] }),
    clients: clients.length === 0 ? [name] : clients,
  };
}

async function remoteAddresses({ envoy: { xds } }: Config): Promise<RemoteAddresses | null> {
  const { address, gateAddress, advertise = null, tls } = xds;
  if (address === undefined || gateAddress === undefined) return null;
  return { address, gateAddress, advertise, tls: tls === undefined ? null : await readFleetTls(tls) };
}
