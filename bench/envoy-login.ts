import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostRoute, startAuthKit } from "../src/auth/testing/auth-kit.ts";
import { earlyMutations, httpFilters, loginFilters } from "../src/dataplanes/envoy/authz/filters.ts";
import { serviceMetadata } from "../src/dataplanes/envoy/authz/service-metadata.ts";
import { CLUSTER_HEADER, clusterName } from "../src/dataplanes/envoy/resources/cluster-name.ts";
import { OWN_REQUEST_FIELDS } from "../src/dataplanes/envoy/resources/route-configuration.ts";
import type { Route, Site } from "../src/model/index.ts";
import { systemClock } from "../src/platform/clock.ts";
import { envoyProgram } from "../testbed/envoy.ts";
import { startBackends } from "./backends/backends.ts";
import { browserHeaders } from "./headers.ts";
import { wrk } from "./loads/wrk.ts";
import { checkMachine, cpuOf, describeMachine, loadAverage, openBusyMeter } from "./machine.ts";
import { openScope } from "./peers/compare.ts";
import { freePorts, startProxy } from "./peers/peer.ts";
import { median, type Row, type Suite } from "./suite.ts";

const TYPE = "type.googleapis.com/envoy.extensions.filters";
const CONNECTIONS = 64;
const ROUNDS = 12;
const PATTERNS = { "re2.max_program_size.error_level": 1_000_000, "re2.max_program_size.warn_level": 1_000_000 };
const SITE: Omit<Site, "port"> = {
  domain: "localhost",
  gateHost: "taskgate.localhost",
  pathHost: "paths.localhost",
  secure: false,
  dial: "127.0.0.1",
};

/** One way that the page is asked for: all by one Envoy, each at a port of its own. */
interface Way {
  readonly name: string;
  readonly route: Route;
  /** Whether it goes through the filters of the plane. */
  readonly filtered: boolean;
  readonly port: number;
  /** Cookie, NAME=VALUE. */
  readonly session: string;
  readonly perSecond: number[];
  readonly perCpuSecond: number[];
}

/**
 * What login costs an Envoy: the same page, asked for with as many bytes, through one Envoy, with login and from a service that anyone may use, in
 * turns; and through a listener without any filter of this plane. Who has a login loses its credentials, and the job is told who it is; nobody is asked.
 */
export const benchEnvoyLogin: Suite = async (say, { rounds = ROUNDS, seconds = 1 }) => {
  checkMachine();
  const scope = openScope();
  try {
    say(describeMachine());
    const backend = (await startBackends(["http"])).http;
    const [page = 0, ...ports] = await freePorts(5);
    await using gate = await startGate({ ...SITE, port: page }, scope.folder);
    const ways = await gate.ways(ports);
    const config = join(scope.folder, "envoy.json");
    writeFileSync(config, JSON.stringify(bootstrap(gate, ways, backend)));
    const flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"];
    const { pid } = await startProxy([await envoyProgram(), "-c", config, ...flags], ports);
    for (let round = -1; round < rounds; round += 1) {
      if (round >= 0) say(`round ${String(round + 1)} of ${String(rounds)}, load average ${loadAverage()}`);
      for (const way of ways) await measure(say, { way, gate, pid, seconds, counts: round >= 0 });
    }
    return ways.flatMap((way) => rowsOf(way, ways[0] ?? way));
  } finally {
    scope.close();
  }
};

interface Gate extends AsyncDisposable {
  readonly site: Site;
  readonly filters: { readonly early: object[]; readonly chain: object[] };
  metadata(route: Route): object;
  ways(ports: readonly number[]): Promise<readonly Way[]>;
}

async function startGate(site: Site, folder: string): Promise<Gate> {
  const [open, full, bare] = [
    hostRoute("open.localhost", "local/open/web", { access: { grants: [], anyone: "public" } }),
    hostRoute("full.localhost", "local/full/web"),
    hostRoute("bare.localhost", "local/bare/web", { policy: { assertion: "none" } }),
  ];
  const kit = await startAuthKit({ site, table: [open, full, bare], verifiedByPlane: true, clock: systemClock });
  const { keys, verification } = kit.auth;
  const { cookie, credentialFields, foreignAuthorization, frameOf } = verification;
  const judged = { revoked: verification.revoked(), credentialFields, routingFields: [] };
  for (const [name, body] of Object.entries(loginFilters({ cookie, keys: keys.published(), judged }))) {
    const resource = {
      "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
      name,
      typedConfig: body,
    };
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ resources: [resource] }));
  }
  const sourceOf = (name: string) => ({
    pathConfigSource: { path: join(folder, `${name}.json`) },
    resourceApiVersion: "V3" as const,
  });
  const settings = { credentialFields, ownSecret: "a-secret-of-this-bench", secure: false, sourceOf };
  const chain = httpFilters(settings);
  const { browser, token } = await kit.login();
  const session = async (route: Route): Promise<string> => {
    const url = `http://${route.match.by === "host" ? route.match.host : ""}:${String(site.port)}/`;
    await kit.enter(browser, token, url);
    return browser.jar.header(new URL(url)) ?? "";
  };
  return {
    site,
    filters: { early: earlyMutations(settings), chain },
    metadata: (route) => serviceMetadata({ site, frameOf, foreignAuthorization }, route),
    async ways([one = 0, two = 0, three = 0, four = 0]) {
      const [ofFull, ofBare] = [await session(full), await session(bare)];
      const filtered = () => ({ filtered: true, perSecond: [], perCpuSecond: [] });
      return [
        { name: "without", route: open, port: one, session: lookAlike(ofFull), ...filtered() },
        { name: "login", route: full, port: two, session: ofFull, ...filtered() },
        { name: "login, no assertion", route: bare, port: three, session: ofBare, ...filtered() },
        { name: "no filters", route: full, port: four, session: ofFull, ...filtered(), filtered: false },
      ];
    },
    [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose](),
  };
}

/** A cookie of the app's own, so that there is as much to read. */
function lookAlike(session: string): string {
  return `session${session.slice(session.indexOf("="))}`;
}

interface Turn {
  readonly way: Way;
  readonly gate: Gate;
  readonly pid: number;
  readonly seconds: number;
  /** Whether the figures are kept: those of the first turn warm it up. */
  readonly counts: boolean;
}

async function measure(say: (line: string) => void, { way, gate, pid, seconds, counts }: Turn): Promise<void> {
  const headers = [["Connection", "keep-alive"] as const, ...browserHeaders(way.session)];
  const authority = authorityOf(way.route, gate.site);
  const busy = openBusyMeter();
  const load = { port: way.port, authority, headers, connections: CONNECTIONS, seconds };
  const { done, cpu } = await cpuOf(pid, () => wrk(load));
  if (!counts) return;
  way.perSecond.push(done.requests / done.seconds);
  way.perCpuSecond.push(done.requests / cpu);
  say(`  ${way.name}: ${(done.requests / cpu).toFixed(0)} requests/CPU-s (${busy()})`);
}

/** Ratios are of turns that were side by side: what else the machine did then, it did to both. */
function rowsOf(way: Way, yardstick: Way): readonly Row[] {
  const ratio = (own: readonly number[], others: readonly number[]): number =>
    median(own.map((value, round) => value / (others[round] ?? NaN)));
  const { name, perSecond, perCpuSecond } = way;
  return [
    { name, value: median(perSecond), unit: "requests/s", ratio: ratio(perSecond, yardstick.perSecond) },
    {
      ...{ name: `${name}, per CPU second`, value: median(perCpuSecond), unit: "requests/CPU-s" },
      ratio: ratio(perCpuSecond, yardstick.perCpuSecond),
    },
  ];
}

function authorityOf({ match }: Route, { port }: Site): string {
  return `${match.by === "host" ? match.host : ""}:${String(port)}`;
}

function bootstrap(gate: Gate, ways: readonly Way[], backend: number): object {
  const routes = new Set(ways.map(({ route }) => route));
  return {
    node: { id: "bench", cluster: "bench" },
    layeredRuntime: { layers: [{ name: "patterns", staticLayer: PATTERNS }] },
    staticResources: {
      listeners: ways.map((way) => listener(gate, way)),
      clusters: [
        ...[...routes].map((route) => cluster(clusterName(route, gate.site), backend, gate.metadata(route))),
        // Nobody is there, and nobody is asked.
        cluster("taskgate-control", 1, {}),
      ],
    },
  };
}

function listener(gate: Gate, { name, filtered, port }: Way): object {
  const lead = { key: CLUSTER_HEADER, value: "tg/%REQ(:authority)%" };
  const early = [
    ...(filtered ? gate.filters.early : []),
    { append: { header: lead, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" } },
  ];
  const mutation = `type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation`;
  const route = { match: { prefix: "/" }, route: { clusterHeader: CLUSTER_HEADER, timeout: "0s" } };
  const manager = {
    "@type": `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
    ...{ statPrefix: "bench", useRemoteAddress: true, generateRequestId: false },
    earlyHeaderMutationExtensions: [{ name: "early", typedConfig: { "@type": mutation, mutations: early } }],
    routeConfig: {
      requestHeadersToRemove: OWN_REQUEST_FIELDS,
      virtualHosts: [{ name: "all", domains: ["*"], routes: [route] }],
    },
    httpFilters: [
      ...(filtered ? gate.filters.chain : []),
      { name: "envoy.filters.http.router", typedConfig: { "@type": `${TYPE}.http.router.v3.Router` } },
    ],
  };
  return { name, address: address(port), filterChains: [{ filters: [{ name: "http", typedConfig: manager }] }] };
}

function cluster(name: string, port: number, metadata: object): object {
  return {
    ...{ name, type: "STATIC", connectTimeout: "1s", metadata: { filterMetadata: { taskgate: metadata } } },
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address: address(port) } }] }] },
  };
}

function address(portValue: number): object {
  return { socketAddress: { address: "127.0.0.1", portValue } };
}
