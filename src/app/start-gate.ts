import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createApi } from "../api/app.ts";
import { createExplain } from "../api/explain.ts";
import { loadPages } from "../api/pages.ts";
import { startApiServer } from "../api/server.ts";
import { createTaskDirectory, type TaskDirectory } from "../api/task-directory.ts";
import type { VersionView } from "../api/wire.ts";
import { startAudit } from "../audit/audit.ts";
import { startAuth } from "../auth/auth.ts";
import { type GateFile, type Home, makeHome, removeGateFile, writeGateFile } from "../config/home.ts";
import { realmOfConfig } from "../config/login-methods.ts";
import type { Config } from "../config/schema.ts";
import { siteOf } from "../config/site.ts";
import { createTableState } from "../core/create-table-state.ts";
import { type Reconcile, startReconcile } from "../core/reconcile.ts";
import type { TableOptions, TableState } from "../core/table-state.ts";
import type { DataPlane, Instance, PlaneStatus } from "../dataplanes/dataplane.ts";
import { LOCAL_FLEET } from "../dataplanes/envoy/names.ts";
import {
  GATE_PROVIDER,
  hostPort,
  type Listener,
  originOf,
  type Principal,
  sameIdentity,
  type Site,
} from "../model/index.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { ownUserName } from "../platform/own-user.ts";
import { ownVersion, packageRoot } from "../platform/package-info.ts";
import { processStart } from "../platform/process-identity.ts";
import { accessOptions, ceilingOf } from "./access-options.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";
import { type ClaimsBook, openClaimsBook } from "./claims-book.ts";
import { findRoute } from "./find-route.ts";
import type { Gate } from "./gate.ts";
import type { GateFigures } from "./gate-metrics.ts";
import { createGateProvider } from "./gate-provider.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { keepSealer } from "./keep-sealer.ts";
import { keepSecret } from "./keep-secret.ts";
import { openStores } from "./open-stores.ts";
import { keepOwnerToken } from "./owner-token.ts";
import { type KeyPublication, publishKeys } from "./publish-keys.ts";
import { startAuthMethods } from "./start-auth-methods.ts";
import { createProviders, LOCAL_PROVIDER, type Providers, startProviders } from "./start-providers.ts";
import { type StartedFront, startFront } from "./start-front.ts";
import { type SharedTasks, shareTasks } from "./share-tasks.ts";
import { type Culling, startCulling } from "./start-culling.ts";
import { takePort } from "./take-port.ts";
import type { ServeDeps, ServingPlane, TakenPort } from "./taken-port.ts";
import { tellProviders } from "./tell-providers.ts";
import type { WatchedLeadership } from "./watch-leadership.ts";

/** Id of the one listener. */
const LISTENER = "main";

export interface GateOptions {
  readonly config: Config;
  readonly home: Home;
  readonly logger: Logger;
}

/**
 * The whole gate on one page. Throws GatewayError `conflict` if another gate has the state folder or a port, and what the parts throw;
 * what was started until then is undone.
 */
export async function startGate({ config, home, logger }: GateOptions): Promise<Gate> {
  await using scope = new AsyncDisposableStack();
  const clock = systemClock;
  const base = { clock, logger };
  const stopping = scope.adopt(new AbortController(), (controller) => controller.abort());
  makeHome(home);

  // What is kept, and where visitors come in.
  const stores = scope.use(await openStores({ config: config.store, home, ...base }));
  const { store, leadership, isShared } = stores;
  const claims = scope.use(await openClaimsBook({ store, leadership, isShared, ...base }));
  const port = scope.use(await takePort({ config, home, listener: LISTENER, ...base }));
  const site = siteOf(config, port.port);
  const state = createTableState(tableOptions(config, site, isShared), claims.first);
  state.setListeners([listenerOf(config, port)]);
  const metrics = scope.use(createMetrics(config.metrics));
  const admin = config.admin.enabled ? scope.use(await startAdmin(config, metrics, state)) : null;

  // Who may pass, who did, and what exists.
  const audit = scope.use(await startAudit({ config: config.audit, folder: home.audit, ...base }));
  const owner = operatingUser();
  const routeFor = (host: string, path: string) => findRoute(state.table, LISTENER, host, path);
  const methods = scope.use(await startAuthMethods(config.login, { site, ...base }));
  metrics.observeAccess({ audit, logins: methods.parts.loginLimit });
  const [sealer, secret] = await Promise.all([keepSealer(stores, home), keepSecret(store, "data-plane")]);
  const asked = { store, config: config.login, site, owner, routeFor, audit, sealer, ...methods.parts, ...base };
  const auth = scope.use(await startAuth({ ...asked, verifiedByPlane: config.dataPlane === "envoy" }));
  const shared = scope.use(shareTasks({ grants: auth.grants, state }));
  const ownPorts = new Set([port.port, ...port.otherPorts, ...(admin === null ? [] : [admin.port])]);
  const gateProvider = createGateProvider({ site, apiSocket: home.apiSocket, owner, startedAt: clock.now() });
  const providers = createProviders({ config, home, ...stores, owner, ownPorts, ...base }, gateProvider);

  // Who may know.
  const { control, reaches } = providers;
  const seen: Seen = { plane: null, culling: null, front: null };
  const directory = createTaskDirectory({ state, site, planeStatus: () => statusOf(seen), control, clock });
  const app = createApi({
    ...{ directory, control, reaches, auth, audit, owner, site, signal: stopping.signal, ...base },
    sharing: { ceiling: ceilingOf(config), realm: realmOfConfig(config.login.methods) },
    ...{ runner: providers.local?.runner ?? null, runnerProvider: LOCAL_PROVIDER },
    version: versionOf(config, site, state),
    envoys: () => (config.dataPlane === "envoy" ? (seen.plane?.instances ?? new Map<string, Instance>()) : null),
    pages: await loadPages(join(packageRoot, "ui")),
  });
  scope.use(await startApiServer({ app, socketPath: home.apiSocket, logger }));

  // What moves the bytes, and the loop that tells it.
  const dialRules = { loopback: loopbackProviders(config), sockets: forwardedProviders(config), ownPorts };
  const answers = { explain: createExplain({ state, control, clock }), isAdmin: adminsOf(owner, methods.parts) };
  const serving = await port.serve({ secret, site, dialRules, auth, ...answers });
  const plane = scope.use(serving.plane);
  metrics.observeRunning(plane, () => gateFigures(config, state, { seen, leadership, providers }));
  scope.use(plane.observe(takeStatus(seen, directory)));
  const keys = scope.use(publishKeys({ keys: auth.keys, state, plane }));
  seen.front = scope.use(await startFront({ config, site, store, leadership, directory, ...base }));
  const told = { serving, directory, metrics, claims, keys, shared, seen, ...base };
  const reconcile = scope.use(startLoop({ config, state, ...told }));
  for (const part of [keys, shared]) part.follow(reconcile);
  scope.use(await startProviders(providers, { state, reconcile, ...base }, stopping.signal));
  await serving.ready();
  scope.use(leadership.lead("tell", tellWhileLeading(providers, directory, seen)));

  seen.culling = scope.use(await startCulling({ config, leadership, directory, state, control, auth, store, ...base }));
  scope.use(await keepOwnerToken({ home, auth, owner, isPassing: isShared, ...base }));
  const file = gateFile(config, site, { port, admin });
  scope.use(announce(home, file, logger));
  const renew = renewerOf(serving, () => clock.now() + config.workerGrace);
  return running({ file, plane, clock, renew, loginLink: () => auth.login.link(owner) }, scope.move());
}

/** What is said of the tasks by who moves bytes, by who stops what nobody uses, and by what stands before the gate. */
interface Seen {
  plane: PlaneStatus | null;
  culling: Culling | null;
  front: StartedFront | null;
}

function statusOf({ plane, culling, front }: Seen): PlaneStatus | null {
  const warnings = [...(culling?.problems ?? []), ...(front?.problems ?? [])];
  return plane === null || warnings.length === 0 ? plane : { ...plane, problems: [...plane.problems, ...warnings] };
}

function renewerOf({ replace }: ServingPlane, deadline: () => number): Gate["renew"] {
  return replace === null ? null : () => replace(deadline());
}

function listenerOf({ listen }: Config, { port }: TakenPort): Listener {
  return { id: LISTENER, address: hostPort(listen.address.host, port), tls: listen.tls !== undefined };
}

/** Until disposed, the command line finds this gate. */
function announce(home: Home, file: GateFile, logger: Logger): Disposable {
  writeGateFile(home, file);
  logger.info({ url: file.url, address: hostPort(file.address, file.port) }, "gate started");
  return { [Symbol.dispose]: () => removeGateFile(home) };
}

function takeStatus(seen: Seen, directory: TaskDirectory): (status: PlaneStatus) => void {
  return (status) => {
    seen.plane = status;
    directory.planeChanged();
  };
}

/** The one who started the gate owns it. */
function operatingUser(): Principal {
  return { realm: "local", name: ownUserName(), groups: [], admin: true };
}

/** Who may do anything here, by name. */
function adminsOf(owner: Principal, listed: { isAdmin(principal: Principal): boolean }): ServeDeps["isAdmin"] {
  return (who, groups) => sameIdentity(who, owner) || listed.isAdmin({ ...who, groups, admin: false });
}

/**
 * Providers whose tasks may be on this machine: the core checks it where endpoints are built, the plane where they are dialled. What is reached through
 * Gateways is at addresses that are configured, and one may be a tunnel that begins here.
 */
function loopbackProviders({ files, providers }: Config): readonly string[] {
  const allowed = [
    ...files.filter((file) => file.allowLoopback),
    ...providers.filter(({ reach }) => reach === "gateway-api"),
  ];
  return [GATE_PROVIDER, LOCAL_PROVIDER, ...allowed.map(({ name }) => name)];
}

/** Providers whose pods are sockets of the gate's: the core lets those through, and what they name themselves is refused where it is dialled. */
function forwardedProviders({ providers }: Config): readonly string[] {
  return providers.filter(({ reach }) => reach === "port-forward").map(({ name }) => name);
}

function tableOptions(config: Config, site: Site, isShared: boolean): TableOptions {
  const { domain, gateHost, pathHost } = site;
  const { tcp } = config;
  return {
    ...{ domain, gateHost, pathHost, tcp, listener: LISTENER, ...accessOptions(config), epoch: randomUUID() },
    claims: isShared ? "elsewhere" : "here",
    loopback: [...loopbackProviders(config), ...forwardedProviders(config)],
  };
}

function startAdmin(config: Config, metrics: Metrics, state: TableState): Promise<AdminServer> {
  metrics.observe(() => ({
    routes: state.table.routes.size,
    tasks: state.tasks.size,
    problems: state.table.problems.size,
  }));
  const notReady = (): string | null => {
    const pending = [...state.sources].filter(([, source]) => source.state === "pending").map(([name]) => name);
    if (state.table.revision.seq === 0) return "no route table yet";
    return pending.length === 0 ? null : `not heard yet: ${pending.join(", ")}`;
  };
  const { address, tokenFile } = config.admin;
  return startAdminServer({ address, tokenFile, metrics, notReady });
}

interface GateParts {
  readonly seen: Seen;
  readonly leadership: WatchedLeadership;
  readonly providers: Providers;
}

function gateFigures(
  { dataPlane, envoy }: Config,
  { sources, table }: TableState,
  { seen, leadership, providers }: GateParts,
): GateFigures {
  const own = envoy.local ? [LOCAL_FLEET] : [];
  return {
    ...{ sources, leading: leadership.leading, reaches: providers.reaches(), revision: table.revision.seq },
    instances: seen.plane?.instances ?? new Map<string, Instance>(),
    fleets: dataPlane === "envoy" ? [...own, ...envoy.fleets.map(({ name }) => name)] : [],
  };
}

function versionOf({ dataPlane }: Config, site: Site, state: TableState): () => VersionView {
  const startedAt = systemClock.now();
  return () => ({
    version: ownVersion(),
    url: originOf(site, site.gateHost),
    domain: site.domain,
    ...{ dataPlane, startedAt },
    revision: state.table.revision.seq,
  });
}

interface LoopDeps {
  readonly config: Config;
  readonly state: TableState;
  readonly serving: Pick<ServingPlane, "plane" | "settled">;
  readonly directory: TaskDirectory;
  readonly metrics: Metrics;
  readonly claims: ClaimsBook;
  readonly keys: KeyPublication;
  readonly shared: SharedTasks;
  readonly seen: Pick<Seen, "front">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The one place where a built table goes out, in this order: first to who moves the bytes. */
function startLoop(deps: LoopDeps): Reconcile {
  const { config, state, serving, directory, metrics, claims, keys, shared, seen, clock, logger } = deps;
  let isSettled = false;
  const reconcile = startReconcile({
    ...{ clock, settleMs: config.reconcile.settle, maxWaitMs: config.reconcile.maxWait },
    state: { build: (now) => metrics.timed(() => state.build(now)) },
    published(built) {
      serving.plane.apply(state.table, built.diff);
      keys.published(built);
      shared.published(built);
      claims.published(built);
      directory.built(built);
      const { set, removed } = built.diff.routes;
      const change = { revision: built.diff.to.seq, set: set.length, removed: removed.length };
      if (set.length + removed.length > 0) logger.info(change, "route table published");
      const wasSettled = isSettled;
      isSettled ||= [...state.sources.values()].every((source) => source.state === "ready");
      seen.front?.published(built, isSettled);
      if (isSettled && !wasSettled) serving.settled();
    },
    onError: (err) => logger.error({ err }, "publishing the route table failed"),
  });
  claims.follow(state, reconcile);
  return reconcile;
}

function tellWhileLeading(
  { all }: Providers,
  directory: TaskDirectory,
  seen: { readonly plane: PlaneStatus | null },
): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const lastUsed = (): ReadonlyMap<string, number> => seen.plane?.lastUsed ?? new Map();
    using scope = new DisposableStack();
    const subscribe = (listener: Parameters<TaskDirectory["subscribe"]>[0]) => directory.subscribe(listener);
    scope.use(tellProviders({ providers: all, subscribe, lastUsed }, signal));
    if (!signal.aborted) await once(signal, "abort");
  };
}

function gateFile(
  { dataPlane, drain, listen }: Config,
  site: Site,
  { port, admin }: { readonly port: TakenPort; readonly admin: AdminServer | null },
): GateFile {
  const certificateFile = port.trustFile(site.gateHost);
  return {
    pid: process.pid,
    processStart: processStart(process.pid) ?? "",
    version: ownVersion(),
    url: originOf(site, site.gateHost),
    gateHost: site.gateHost,
    domain: site.domain,
    secure: listen.tls !== undefined,
    ...(certificateFile !== undefined && { certificateFile }),
    ...(port.apiSocket !== undefined && { apiSocket: port.apiSocket }),
    address: port.address,
    port: port.port,
    adminAddress: admin?.address ?? null,
    ...(dataPlane === "embedded" ? {} : { dataPlane }),
    drainMs: drain,
  };
}

function running(
  parts: Pick<Gate, "file" | "loginLink" | "renew"> & { readonly plane: DataPlane; readonly clock: Clock },
  scope: AsyncDisposableStack,
): Gate {
  const closed = Promise.withResolvers<undefined>();
  return {
    file: parts.file,
    loginLink: parts.loginLink,
    renew: parts.renew,
    drain: (deadlineMs) => parts.plane.drain(parts.clock.now() + deadlineMs),
    closed: closed.promise,
    async [Symbol.asyncDispose]() {
      await scope.disposeAsync();
      closed.resolve(undefined);
    },
  };
}
