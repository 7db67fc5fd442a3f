import { availableParallelism } from "node:os";
import type { Auth } from "../auth/auth.ts";
import type { Home } from "../config/home.ts";
import type { Config } from "../config/schema.ts";
import { hostsOf } from "../config/site.ts";
import type { DataPlane, Explain } from "../dataplanes/dataplane.ts";
import type { DialRules } from "../dataplanes/forbidden-target.ts";
import { bindListener } from "../dataplanes/embedded/listener.ts";
import { startObservation } from "../dataplanes/embedded/observe/observation.ts";
import { newVia, startEmbeddedPlane } from "../dataplanes/embedded/plane.ts";
import { Sticky } from "../dataplanes/embedded/sticky.ts";
import { startCertificates } from "../dataplanes/embedded/tls/certificates.ts";
import { type LocalAuthority, openLocalAuthority } from "../dataplanes/embedded/tls/local-authority.ts";
import { bindPort } from "../dataplanes/embedded/workers/bound-port.ts";
import { startWorkerPlane } from "../dataplanes/embedded/workers/worker-plane.ts";
import type { Identity, Site } from "../model/index.ts";
import { bindError } from "../platform/bind-error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { takeEnvoyPort } from "./take-envoy-port.ts";

/** What a plane is started with once the rest of the gate is there. */
export interface ServeDeps {
  readonly site: Site;
  readonly dialRules: DialRules;
  /** See `EmbeddedPlaneDeps.secret`. */
  readonly secret: string;
  readonly auth: Pick<Auth, "gatekeeper" | "verification" | "workers">;
  readonly explain: Explain;
  readonly isAdmin: (identity: Identity, groups: readonly Identity[]) => boolean;
}

/** A plane, how it is renewed, and what it waits for. */
export interface ServingPlane {
  readonly plane: DataPlane;
  /** Fresh worker processes in place of the present ones, which get until `deadline` (epoch ms); null: there are none. */
  readonly replace: ((deadline: number) => Promise<void>) | null;
  /** To be called when all sources have been heard once, and the plane was told: from then on what is in no table is gone. */
  settled(): void;
  /** Resolves when visitors can come in. Throws `conflict` where another program has taken the port meanwhile. */
  ready(): Promise<void>;
}

/** Of a plane that serves from the start. */
const SERVES = Object.freeze({ settled: () => undefined, ready: () => Promise.resolve() });

/** The gate's port, taken before there is anything behind it, so that everybody can be told which it is. */
export interface TakenPort extends AsyncDisposable {
  readonly port: number;
  /** IP address. */
  readonly address: string;
  /** File with what is to be trusted by who asks for `host`; absent: the gate does not speak TLS. */
  trustFile(host: string): string | undefined;
  /** Starts the plane that serves it: in this process, or in workers. Call it once; the plane is the caller's to dispose of. */
  serve(deps: ServeDeps): Promise<ServingPlane>;
}

interface PortDeps {
  readonly config: Config;
  readonly home: Home;
  /** Id of the table's one listener. */
  readonly listener: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Throws what `bindListener` throws. */
export async function takePort(deps: PortDeps): Promise<TakenPort> {
  const { config, logger } = deps;
  const options = authorityOptions(deps);
  const authority = options === null ? null : await openLocalAuthority({ ...options, now: deps.clock.now() });
  if (authority?.isNew === true) logger.info({ file: authority.file }, "made an authority: trust its certificate");
  if (config.dataPlane === "envoy") return takeEnvoyPort({ ...deps, authority });
  return config.workers === 0 ? takeHere(deps, authority) : takeForWorkers(deps, authority);
}

async function takeHere({ config, clock, logger }: PortDeps, authority: LocalAuthority | null): Promise<TakenPort> {
  const listener = await bindListener(config.listen, { authority, ticketSecret: null, clock, logger });
  const { port, address, tls } = listener;
  return {
    ...{ port, address },
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
    ...{ port: bound.port, address: bound.address },
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
          ...{ loopback: [...dialRules.loopback], ownPorts: [...dialRules.ownPorts], graceMs: config.workerGrace },
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
