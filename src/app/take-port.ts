import { availableParallelism } from "node:os";
import type { Home } from "../config/home.ts";
import type { Config } from "../config/schema.ts";
import { hostsOf } from "../config/site.ts";
import { bindListener } from "../dataplanes/embedded/listener.ts";
import { startObservation } from "../dataplanes/embedded/observe/observation.ts";
import { newVia, startEmbeddedPlane } from "../dataplanes/embedded/plane.ts";
import { Sticky } from "../dataplanes/embedded/sticky.ts";
import { startCertificates } from "../dataplanes/embedded/tls/certificates.ts";
import { type LocalAuthority, openLocalAuthority } from "../dataplanes/embedded/tls/local-authority.ts";
import { bindPort } from "../dataplanes/embedded/workers/bound-port.ts";
import { startWorkerPlane } from "../dataplanes/embedded/workers/worker-plane.ts";
import { envoyFiles } from "../dataplanes/envoy/local/envoy-files.ts";
import { isAlive, readRecord } from "../dataplanes/envoy/local/record.ts";
import { GatewayError, hostPort, isCode } from "../model/index.ts";
import { bindError } from "../platform/bind-error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { takeEnvoyPort } from "./take-envoy-port.ts";
import type { TakenPort } from "./taken-port.ts";

/** Of a plane that serves from the start. */
const SERVES = Object.freeze({ settled: () => undefined, ready: () => Promise.resolve() });

interface PortDeps {
  readonly config: Config;
  readonly home: Home;
  /** Id of the table's one listener. */
  readonly listener: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Throws what `bindListener` throws; `conflict` names an Envoy that an earlier gate of this state folder left at the port. */
export async function takePort(deps: PortDeps): Promise<TakenPort> {
  const { config, logger } = deps;
  const options = authorityOptions(deps);
  const authority = options === null ? null : await openLocalAuthority({ ...options, now: deps.clock.now() });
  if (authority?.isNew === true) logger.info({ file: authority.file }, "made an authority: trust its certificate");
  if (config.dataPlane === "envoy") return takeEnvoyPort({ ...deps, authority });
  const taken = config.workers === 0 ? takeHere(deps, authority) : takeForWorkers(deps, authority);
  return taken.catch((error: unknown) => {
    throw (isCode(error, "conflict") ? heldByOwnEnvoy(deps) : null) ?? error;
  });
}

/** An Envoy outlives its gate, with what is open through it: to be ended by nobody's accident. null: it is not there. */
function heldByOwnEnvoy({ config, home }: PortDeps): GatewayError | null {
  const { host, port } = config.listen.address;
  const left = readRecord(envoyFiles(home.envoy).record);
  if (left?.port !== port || !isAlive(left)) return null;
  const whose = `the Envoy that an earlier gate of this state folder left running (process ${String(left.pid)})`;
  return new GatewayError(
    "conflict",
    `dataPlane: ${hostPort(host, port)} is held by ${whose}, with what is open through it`,
  );
}

async function takeHere({ config, clock, logger }: PortDeps, authority: LocalAuthority | null): Promise<TakenPort> {
  const listener = await bindListener(config.listen, { authority, ticketSecret: null, clock, logger });
  const { port, address, tls } = listener;
  return {
    ...{ port, address, otherPorts: [] },
    trustFile: (host) => tls?.trustFile(host),
    async serve({ auth, ...deps }) {
      const observation = await startObservation({ config, logger, rotatesLog: true });
      const { limits } = config;
      const { gatekeeper } = auth;
      const plane = await startEmbeddedPlane({ ...deps, listener, limits, gatekeeper, observation, clock, logger });
      return { plane, replace: null, ...SERVES };
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Certificates are read here, too: what is wrong with them is to be said at the start, and by the gate. */
async function takeForWorkers(deps: PortDeps, authority: LocalAuthority | null): Promise<TakenPort> {
  const { config, clock, logger } = deps;
  const { listen, limits } = config;
  await using scope = new AsyncDisposableStack();
  const certificates =
    listen.tls === undefined
      ? null
      : scope.use(await startCertificates({ authority, ticketSecret: null, config: listen.tls, clock, logger }));
  const { host } = listen.address;
  const bound = await bindPort(host, listen.address.port).catch((cause: unknown) => {
    throw bindError("listen.address", listen.address, cause as NodeJS.ErrnoException);
  });
  scope.use(bound);
  const resources = scope.move();
  return {
    ...{ port: bound.port, address: bound.address, otherPorts: [] },
    trustFile: (name) => certificates?.trustFile(name),
    async serve({ site, dialRules, secret, auth, explain }) {
      const { accessLog, tracing, requestId } = config;
      const stickyId = new Sticky({ site, secret }).idOf;
      const plane = await startWorkerPlane({
        ...{ clock, logger, explain, port: bound, authority: auth.workers },
        count: config.workers === "auto" ? availableParallelism() : config.workers,
        entry: new URL(import.meta.url.endsWith(".ts") ? "plane-worker.ts" : "plane-worker.js", import.meta.url),
        settings: {
          ...{ listen, limits, site, secret, via: newVia(), authority: authorityOptions(deps) },
          observe: { accessLog, tracing, requestId },
          ...{ loopback: [...dialRules.loopback], sockets: [...dialRules.sockets] },
          ...{ ownPorts: [...dialRules.ownPorts], graceMs: config.workerGrace },
        },
        checks: { limits, dialRules, clock, stickyId },
      });
      return { plane, replace: (deadline) => plane.replace(deadline), ...SERVES };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Of the gate's own authority, where the configuration asks for one. */
function authorityOptions({ config, home }: PortDeps) {
  if (config.listen.tls?.local !== true) return null;
  const { domain, gateHost, pathHost } = hostsOf(config);
  return { folder: home.authority, names: [domain, gateHost, pathHost] as const };
}
