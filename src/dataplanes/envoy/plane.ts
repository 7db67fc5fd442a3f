import { createHmac } from "node:crypto";
import type { AccessLogConfig, LimitsConfig, TracingConfig } from "../../config/schema.ts";
import {
  type Certificate,
  type Gatekeeper,
  GatewayError,
  type Identity,
  type Problem,
  type Route,
  type RouteTable,
  type Session,
  type Site,
  type TableDiff,
} from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import { TurnQueue } from "../../platform/turn-queue.ts";
import type { DataPlane, Explain, Instance, PlaneStatus, Proxy } from "../dataplane.ts";
import type { PlaneFigures } from "../figures.ts";
import type { DialRules } from "../forbidden-target.ts";
import { StatusBoard } from "../status-board.ts";
import type { Fronts } from "../visitor-of.ts";
import { createAdmit, type RemoteFleet } from "./admit-envoys.ts";
import { type Authz, createAuthz, EXTENSION_CONFIG, type Verification } from "./authz/authz.ts";
import { earlyMutations, earlyMutationsOfFronts, httpFilters } from "./authz/filters.ts";
import { type ServiceMetadataDeps, serviceMetadata } from "./authz/service-metadata.ts";
import { diffParts } from "./diff-parts.ts";
import { type GateService, startGateService } from "./gate-service.ts";
import { type GrpcServer, type GrpcTls, startGrpcServer } from "./grpc-server.ts";
import type { LocalEnvoy } from "./local/local-envoy.ts";
import { LOCAL_FLEET } from "./names.ts";
import { clusterName } from "./resources/cluster-name.ts";
import { ownAssignments } from "./resources/own-assignments.ts";
import type { FleetSettings } from "./resources/settings.ts";
import { FROM_GATE } from "./resources/envoy-json.ts";
import { Translator } from "./resources/translator.ts";
import { holdFilters } from "./watch/hold-filters.ts";
import { accessLogs } from "./watch/loggers.ts";
import { startWatch, type Watch } from "./watch/watch.ts";
import { AdsServer } from "./xds/ads-server.ts";
import type { Admit } from "./xds/ads-stream.ts";

/** Certificates of visitors' side, kept current. */
export interface CertificateSource {
  /** The first is for who names no server that another one is for. Always as many. */
  readonly certificates: readonly Certificate[];
  readonly problems: readonly Problem[];
  /** Routes changed: their hosts are to have one. */
  follow(routes: TableDiff["routes"]): void;
  onChange(call: () => void): void;
}

export interface EnvoyPlaneDeps {
  readonly site: Site;
  readonly limits: LimitsConfig;
  /** The same in every life of the gate. Never logged. */
  readonly secret: string;
  /** Id of the table's listener. */
  readonly listener: string;
  readonly dialRules: DialRules;
  readonly requestId: "keep" | "replace";
  readonly accessLog: AccessLogConfig;
  readonly tracing: TracingConfig;
  /** Addresses and networks whose connections begin with a PROXY header. */
  readonly proxiesFrom: readonly string[];
  readonly fronts: Fronts;
  /** null: visitors speak without TLS. */
  readonly certificates: CertificateSource | null;
  /** The Envoy of this machine. */
  readonly local: LocalFleet;
  readonly fleets: readonly RemoteFleet[];
  /** What they connect to; null: there are none. */
  readonly remote: RemoteAddresses | null;
  /** Where the gate's own page and API are. */
  readonly apiSocket: string;
  readonly gatekeeper: Gatekeeper;
  readonly verification: Verification &
    Omit<ServiceMetadataDeps, "site"> & {
      /** The session that claims say which an Envoy has verified; null: they are none, or it is void. */
      sessionOf(claims: unknown): Session | null;
    };
  readonly explain: Explain;
  isAdmin(identity: Identity, groups: readonly Identity[]): boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LocalFleet {
  readonly listen: FleetSettings["listen"];
  readonly controlSocket: string;
  readonly gateSocket: string;
  /**
   * Makes it, not yet started and the plane's to dispose of; `changed` is to be called when its problems change. null: there is none, and
   * fleets alone serve.
   */
  readonly create: ((changed: () => void) => LocalEnvoy) | null;
}

export interface RemoteAddresses {
  readonly address: { readonly host: string; readonly port: number };
  readonly gateAddress: { readonly host: string; readonly port: number };
  /** By which IP address Envoys reach this very gate; null: what they are started with leads to no other. */
  readonly advertise: string | null;
  /** null: both are loopback. */
  readonly tls: GrpcTls | null;
}

const NAME = "envoy";
/** Of what is there before any table, as Envoys are told; those of tables are one higher there. */
const FIRST_SEQ = 1;
const READY_MS = 15_000;
/** An Envoy asks for its configuration again within half a second, and has it by then. */
const HAND_OVER_MS = 3000;
/** The Envoy of this machine, while it does not run. */
const ABSENT: Proxy = Object.freeze({
  ...{ fleet: LOCAL_FLEET, version: "", address: null, since: null, heardAt: null },
  ...{ streams: 0, refused: 0, stuckSince: null },
});

/** The data plane of Envoys: tells them what there is, answers what they ask, and looks after the one of this machine. */
export class EnvoyPlane implements DataPlane {
  readonly name = NAME;
  readonly #deps: EnvoyPlaneDeps;
  readonly #admit: Admit;
  readonly #board: StatusBoard;
  readonly #ads: AdsServer;
  readonly #authz: Authz;
  readonly #translator: Translator;
  readonly #ownSecret: string;
  readonly #local: LocalEnvoy | null;
  readonly #running = new AsyncDisposableStack();
  readonly #work: TurnQueue;
  #watch: Watch | null = null;
  #grpc: GrpcServer | null = null;
  #gate: GateService | null = null;
  #table: RouteTable | null = null;
  /** `seq` of the last table that Envoys were told all of. */
  #told = FIRST_SEQ;

  constructor(deps: EnvoyPlaneDeps) {
    const { site, clock, secret, explain, gatekeeper, verification, logger } = deps;
    this.#deps = deps;
    this.#admit = createAdmit(deps.fleets);
    this.#work = this.#running.use(new TurnQueue((err) => logger.error({ err }, "telling envoys of a table failed")));
    this.#board = new StatusBoard(clock, () => this.#status());
    const changed = (): void => this.#board.changed();
    this.#ads = new AdsServer({ admit: this.#admit, clock, logger, changed });
    const ownSecret = derive(secret, "own answers");
    this.#ownSecret = ownSecret;
    const { frameOf, foreignAuthorization } = verification;
    this.#authz = createAuthz({
      ...{ gatekeeper, verification, explain, site, ownSecret, clock, logger, frameOf, foreignAuthorization },
      frontHops: deps.fronts.hops,
      tunnelTarget: (route) => this.#translator.tunnelTarget(route),
    });
    const { credentialFields } = verification;
    const filters = { credentialFields, ownSecret, secure: site.secure, sourceOf: () => FROM_GATE };
    const { limits, listener, dialRules, requestId, proxiesFrom, fronts, certificates } = deps;
    this.#translator = new Translator({
      ...{ site, limits, secret, listener, dialRules, requestId, proxiesFrom, fronts },
      fleets: [
        ...(deps.local.create === null ? [] : [{ name: LOCAL_FLEET, listen: deps.local.listen }]),
        ...deps.fleets,
      ],
      certificates: certificates?.certificates.length ?? 0,
      // In a listener: another one with every start of the gate would end what is open.
      via: `taskgate-${derive(secret, "via").slice(0, 12)}`,
      early: earlyMutations(filters),
      earlyOfFronts: earlyMutationsOfFronts(filters),
      filters: [...httpFilters(filters), ...holdFilters()],
      accessLog: accessLogs(),
      metadata: (route) => serviceMetadata({ site, frameOf, foreignAuthorization }, route),
    });
    this.#local = deps.local.create?.(changed) ?? null;
    certificates?.onChange(() => {
      this.#tellCertificates();
      changed();
    });
  }

  /** Serves Envoys, and starts the one of this machine. Throws where an address is taken, or that Envoy cannot be started. */
  async start(): Promise<void> {
    const { local, remote, accessLog, tracing, gatekeeper, clock, logger, limits, verification } = this.#deps;
    const watch = this.#running.use(
      await startWatch({
        ...{ gatekeeper, clock, logger, accessLog, tracing, failures: limits.ejectAfter },
        routeOf: (cluster) => this.#routeOf(cluster),
        admins: {
          ...{ local: this.#local?.ask ?? null, admit: this.#admit },
          clusterOf: (route) => clusterName(route, this.#deps.site),
        },
        decided: (use) => this.#authz.decided(use),
        routeOfId: (id) => this.#table?.routes.get(id),
        sessionOf: (claims) => verification.sessionOf(claims),
        changed: () => this.#board.changed(),
        used: () => this.#board.used(),
      }),
    );
    this.#watch = watch;
    const own = ownAssignments(remote);
    this.#ads.apply({ set: [...this.#translator.start(), ...this.#authz.resources(), ...own], removed: [] }, FIRST_SEQ);
    this.#tellCertificates();
    this.#running.use(verification.observe(() => this.#tellVerification()));
    const tls = remote?.tls ?? null;
    this.#grpc = this.#running.use(
      await startGrpcServer({
        addresses: [{ unix: local.controlSocket }, ...(remote === null ? [] : [remote.address])],
        ...(tls !== null && { tls }),
        services: [this.#ads.service, this.#authz.service, ...watch.services],
        logger,
      }),
    );
    this.#running.use(this.#ads); // ends its streams before the server that carries them
    this.#gate = this.#running.use(await this.#startGateService());
    if (this.#local === null) return;
    this.#running.use(this.#local);
    await this.#local.start();
  }

  /**
   * Resolves when the local Envoy listens, at once where there is none. Throws `conflict` where its port was taken meanwhile, `unavailable`
   * where it does not come to it within 15 s.
   */
  async ready(): Promise<void> {
    if (this.#local === null) return;
    const { clock } = this.#deps;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    using scope = new DisposableStack();
    scope.use(
      this.#board.observe(({ instances, problems }) => {
        const taken = problems.find(isOwnPortTaken);
        if (taken !== undefined) reject(new GatewayError("conflict", `listen.address: ${taken.message}`));
        // What was refused counts as applied, too.
        if ([...instances.values()].some(({ connected, applied }) => connected && applied >= 0)) resolve(undefined);
      }),
    );
    scope.use(clock.after(READY_MS, () => reject(new GatewayError("unavailable", "Envoy does not begin to listen"))));
    await promise;
  }

  apply(table: RouteTable, diff: TableDiff): void {
    this.#table = table;
    this.#work.add(this.#applyParts(table, diff));
  }

  /** All sources were heard once: what is in no table now is gone. Before, Envoys that ran on while there was no gate keep what they have. */
  settled(): void {
    this.#work.add(this.#settle());
  }

  observe(listener: (status: PlaneStatus) => void): Disposable {
    return this.#board.observe(listener);
  }

  figures(): Promise<PlaneFigures> {
    if (this.#watch === null) throw new Error("the plane was not started");
    return this.#watch.figures();
  }

  /** New certificates for what Envoys elsewhere connect to. */
  renewTls(tls: GrpcTls): void {
    this.#grpc?.renewTls(tls);
    this.#gate?.renewTls(tls);
  }

  /** Another process of the local Envoy takes over. */
  async restart(): Promise<void> {
    await this.#local?.restart();
  }

  /** Of the local Envoy alone: those elsewhere go on without a gate, or with another one. */
  async drain(deadline: number): Promise<void> {
    await Promise.all([this.#local?.drain(deadline), this.#handOver(deadline)]);
    await this.#local?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#board[Symbol.dispose]();
    await this.#running.disposeAsync();
  }

  /** Envoys that several gates tell ask this one until another has told them that they are to ask it. */
  async #handOver(deadline: number): Promise<void> {
    const { remote, clock } = this.#deps;
    if (typeof remote?.advertise !== "string" || !this.#ads.leave()) return;
    await pause(clock, Math.max(0, Math.min(HAND_OVER_MS, deadline - clock.now())));
  }

  get #seen(): Pick<PlaneStatus, "endpoints" | "lastUsed" | "problems"> {
    return this.#watch ?? { endpoints: new Map(), lastUsed: new Map(), problems: [] };
  }

  /** A first table is of everything, and the gate has others to answer meanwhile. */
  *#applyParts(table: RouteTable, diff: TableDiff): Generator<void, void> {
    const seq = FIRST_SEQ + diff.to.seq;
    const parts = diffParts(diff);
    let part = parts.next();
    while (part.done !== true) {
      const next = parts.next();
      this.#applyPart(table, part.value, { seq, isLast: next.done === true });
      part = next;
      if (part.done !== true) yield;
    }
    this.#told = seq;
  }

  #applyPart(table: RouteTable, diff: TableDiff, { seq, isLast }: { readonly seq: number; readonly isLast: boolean }) {
    this.#deps.certificates?.follow(diff.routes);
    this.#authz.apply(table, diff);
    const change = this.#translator.translate(table, diff);
    const verified = verifiesByOthers(diff) ? this.#authz.resources() : [];
    this.#ads.apply({ set: [...verified, ...change.set], removed: change.removed }, seq, isLast);
    this.#watch?.apply(diff);
    this.#board.changed();
  }

  *#settle(): Generator<void, void> {
    this.#ads.settled();
    this.#authz.settled();
  }

  #startGateService(): Promise<GateService> {
    const { local, remote, site, apiSocket, explain, logger } = this.#deps;
    return startGateService({
      ...{ site, apiSocket, explain, logger, ownSecret: this.#ownSecret },
      socketPath: local.gateSocket,
      address: remote === null ? null : { ...remote.gateAddress, tls: remote.tls },
      find: (head) => this.#authz.find(head),
      isAdmin: (identity, groups) => this.#deps.isAdmin(identity, groups),
    });
  }

  #routeOf(cluster: string): Route | undefined {
    const id = this.#translator.routeId(cluster);
    return id === undefined ? undefined : this.#table?.routes.get(id);
  }

  #tellVerification(): Promise<void> {
    this.#ads.apply({ set: this.#authz.resources(), removed: [] }, this.#told);
    return this.#ads.taken(EXTENSION_CONFIG);
  }

  #tellCertificates(): void {
    const { certificates } = this.#deps;
    if (certificates !== null) this.#ads.apply(this.#translator.secrets(certificates.certificates), this.#told);
  }

  #status(): PlaneStatus {
    const { envoys, problems } = this.#ads.status();
    const instances = new Map<string, Instance>();
    const isLocalHere = [...envoys.values()].some(({ fleet, since }) => fleet === LOCAL_FLEET && since !== null);
    for (const [id, { applied, ...proxy }] of envoys) {
      const connected = proxy.since !== null;
      if (connected || proxy.fleet !== LOCAL_FLEET)
        instances.set(id, { connected, applied: applied - FIRST_SEQ, proxy });
    }
    if (this.#local !== null && !isLocalHere)
      instances.set(LOCAL_FLEET, { connected: false, applied: -FIRST_SEQ, proxy: ABSENT });
    return {
      instances,
      endpoints: this.#seen.endpoints,
      lastUsed: this.#seen.lastUsed,
      problems: [...problems, ...this.#problems, ...this.#seen.problems],
    };
  }

  get #problems(): readonly Problem[] {
    const { certificates } = this.#deps;
    return [...this.#translator.problems, ...(this.#local?.problems ?? []), ...(certificates?.problems ?? [])];
  }
}

/** Whether sessions are verified by something else than before: by other keys, or among other fields that name a service. */
function verifiesByOthers({ rest, routes }: TableDiff): boolean {
  return (
    rest ||
    routes.set.some(({ match }) => match.by === "headers") ||
    routes.removed.some((id) => id.startsWith("headers "))
  );
}

/** Of the local Envoy: those elsewhere have ports of their own. */
function isOwnPortTaken({ code, subject, message }: Problem): boolean {
  return code === "port_unavailable" && subject === "envoy" && message.startsWith(`Envoy (fleet ${LOCAL_FLEET})`);
}

function derive(secret: string, purpose: string): string {
  return createHmac("sha256", secret).update(`envoy ${purpose}`).digest("base64url");
}

/** A plane that serves; dispose of it. Throws what `EnvoyPlane.start` throws, and nothing of it is left then. */
export async function startEnvoyPlane(deps: EnvoyPlaneDeps): Promise<EnvoyPlane> {
  await using scope = new AsyncDisposableStack();
  const plane = scope.use(new EnvoyPlane(deps));
  await plane.start();
  scope.move();
  return plane;
}
